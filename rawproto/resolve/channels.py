"""The sockets of a lookup, non-blocking, for both drivers: messages of exchanges out, what arrives back to them.

While few questions are open each has a UDP socket, and so a source port, of its own, which makes answers hard to
forge (RFC 5452 section 4). Beyond ``max_sockets`` questions to one server share sockets and are told apart by ID:
a silent server can hold a bounded number of descriptors and no lookup has to queue for one.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.resolve.config import Server
    from rawproto.resolve.exchange import Exchange, Send

__all__ = ["Channel", "Hub"]

# Faults of this host that pass: out of descriptors, memory, buffers or ports.
_LOCAL = frozenset(
    (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN, errno.EADDRNOTAVAIL)
)
_RECEIVE = 65_535


class Watch(Protocol):
    """How a driver waits for a socket: for readable, or for writable too."""

    def __call__(self, channel: Channel, *, writable: bool) -> None:
        """Begin, or change, the waiting."""


class Channel:
    """A connected non-blocking socket and who waits for what on it."""

    def __init__(self, server: Server, kind: int) -> None:
        self.server = server
        self.users: dict[int, tuple[Exchange, int]] = {}
        """By message ID: the exchange and its token."""
        self.socket = socket.socket(socket.AF_INET6 if ":" in server[0] else socket.AF_INET, kind)
        self.socket.setblocking(False)

    @property
    def wants_write(self) -> bool:
        """Whether to wait for writable, too."""
        return False

    def send(self, send: Send) -> None:
        """Send a message, now or when the socket is ready."""
        raise NotImplementedError

    def ready(self, now: float) -> list[Exchange]:
        """Read and write what can be; give the exchanges that heard something."""
        raise NotImplementedError

    def fail(self, error: OSError, now: float) -> list[Exchange]:
        """Tell everybody who waits on this socket that it failed."""
        users, self.users = self.users, {}
        for exchange, token in users.values():
            _report(exchange, token, error, now)
        return [exchange for exchange, _ in users.values()]


class _UDPChannel(Channel):
    def __init__(self, server: Server) -> None:
        super().__init__(server, socket.SOCK_DGRAM)
        try:
            # Connected, the kernel drops what others send, and an ICMP "unreachable" is told at once.
            self.socket.connect(server)
        except OSError:
            self.socket.close()
            raise

    def send(self, send: Send) -> None:
        self.socket.send(send.payload)

    def ready(self, now: float) -> list[Exchange]:
        touched: list[Exchange] = []
        while True:
            try:
                data = self.socket.recv(_RECEIVE)
            except (BlockingIOError, InterruptedError):
                return touched
            except OSError as error:
                return touched + self.fail(error, now)
            user = self.users.get(int.from_bytes(data[:2]))
            if user is not None:
                user[0].handle_message(user[1], data, now)
                touched.append(user[0])


class _TCPChannel(Channel):
    def __init__(self, server: Server) -> None:
        super().__init__(server, socket.SOCK_STREAM)
        self._out = b""
        self._in = b""
        self._connected = False
        code = self.socket.connect_ex(server)
        if code not in (0, errno.EINPROGRESS):
            self.socket.close()
            raise OSError(code, os.strerror(code))

    @property
    def wants_write(self) -> bool:
        return bool(self._out)

    def send(self, send: Send) -> None:
        if not self._out and not self._connected:  # asked again while connecting: once is enough
            self._out = len(send.payload).to_bytes(2) + send.payload

    def ready(self, now: float) -> list[Exchange]:
        try:
            if self._out and not self._write():
                return []
            return self._read(now)
        except (BlockingIOError, InterruptedError):
            return []
        except OSError as error:
            return self.fail(error, now)

    def _write(self) -> bool:
        if not self._connected:
            code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code))
        sent = self.socket.send(self._out)
        self._connected = True
        self._out = self._out[sent:]
        return not self._out

    def _read(self, now: float) -> list[Exchange]:
        data = self.socket.recv(_RECEIVE)
        if not data:
            raise ConnectionResetError(errno.ECONNRESET, "connection closed before the answer")
        self._in += data
        size = int.from_bytes(self._in[:2])
        if len(self._in) < 2 or len(self._in) < 2 + size:
            return []
        # One question a connection: whatever this was, the connection has done its work.
        users, self.users = self.users, {}
        for exchange, token in users.values():
            exchange.handle_message(token, self._in[2 : 2 + size], now)
        return [exchange for exchange, _ in users.values()]


class Hub:
    """The open channels of one driver.

    Args:
        watch: called with a channel that is new, or wants to write from now on or no longer.
        unwatch: called before a channel is closed.
        max_sockets: how many UDP sockets to open before sharing them.
    """

    def __init__(self, watch: Watch, unwatch: Callable[[Channel], None], max_sockets: int = 128) -> None:
        self._watch = watch
        self._unwatch = unwatch
        self._max_sockets = max_sockets
        self._channels: dict[Exchange, dict[int, Channel]] = {}
        self._open_udp: dict[Server, list[Channel]] = {}
        self._udp_count = 0

    def pump(self, exchange: Exchange, now: float) -> None:
        """Send what the exchange wants sent now; when it has its outcome, let go of its sockets."""
        while (send := exchange.poll_send(now)) is not None:
            try:
                channel = self._channel_for(exchange, send)
                channel.send(send)
                self._watch(channel, writable=channel.wants_write)
            except OSError as error:
                self._leave(exchange, send.token)
                _report(exchange, send.token, error, now)
        if exchange.outcome is not None:
            self.release(exchange)

    def ready(self, channel: Channel, now: float) -> list[Exchange]:
        """A watched socket is ready; give the exchanges to pump."""
        before = channel.wants_write
        touched = channel.ready(now)
        if not channel.users:
            for exchange in touched:
                mine = self._channels.get(exchange, {})
                for token in [token for token, one in mine.items() if one is channel]:
                    del mine[token]
            self._close(channel)
        elif channel.wants_write != before:
            self._watch(channel, writable=channel.wants_write)
        return touched

    def release(self, exchange: Exchange) -> None:
        """Let go of all sockets of an exchange."""
        for token in list(self._channels.get(exchange, ())):
            self._leave(exchange, token)
        self._channels.pop(exchange, None)

    def close(self) -> None:
        """Let go of everything."""
        for exchange in list(self._channels):
            self.release(exchange)

    def _channel_for(self, exchange: Exchange, send: Send) -> Channel:
        mine = self._channels.setdefault(exchange, {})
        channel = mine.get(send.token)
        if channel is None:
            channel = _TCPChannel(send.server) if send.tcp else self._udp_channel(send)
            mine[send.token] = channel
            channel.users[send.ident] = (exchange, send.token)
        return channel

    def _udp_channel(self, send: Send) -> Channel:
        channels = self._open_udp.setdefault(send.server, [])
        if self._udp_count >= self._max_sockets:
            free = (channel for channel in channels if send.ident not in channel.users)
            shared = min(free, key=lambda channel: len(channel.users), default=None)
            if shared is not None:
                return shared
        channel = _UDPChannel(send.server)
        channels.append(channel)
        self._udp_count += 1
        return channel

    def _leave(self, exchange: Exchange, token: int) -> None:
        channel = self._channels.get(exchange, {}).pop(token, None)
        if channel is None:
            return
        for ident in [ident for ident, user in channel.users.items() if user == (exchange, token)]:
            del channel.users[ident]
        if not channel.users:
            self._close(channel)

    def _close(self, channel: Channel) -> None:
        if channel.socket.fileno() < 0:
            return
        channels = self._open_udp.get(channel.server, [])
        if channel in channels:
            channels.remove(channel)
            self._udp_count -= 1
            if not channels:
                del self._open_udp[channel.server]
        self._unwatch(channel)
        channel.socket.close()


def _report(exchange: Exchange, token: int, error: OSError, now: float) -> None:
    reason = error.strerror or str(error)
    exchange.handle_error(token, reason.lower(), now, local=error.errno in _LOCAL)
