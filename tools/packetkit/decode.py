"""Bytes to headers: the declared ones, the user's own, and RSP, which is known by its check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from rawproto import UDP, Datagram, DecodeError, IPv4, IPv6
from rawproto.rsp.config import DEFAULT_PROTOCOL
from rawproto.rsp.header import Common, Kind

from .rsp import read_rsp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rawproto import Header

    from .packet import Packet

__all__ = ["Decoded", "Decoder"]

_MOST_FLOWS = 4096
_HANDSHAKE = (Kind.SYN, Kind.COOKIE, Kind.CONFIRM)


class Decoded(NamedTuple):
    """A packet understood.

    Attributes:
        packet: as it was captured.
        datagram: its headers and payload, as far as they could be read; None when nothing could.
        problems: what is wrong with it, one sentence each.
    """

    packet: Packet
    datagram: Datagram | None
    problems: tuple[str, ...] = ()

    @property
    def headers(self) -> tuple[Header, ...]:
        """From the outermost in."""
        return () if self.datagram is None else self.datagram.headers

    @property
    def payload(self) -> bytes:
        """Behind the innermost header."""
        return b"" if self.datagram is None else self.datagram.payload

    @property
    def ip(self) -> Any:
        """The IP header, or None."""
        first = self.headers[0] if self.headers else None
        return first if isinstance(first, IPv4 | IPv6) else None


class Decoder:
    """Reads packets; remembers which UDP ports speak RSP.

    Args:
        judge: look for what is wrong in each packet, such as checksums.
        places: headers by (IP protocol number, port or None) where they are to be expected besides their own number.
    """

    def __init__(
        self, *, judge: bool = False, places: Mapping[tuple[int, int | None], type[Header]] | None = None
    ) -> None:
        self._judge = judge
        self._places = dict(places or {})
        self._rsp_ports: set[tuple[bytes, int]] = set()

    def decode(self, packet: Packet) -> Decoded:
        """What ``packet`` is; never raises."""
        if not packet.is_ip:
            return Decoded(packet, None)
        problems: list[str] = []
        try:
            datagram = Datagram.parse(packet.data, quoted=not packet.is_whole)
        except DecodeError as error:
            problems.append(f"malformed: {error}")
            try:
                datagram = Datagram.parse(packet.data, quoted=True)
            except DecodeError:
                return Decoded(packet, None, tuple(problems))
        if self._judge and packet.is_whole and not problems:
            problems += self._faults(datagram, checked=packet.checked)
        return Decoded(packet, self._further(datagram, whole=packet.is_whole), tuple(problems))

    @staticmethod
    def _faults(datagram: Datagram, *, checked: bool) -> list[str]:
        faults = datagram.verify()
        return faults if checked else [fault for fault in faults if ".checksum" not in fault]

    def _further(self, datagram: Datagram, *, whole: bool) -> Datagram:
        """With what no protocol number announces."""
        if not datagram.payload or not datagram.headers:
            return datagram
        last: Any = datagram.headers[-1]
        found = self._placed(last, datagram.payload)
        if found is None:
            found = self._rsp(datagram, last, whole=whole)
        if found is None:
            return datagram
        header, rest = found
        return Datagram((*datagram.headers, header), rest)

    def _placed(self, last: Any, payload: bytes) -> tuple[Header, bytes] | None:
        """What the user said is to be found behind ``last``."""
        if not self._places:
            return None
        number = _number_behind(last)
        keys = [(number, None)] if number is not None else []
        if hasattr(last, "sport") and last.protocol_number is not None:
            keys += [(last.protocol_number, last.sport), (last.protocol_number, last.dport)]
        for key in keys:
            header = self._places.get(key)
            if header is Common:
                return read_rsp(payload, certain=True)
            if header is not None:
                try:
                    return header.parse(payload)
                except DecodeError:
                    return None
        return None

    def _rsp(self, datagram: Datagram, last: Any, *, whole: bool) -> tuple[Header, bytes] | None:
        if isinstance(last, UDP):
            first: Any = datagram.headers[0]
            ends = ((bytes(first.src), last.sport), (bytes(first.dst), last.dport))
            certain = all(end in self._rsp_ports for end in ends)
            found = read_rsp(datagram.payload, certain=certain, whole=whole)
            if found is not None and not certain and getattr(found[0], "kind", None) in _HANDSHAKE:
                # What follows may have no check of its own.
                if len(self._rsp_ports) >= _MOST_FLOWS:
                    self._rsp_ports.clear()
                self._rsp_ports.update(ends)
            return found
        if _number_behind(last) == DEFAULT_PROTOCOL:
            return read_rsp(datagram.payload, certain=False, whole=whole) or (
                None if whole else read_rsp(datagram.payload, certain=True)
            )
        return None


def _number_behind(header: Any) -> int | None:
    """The protocol number that an IP header announces, of a datagram that is no fragment."""
    if isinstance(header, IPv4):
        return None if header.is_fragment else int(header.protocol or 0)
    if isinstance(header, IPv6):
        return int(header.next_header or 0)
    return None
