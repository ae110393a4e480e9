"""What can be chosen about RSP, in one frozen value."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from rawproto.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["RSPConfig"]

DEFAULT_PROTOCOL = 253
"""For experimentation and testing (RFC 3692, IANA protocol numbers)."""

_KIB, _MIB = 1 << 10, 1 << 20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RSPConfig:
    """Settings of an RSP endpoint and its connections; times in seconds, sizes in bytes.

    Attributes:
        protocol: IP protocol number that carries RSP (not used inside UDP), 0 to 255.
        link: "raw" for a raw socket; "packet" for a packet socket, which finds the next hop itself; "exclusive" for
            one that has the protocol to itself: no other program of the host is given packets that come for it to
            the same address. That spares the IP stack, and needs CAP_NET_ADMIN.
        congestion: name of the congestion controller: "bbr", "cubic" or "newreno".
        integrity: integrity check wanted: "xxh3", "crc32" or "none"; None lets the carrier decide (XXH3 on IP
            itself, none inside UDP, whose checksum stands guard). The stronger wish of the two sides is used.
        max_datagram: largest datagram sent, RSP header included; None follows the link's MTU as it is when the
            endpoint is opened.
        path_mtu_discovery: find the largest datagram that the path carries by probing (RFC 8899); False sends
            the largest from the beginning, which must then pass everywhere.
        send_buffer: most bytes written and not yet acknowledged; ``write`` blocks beyond.
        receive_window: largest window offered; it starts at ``initial_window`` and grows with the path.
        initial_window: window offered in the handshake.
        handshake_timeout: give up connecting after this long.
        idle_timeout: give a connection up when nothing was heard for this long while something was due or
            keepalive is on.
        keepalive: probe a silent peer after this long; None never does.
        linger: how long a closed connection may take to deliver what was written.
        backlog_memory: most bytes received for a connection before it was accepted.
        backlog_share: most connections of one source (an IPv4 address, a /64 of IPv6) that wait to be accepted; and
            three quarters of the backlog at most, when it is not small.
        memory_limit: most bytes that all connections of an endpoint hold together, received and not read or written
            and not acknowledged. From half of it on windows shrink; near it new connections are refused.
        ecn: mark packets ECN-capable and react to marks.
        receive_buffer: receive buffer asked of the kernel for the endpoint's socket.
        trace: folder for connection traces (qlog's main schema; the newest 262,144 events of each), or None.
        source_port_range: local ports to dial from.
    """

    protocol: int = DEFAULT_PROTOCOL
    link: Literal["raw", "packet", "exclusive"] = "raw"
    congestion: str = "bbr"
    integrity: str | None = None
    max_datagram: int | None = None
    path_mtu_discovery: bool = True
    send_buffer: int = 4 * _MIB
    receive_window: int = 16 * _MIB
    initial_window: int = 256 * _KIB
    handshake_timeout: float = 30.0
    idle_timeout: float = 60.0
    keepalive: float | None = None
    linger: float = 30.0
    backlog_memory: int = 64 * _KIB
    backlog_share: int = 256
    memory_limit: int = 256 * _MIB
    ecn: bool = False
    receive_buffer: int = 8 * _MIB
    trace: Path | None = None
    source_port_range: tuple[int, int] = (49152, 65535)

    def __post_init__(self) -> None:
        from rawproto.rsp.checks import check_bit
        from rawproto.rsp.congestion.base import controller

        _within("protocol", self.protocol, 0, 255)
        if self.link not in ("raw", "packet", "exclusive"):
            raise ConfigError(f"link must be 'raw', 'packet' or 'exclusive', not {self.link!r}")
        controller(self.congestion)
        if self.integrity is not None:
            check_bit(self.integrity)
        if self.max_datagram is not None:
            _within("max_datagram", self.max_datagram, 256, 65487)
        _within("send_buffer", self.send_buffer, 1, 1 << 40)
        _within("receive_window", self.receive_window, 1, 1 << 40)
        _within("initial_window", self.initial_window, 1, self.receive_window)
        _within("backlog_memory", self.backlog_memory, 1, 1 << 40)
        _within("backlog_share", self.backlog_share, 1, 1 << 31)
        _within("memory_limit", self.memory_limit, 64 * _KIB, 1 << 50)
        _within("receive_buffer", self.receive_buffer, 2048, 1 << 31)
        for name in ("handshake_timeout", "idle_timeout", "linger"):
            _positive(name, getattr(self, name))
        if self.keepalive is not None:
            _positive("keepalive", self.keepalive)
        low, high = self.source_port_range
        if not 1 <= low <= high <= 65535:
            raise ConfigError(f"source_port_range must lie in 1 to 65535, not {low} to {high}")


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{name} must be from {low} to {high}, not {value}")


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise ConfigError(f"{name} must be more than 0 seconds, not {value}")
