"""Which datagram of ours caused an ICMP error.

Anybody can send an ICMP error that quotes a datagram we might have sent. What quotes none that was really sent is
forged, or concerns another socket of the same protocol, and is not reported (RFC 5927 section 4).
"""

from __future__ import annotations

import dataclasses
from collections import deque
from typing import TYPE_CHECKING, Final

from rawproto.wire.icmp_error import ICMPError

if TYPE_CHECKING:
    from rawproto.addr import IPAddr

__all__ = ["DatagramError", "SentLog"]

_REMEMBERED: Final = 1024
_FIELDS: Final = tuple(field.name for field in dataclasses.fields(ICMPError))


@dataclasses.dataclass(frozen=True, slots=True)
class DatagramError(ICMPError):
    """An ICMP error with the datagram of ours that caused it.

    Attributes:
        datagram: what was sent, or None when it was part of a batch (then ``quoted`` has its beginning).
    """

    datagram: bytes | None = None


class SentLog:
    """The newest datagrams that were sent one by one, and the destinations of batches.

    Args:
        version: 4 or 6.
        header_included: datagrams begin with their own IP header.
    """

    def __init__(self, version: int, *, header_included: bool) -> None:
        self._version = version
        self._header_included = header_included
        self._newest: deque[tuple[IPAddr, bytes]] = deque(maxlen=_REMEMBERED)
        self._batches: deque[IPAddr] = deque(maxlen=_REMEMBERED)

    def remember(self, destination: IPAddr, datagram: bytes) -> None:
        """``datagram`` is about to be sent; its error can be here before the call that sends it returns."""
        self._newest.append((destination, datagram))

    def remember_batch(self, destination: IPAddr) -> None:
        """A batch is about to be sent to ``destination``."""
        if destination not in self._batches:
            self._batches.append(destination)

    def explain(self, error: ICMPError) -> DatagramError | None:
        """``error`` with the newest datagram that it can be about; None when it is about nothing of ours."""
        datagram = self._find(error)
        if datagram is None and error.destination not in self._batches:
            return None
        return DatagramError(**{name: getattr(error, name) for name in _FIELDS}, datagram=datagram)

    def _find(self, error: ICMPError) -> bytes | None:
        for destination, datagram in reversed(self._newest):
            if destination != error.destination:
                continue
            payload = self._payload(datagram)
            # A quote is cut short, or padded (RFC 4884 section 4).
            if payload.startswith(error.quoted) or (payload and error.quoted.startswith(payload)):
                return datagram
        return None

    def _payload(self, datagram: bytes) -> bytes:
        if not self._header_included:
            return datagram
        return datagram[40:] if self._version == 6 else datagram[(datagram[0] & 15) * 4 :]
