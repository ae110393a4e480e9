"""What comes back: ICMP errors out of a socket's error queue, with their extensions (ip(7), RFC 4884)."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from typing import Final, NamedTuple

from rawproto import DecodeError, ICMPExtensions, MPLSLabel, MPLSLabelStack
from rawproto.link.extendederror import ExtendedError
from rawproto.link.linux import (
    IP_RECVERR,
    IP_RECVERR_RFC4884,
    IPV6_RECVERR,
    IPV6_RECVERR_RFC4884,
    SO_TIMESTAMPNS,
)

__all__ = ["Answer", "Meaning", "ask_for_errors", "error_of", "local_mtus", "time_of"]

_RECVERR: Final = ((socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR))
_TIMESPEC: Final = struct.Struct("@ll")

# Unreachable by (version, code) as traceroute has marked it since 1988 (RFC 792, RFC 1812 section 5.2.7.1, RFC 4443).
_MARKS: Final = {
    (4, 0): "!N", (4, 1): "!H", (4, 2): "!P", (4, 5): "!S", (4, 6): "!N", (4, 7): "!H", (4, 9): "!X",
    (4, 10): "!X", (4, 13): "!X", (4, 14): "!V", (4, 15): "!C",
    (6, 0): "!N", (6, 1): "!X", (6, 2): "!S", (6, 3): "!H",
}  # fmt: skip


class Meaning(NamedTuple):
    """What an ICMP error says.

    Attributes:
        expired: the probe got this far and no further.
        mark: as traceroute marks it, "" for none.
        mtu: of the next link when the probe was too big for it, else 0.
    """

    expired: bool
    mark: str = ""
    mtu: int = 0


class Answer(NamedTuple):
    """An answer to one probe.

    Attributes:
        quoted: what it quotes of the probe, from the transport header or payload on, as the socket sends it.
        source: who sent it.
        at: when it arrived, nanoseconds since the epoch.
        meaning: what it says; None for an answer of the destination's protocol itself.
        labels: the MPLS labels the probe bore where it was dropped (RFC 4950).
    """

    quoted: bytes
    source: str
    at: int
    meaning: Meaning | None = None
    labels: tuple[MPLSLabel, ...] = ()


def ask_for_errors(sock: socket.socket, version: int) -> None:
    """Have the kernel keep the ICMP errors about what ``sock`` sends, each with its time and extensions."""
    level = socket.IPPROTO_IP if version == 4 else socket.IPPROTO_IPV6
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.setsockopt(level, IP_RECVERR if version == 4 else IPV6_RECVERR, 1)
    with contextlib.suppress(OSError):  # since Linux 5.9
        sock.setsockopt(level, IP_RECVERR_RFC4884 if version == 4 else IPV6_RECVERR_RFC4884, 1)


def time_of(control: list[tuple[int, int, bytes]], otherwise: int) -> int:
    """The kernel's time of arrival, nanoseconds since the epoch."""
    for level, kind, value in control:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, rest = _TIMESPEC.unpack(value)
            return int(seconds * 1_000_000_000 + rest)
    return otherwise


def error_of(version: int, data: bytes, control: list[tuple[int, int, bytes]], now: int) -> Answer | None:
    """The error that a message of the error queue tells of; None when it is none of the network's."""
    error = _extended(control)
    if error is None or error.is_local or not error.address:
        return None
    meaning = _meaning(version, error.type, error.code, error.info)
    quoted, place = data, error.extensions_at
    labels: tuple[MPLSLabel, ...] = ()
    if 0 < place <= len(data) and not meaning.mtu:
        quoted, labels = data[:place], _labels(data[place:])
    return Answer(quoted, error.address, time_of(control, now), meaning, labels)


def local_mtus(control: list[tuple[int, int, bytes]]) -> list[int]:
    """What the kernel itself says a link takes, in a message of the error queue about too long a datagram."""
    error = _extended(control)
    return [error.info] if error is not None and error.is_local and error.errno == errno.EMSGSIZE else []


def _extended(control: list[tuple[int, int, bytes]]) -> ExtendedError | None:
    return next((ExtendedError.parse(value) for *kind, value in control if tuple(kind) in _RECVERR), None)


def _meaning(version: int, icmp_type: int, code: int, info: int) -> Meaning:
    if icmp_type == (11 if version == 4 else 3):
        return Meaning(expired=True)
    if (version, icmp_type, code) == (4, 3, 4) or (version, icmp_type) == (6, 2):
        return Meaning(expired=False, mark="!F", mtu=info)
    if (version, icmp_type, code) in ((4, 3, 3), (6, 1, 4)):  # the port: the destination has it
        return Meaning(expired=False)
    if (version, icmp_type, code) == (6, 4, 1):  # IPv6's way to say that nobody speaks the protocol
        return Meaning(expired=False, mark="!P")
    if icmp_type == (3 if version == 4 else 1):
        return Meaning(expired=False, mark=_MARKS.get((version, code), f"!<{code}>"))
    return Meaning(expired=False, mark=f"!<{icmp_type}-{code}>")


def _labels(data: bytes) -> tuple[MPLSLabel, ...]:
    try:
        objects = ICMPExtensions.parse(data)[0].objects
    except DecodeError:
        return ()
    return tuple(label for item in objects if isinstance(item, MPLSLabelStack) for label in item.labels)
