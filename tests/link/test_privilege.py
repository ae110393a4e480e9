"""Without the privilege: a clear error, the broker, and giving privileges up."""

import contextlib
import ctypes
import json
import os
import socket
import tempfile
import threading
from pathlib import Path

import pytest

from rawproto.addr import IPAddr
from rawproto.errors import OpError, PrivilegeError
from rawproto.link import (
    Allow,
    Broker,
    RawLink,
    RawSocket,
    UDPLink,
    ask_broker,
    broker,
    drop_privileges,
    has_capability,
)
from rawproto.wire import assemble, checksum

pytestmark = pytest.mark.netns

NOBODY = 65534


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """A broker that waits for clients of a busy machine, too."""
    monkeypatch.setattr(broker, "_PATIENCE", 60.0)


@contextlib.contextmanager
def serving(host, rules):
    """A broker on ``host``, at a path that everybody can reach."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "broker.sock")

        def serve():
            with host:
                served.serve()

        with Broker(path, rules) as served:
            thread = threading.Thread(target=serve)
            thread.start()
            try:
                yield str(path)
            finally:
                served.stop()
                thread.join()


def become_nobody():
    os.environ.update(SUDO_UID=str(NOBODY), SUDO_GID=str(NOBODY))
    drop_privileges()


def errors_of_nobody():
    become_nobody()
    found = []
    for make in (lambda: RawLink(253), lambda: RawSocket(1, version=6)):
        try:
            make()
        except PrivilegeError as error:
            found.append(error)
    UDPLink().close()  # needs no privilege
    return found


@pytest.mark.usefixtures("two_users")
def test_a_missing_capability_is_named_with_the_ways_to_get_it(pair):
    four, six = pair[0].call(errors_of_nobody, timeout=100)
    assert (four.operation, six.operation) == ("open a raw IPv4 socket", "open a raw IPv6 socket")
    assert isinstance(four, PermissionError)
    assert four.capability == "CAP_NET_RAW"
    text = str(four)
    for way in ("setcap", "ambient", "unshare", "broker"):
        assert way in text


def dropped(under_sudo):
    if under_sudo:
        os.environ.update(SUDO_UID=str(NOBODY), SUDO_GID=str(NOBODY))
    with RawLink(253) as link:
        before = has_capability("CAP_NET_RAW")
        drop_privileges()
        after = has_capability("CAP_NET_RAW")
        link.receive()  # what is open stays open
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, 253).close()
        regained = True
    except PermissionError:
        regained = False
    return before, after, regained, os.getresuid(), os.getgroups()


@pytest.mark.parametrize("under_sudo", [True, False])
@pytest.mark.usefixtures("two_users")
def test_dropping_privileges(pair, under_sudo):
    before, after, regained, users, groups = pair[0].call(dropped, under_sudo, timeout=100)
    assert (before, after, regained) == (True, False, False)
    if under_sudo:
        assert (set(users), groups) == ({NOBODY}, [])


def dropped_without_that_user():
    """In a user namespace that has one id, as an ordinary user gets it from ``unshare --user --map-root-user``."""
    unshare_user()
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/gid_map").write_text("0 0 1")
    Path("/proc/self/uid_map").write_text("0 0 1")
    os.environ.update(SUDO_UID="1000", SUDO_GID="1000")
    try:
        drop_privileges()
    except PrivilegeError as error:
        return str(error), type(error.__cause__).__name__
    return "dropped", ""


def unshare_user():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10000000):  # CLONE_NEWUSER, linux/sched.h
        raise OSError(ctypes.get_errno(), "no user namespace")


def test_a_user_namespace_with_one_id_has_nobody_to_become(pair):
    text, cause = pair[0].call(dropped_without_that_user, timeout=100)
    assert text.startswith("cannot become user 1000, who called sudo: CAP_SETUID is missing")
    assert "unset SUDO_UID" in text
    assert cause == "PermissionError"


def dropped_with_threads():
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        drop_privileges()
        return "dropped"
    except OpError as error:
        return str(error)
    finally:
        done.set()
        thread.join()


def test_other_threads_of_root_would_keep_theirs(pair):
    assert "threads" in pair[0].call(dropped_with_threads, timeout=100)


def ping_as_nobody(path, version, destination):
    become_nobody()
    protocol, request, reply = (1, 8, 0) if version == 4 else (58, 128, 129)
    with RawSocket(protocol, version=version, sock=ask_broker(path, protocol, version=version)) as sock:
        sock.set_deadline(60)
        message = bytes([request, 0, 0, 0, 0, 7, 0, 1]) + b"ping"
        if version == 4:
            message = message[:2] + checksum(message).to_bytes(2, "big") + message[4:]
        sock.send(message, destination)
        while (got := sock.receive()).payload[0] != reply:
            pass
        return got.payload[4:], got.source, os.geteuid()


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.usefixtures("two_users")
def test_an_ordinary_user_pings_through_the_broker(pair, version):
    a, b = pair
    destination = IPAddr(b.ip4 if version == 4 else b.ip6)
    with serving(a, [Allow(frozenset({1, 58}))]) as path:
        answer = a.call(ping_as_nobody, path, version, destination, timeout=100)
    assert answer == (b"\x00\x07\x00\x01ping", destination, NOBODY)


def refusal(path, protocol):
    become_nobody()
    try:
        ask_broker(path, protocol)
    except PrivilegeError as error:
        return str(error)
    return "allowed"


@pytest.mark.usefixtures("two_users")
def test_the_broker_refuses_what_no_rule_allows(pair):
    a, _ = pair
    rules = [
        Allow(frozenset({1})),
        Allow(frozenset({6}), users=frozenset({0})),
        Allow(frozenset({253}), frozenset({NOBODY})),
    ]
    with serving(a, rules) as path:
        assert "no rule of the broker allows protocol 17" in a.call(refusal, path, 17, timeout=100)
        assert "protocol 6 to user 65534" in a.call(refusal, path, 6, timeout=100)
        assert a.call(refusal, path, 253, timeout=100) == "allowed"


def test_the_filter_of_a_rule_is_final(pair):
    a, _ = pair
    only_seven = assemble("ldb [20]\njeq #7, yes, no\nyes: ret #-1\nno: ret #0")
    with serving(a, [Allow(frozenset({253}), filter=only_seven)]) as path, a:
        given = ask_broker(path, 253, filter=assemble("ret #-1"))
        with RawSocket(253, sock=given) as sock:
            with pytest.raises(OSError, match="locked"):
                sock.set_filter(None)
            with pytest.raises(OSError, match="locked"):
                sock.set_filter(assemble("ret #-1"))
            here = IPAddr(a.ip4)
            sock.set_deadline(60)
            sock.send(b"\x06no", here)
            sock.send(b"\x07yes", here)
            assert sock.receive().payload == b"\x07yes"


def asking(**changes):
    return json.dumps({"protocol": 253, "version": 4, "interface": None, "filter": "", **changes}).encode()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"{",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'"x"',
        b"[" * 50_000,
        asking(protocol=999),
        asking(protocol="253"),
        asking(version=5),
        asking(interface="no-such-one"),
        asking(interface=7),
        asking(filter="zz"),
        asking(filter="0000"),
        asking(filter=None),
    ],
)
def test_nonsense_is_answered_and_the_broker_lives(pair, request_bytes):
    with serving(pair[0], [Allow(frozenset({253}))]) as path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            client.settimeout(60)
            client.connect(path)
            client.send(request_bytes)
            assert b"error" in client.recv(4096)
        ask_broker(path, 253).close()


def test_who_asks_for_nothing_is_hung_up_on(pair, monkeypatch):
    monkeypatch.setattr(broker, "_PATIENCE", 0.0)
    with (
        serving(pair[0], [Allow(frozenset({253}))]) as path,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client,
    ):
        client.settimeout(60)
        client.connect(path)
        assert client.recv(4096) == b""


def test_a_path_that_is_taken(tmp_path):
    path = tmp_path / "broker.sock"
    path.write_text("somebody else's")
    open_before = len([*Path("/proc/self/fd").iterdir()])
    with pytest.raises(OpError, match="Address already in use"):
        Broker(path, [])
    assert len([*Path("/proc/self/fd").iterdir()]) == open_before
    assert path.read_text() == "somebody else's"


def test_no_broker_there(tmp_path):
    with pytest.raises(OpError) as caught:
        ask_broker(tmp_path / "nobody.sock", 253)
    assert isinstance(caught.value, OSError)
