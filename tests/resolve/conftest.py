"""A DNS server of the tests' own, on loopback, that misbehaves as told."""

import contextlib
import dataclasses
import selectors
import socket
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest


def same_port(address):
    """A TCP listener and a UDP socket on one port: another program may hold the port for one of them."""
    for _ in range(20):
        tcp = socket.create_server((address, 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            tcp.close()
            udp.close()
        else:
            return tcp, udp
    raise AssertionError("no port is free for both TCP and UDP")


class FakeDNS:
    """Answers UDP and TCP questions by a function, in a thread of its own.

    ``answer(query, tcp)`` gives the bytes to send back, a list of several, or None for silence. ``zone`` is a dict of
    ``(name, type)`` to a list of record texts, or to an rcode. ``asked`` lists what was asked, in order.
    """

    def __init__(self, zone=None, answer=None, address="127.0.0.1"):
        self.zone = zone or {}
        self.answer = answer or (lambda query, tcp: self.reply(query).to_wire(max_size=65535))
        self.asked = []
        self.changed = threading.Condition()
        self.peer = None
        self.held = []
        self.tcp, self.udp = same_port(address)
        self.port = self.tcp.getsockname()[1]
        self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.wake, self.waker = socket.socketpair()
        self.thread = threading.Thread(target=self.serve, daemon=True)

    @property
    def address(self):
        host, port = self.udp.getsockname()
        return f"{host}:{port}"

    @property
    def names(self):
        """What was asked: (name, type) without the transport."""
        return [(name, kind) for name, kind, _ in self.asked]

    def reply(self, query):
        """The proper reply by ``zone``."""
        response = dns.message.make_response(query, recursion_available=True)
        question = query.question[0]
        records = self.zone.get((question.name.to_text(), question.rdtype.name))
        if records is None:
            known = any(name == question.name.to_text() for name, _ in self.zone)
            response.set_rcode(dns.rcode.NOERROR if known else dns.rcode.NXDOMAIN)
            soa = "ns.test. admin.test. 1 2 3 4 60"
            response.authority.append(dns.rrset.from_text("test.", 60, "IN", "SOA", soa))
        elif isinstance(records, dns.rcode.Rcode):
            response.set_rcode(records)
        else:
            for owner, ttl, kind, *data in (record.split(maxsplit=3) for record in records):
                response.answer.append(dns.rrset.from_text(owner, int(ttl), "IN", kind, *data))
        return response

    def hold(self, query, tcp):
        """An answer for later: as ``answer`` it keeps the server silent until :meth:`release`."""
        self.held.append((query, self.peer))

    def release(self):
        """Send the answers held back, each to where its question came from."""
        for query, peer in self.held:
            self.udp.sendto(self.reply(query).to_wire(max_size=65535), peer)

    def serve(self):
        with selectors.DefaultSelector() as selector:
            for one in (self.udp, self.tcp, self.wake):
                selector.register(one, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self.wake:
                        return
                    (self.serve_udp if key.fileobj is self.udp else self.serve_tcp)()

    def serve_udp(self):
        data, self.peer = self.udp.recvfrom(65535)
        for one in self.answers(data, tcp=False):
            self.udp.sendto(one, self.peer)

    def serve_tcp(self):
        connection, _ = self.tcp.accept()
        with connection, contextlib.suppress(OSError):
            connection.settimeout(60)
            size = int.from_bytes(connection.recv(2, socket.MSG_WAITALL))
            for one in self.answers(connection.recv(size, socket.MSG_WAITALL), tcp=True):
                connection.sendall(len(one).to_bytes(2) + one)

    def answers(self, data, tcp):
        query = dns.message.from_wire(data)
        question = query.question[0]
        answer = self.answer(query, tcp)
        with self.changed:
            self.asked.append((question.name.to_text(), question.rdtype.name, "tcp" if tcp else "udp"))
            self.changed.notify_all()
        if answer is None:
            return []
        return answer if isinstance(answer, list) else [answer]

    def wait_asked(self, count):
        """Wait until so many questions have been asked."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.asked) >= count, timeout=60)

    def close(self):
        """Stop and close the sockets; from then on the kernel refuses for this server."""
        if self.udp.fileno() < 0:
            return
        self.waker.send(b"x")
        self.thread.join()
        for one in (self.udp, self.tcp, self.wake, self.waker):
            one.close()


@pytest.fixture
def with_turns():
    """``with_turns(resolver, seconds)``: the resolver, which waits so long for a server before it asks the next.

    resolv.conf says that, but names no ports. Long turns: however slow the machine, no question is asked again that
    is being answered. Short ones, under a long deadline: a silent server is passed over soon, and nothing else fails.
    """

    def change(resolver, seconds):
        policy = resolver._policy
        policy._fixed = dataclasses.replace(policy._fixed, timeout=seconds)
        return resolver

    return change


@pytest.fixture
def fake_dns():
    """Makes FakeDNS servers: ``fake_dns(zone=..., answer=..., address=...)``."""
    servers = []

    def make(**settings):
        server = FakeDNS(**settings)
        server.thread.start()
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.close()
