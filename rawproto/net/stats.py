"""The counters of a connection, the same for every transport."""

from __future__ import annotations

import dataclasses

__all__ = ["ConnStats"]


@dataclasses.dataclass(slots=True)
class ConnStats:
    """Counters of a connection; None where the transport cannot tell.

    Attributes:
        bytes_sent: bytes of the stream taken from the application.
        bytes_received: bytes of the stream that arrived in order.
        packets_sent: packets sent, retransmissions included.
        packets_received: packets received.
        packets_lost: packets declared lost.
        packets_retransmitted: packets that carried bytes sent before.
        rtt: smoothed round-trip time in seconds.
        min_rtt: smallest round-trip time seen, in seconds.
        congestion_window: bytes that may be in flight.
        mss: bytes of the stream that one packet carries.
        kernel_drops: packets dropped by the kernel for want of room in this socket's receive buffer; for a
            connection that shares its socket, those of all.
    """

    bytes_sent: int | None = None
    bytes_received: int | None = None
    packets_sent: int | None = None
    packets_received: int | None = None
    packets_lost: int | None = None
    packets_retransmitted: int | None = None
    rtt: float | None = None
    min_rtt: float | None = None
    congestion_window: int | None = None
    mss: int | None = None
    kernel_drops: int | None = None
