"""A broker that opens raw sockets for processes without the privilege.

The broker runs with CAP_NET_RAW and listens on a Unix socket. A client names a protocol; when a rule allows that, for
the user the kernel says the client is, the broker opens the raw socket, attaches a filter, locks it (SO_LOCK_FILTER)
and passes the descriptor. From then on the client needs nobody::

    sudo python -m rawproto.link.broker /run/rawproto.sock --protocol 1 --protocol 253 --user alice

    sock = RawSocket(1, sock=ask_broker("/run/rawproto.sock", 1))

What the lock secures is what the client can see. What it sends is not filtered: who holds a raw socket can send
packets with any IP header (IP_HDRINCL needs no privilege). Allow only users who may do that.

One SOCK_SEQPACKET connection carries one JSON request, ``{"protocol", "version", "interface", "filter"}`` with the
filter in hexadecimal, and one answer, ``{"error"}`` or an empty object with the descriptor.
"""

from __future__ import annotations

import array
import dataclasses
import json
import os
import pathlib
import selectors
import socket
import struct
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from rawproto.errors import ConfigError, OpError, PrivilegeError, RawprotoError
from rawproto.link import options
from rawproto.link.opening import bind, drain, open_raw

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType
    from typing import Self, SupportsBytes

__all__ = ["Allow", "Broker", "ask_broker"]

_REQUEST_SIZE: Final = 65_536
_ANSWER_SIZE: Final = 4_096
_PATIENCE: Final = 5.0  # seconds until a client that asks for nothing is hung up on
_CLIENTS: Final = 64
_CREDENTIALS: Final = struct.Struct("=iII")  # struct ucred: process, user, group (unix(7))
_EVERYTHING: Final = struct.pack("=HBBI", 0x06, 0, 0, 0xFFFFFFFF)  # ret #-1


@dataclasses.dataclass(frozen=True)
class Allow:
    """A rule: these protocols for these users.

    Attributes:
        protocols: IP protocol numbers.
        users: user ids; None is everybody who can open the broker's Unix socket.
        filter: program attached whatever the client asks for; None attaches the client's own.
    """

    protocols: frozenset[int]
    users: frozenset[int] | None = None
    filter: SupportsBytes | None = None

    def permits(self, protocol: int, user: int) -> bool:
        """Whether ``user`` may have a socket of ``protocol``."""
        return protocol in self.protocols and (self.users is None or user in self.users)


class Broker:
    """Serves raw sockets on a Unix socket.

    Args:
        path: where to listen; must not exist yet, and is removed by :meth:`close`.
        rules: what is allowed; the first rule that fits decides. What none allows is refused.
        mode: permissions of the Unix socket.

    Raises:
        OpError: the path cannot be listened on.
    """

    def __init__(self, path: str | os.PathLike[str], rules: Iterable[Allow], *, mode: int = 0o666) -> None:
        self._rules = tuple(rules)
        self._path = pathlib.Path(path)
        self._since: dict[socket.socket, float] = {}
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._listener.bind(str(self._path))
            self._path.chmod(mode)
            self._listener.listen(_CLIENTS)
            self._listener.setblocking(False)
        except OSError as error:
            self._listener.close()
            raise OpError(
                str(error), op="listen", network="unix", local=self._path, errno=error.errno
            ) from error
        self._selector = selectors.DefaultSelector()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)

    def serve(self) -> None:
        """Answer clients until another thread calls :meth:`stop`."""
        while True:
            for key, _ in self._selector.select(1.0):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fd == self._wake:
                    return
                else:
                    assert isinstance(key.fileobj, socket.socket)
                    self._answer(key.fileobj)
            self._hang_up_on_the_silent()

    def stop(self) -> None:
        """Let :meth:`serve` return; from any thread."""
        os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Stop listening and remove the Unix socket. Sockets passed on live on."""
        for client in list(self._since):
            self._drop(client)
        self._selector.close()
        self._listener.close()
        os.close(self._wake)
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        if len(self._since) >= _CLIENTS:
            client.close()
            return
        client.setblocking(False)
        self._since[client] = time.monotonic()
        self._selector.register(client, selectors.EVENT_READ)

    def _hang_up_on_the_silent(self) -> None:
        limit = time.monotonic() - _PATIENCE
        for client in [client for client, since in self._since.items() if since < limit]:
            self._drop(client)

    def _drop(self, client: socket.socket) -> None:
        del self._since[client]
        self._selector.unregister(client)
        client.close()

    def _answer(self, client: socket.socket) -> None:
        """Read the request of a client, answer it and hang up."""
        try:
            request = client.recv(_REQUEST_SIZE)
            if not request:
                return
            record = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            try:
                sock = self._open(request, _CREDENTIALS.unpack(record)[1])
            except (RawprotoError, OSError) as error:
                client.send(json.dumps({"error": str(error)}).encode()[:_ANSWER_SIZE])
                return
            with sock:
                rights = array.array("i", [sock.fileno()])
                client.sendmsg([b"{}"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        except OSError:  # the client went away
            pass
        finally:
            self._drop(client)

    def _open(self, request: bytes, user: int) -> socket.socket:
        """The socket asked for; raises ConfigError when the request makes no sense or no rule allows it."""
        protocol, version, interface, program = _parse(request)
        rule = next((rule for rule in self._rules if rule.permits(protocol, user)), None)
        if rule is None:
            raise ConfigError(f"no rule of the broker allows protocol {protocol} to user {user}")
        network = f"ip{version}:{protocol}"
        sock = open_raw(protocol, version, network)
        try:
            options.attach_filter(sock, rule.filter or program or _EVERYTHING)
            options.lock_filter(sock)
            bind(sock, version, network, None, interface)
            drain(sock)
        except BaseException:
            sock.close()
            raise
        return sock


def _parse(request: bytes) -> tuple[int, int, str | None, bytes]:
    """Protocol, version, interface and filter of a request; raises ConfigError for whatever else it is."""
    try:
        asked: dict[str, Any] = json.loads(request)
        protocol, version, interface = asked["protocol"], asked["version"], asked["interface"]
        program = bytes.fromhex(asked["filter"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(f"not a request: {error}") from error
    is_number = type(protocol) is int and 0 < protocol < 256
    if not is_number or version not in (4, 6) or not (interface is None or isinstance(interface, str)):
        raise ConfigError("not a request: protocol, version or interface out of range")
    return protocol, version, interface, program


def ask_broker(
    path: str | os.PathLike[str],
    protocol: int,
    *,
    version: int = 4,
    interface: str | None = None,
    filter: SupportsBytes | None = None,  # noqa: A002 - the public name
    timeout: float = 30.0,
) -> socket.socket:
    """A raw socket from the broker at ``path``, for the ``sock`` argument of RawSocket and RawLink.

    Args:
        path: the broker's Unix socket.
        protocol: IP protocol number.
        version: 4 or 6.
        interface: receive from and send through this interface only.
        filter: classic BPF program, see :class:`RawLink`; it is final, as is that of the broker's rule, which goes
            before it, and the one that takes everything where there is neither.
        timeout: seconds to wait for the answer.

    Raises:
        PrivilegeError: the broker refuses; ``ways`` has its words.
        OpError: there is no broker at ``path``, or it does not answer in time.
    """
    program = b"" if filter is None else bytes(filter)
    request = {"protocol": protocol, "version": version, "interface": interface, "filter": program.hex()}
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as broker:
            broker.settimeout(timeout)
            broker.connect(os.fspath(path))
            broker.send(json.dumps(request).encode())
            answer, descriptors, _, _ = socket.recv_fds(broker, _ANSWER_SIZE, 1)
    except OSError as error:
        raise OpError(str(error), op="ask", network="broker", remote=path, errno=error.errno) from error
    if descriptors:
        return socket.socket(fileno=descriptors[0])
    reason = json.loads(answer)["error"] if answer else "it hung up"
    ways = (f"the broker at {os.fspath(path)} says: {reason}", "ask whoever runs it to add a rule")
    raise PrivilegeError(f"get a raw IPv{version} socket of protocol {protocol}", "CAP_NET_RAW", ways)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a broker from the command line until it is interrupted."""
    import argparse
    import pwd

    parser = argparse.ArgumentParser(
        prog="python -m rawproto.link.broker",
        description="Open filtered raw sockets for users without CAP_NET_RAW.",
        epilog="example: sudo python -m rawproto.link.broker /run/rawproto.sock --protocol 253 --user alice",
    )
    parser.add_argument("path", help="Unix socket to listen on")
    parser.add_argument(
        "--protocol", type=int, action="append", required=True, help="protocol to allow (repeatable)"
    )
    parser.add_argument("--user", action="append", help="user to allow (repeatable; default: everybody)")
    asked = parser.parse_args(arguments)
    try:
        users = None if not asked.user else frozenset(pwd.getpwnam(name).pw_uid for name in asked.user)
    except KeyError as error:
        parser.error(str(error))
    with Broker(asked.path, [Allow(frozenset(asked.protocol), users)]) as broker:
        try:
            broker.serve()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
