"""The counters of a connection, the same for every transport."""

from __future__ import annotations

import dataclasses

__all__ = ["ConnStats"]


@dataclasses.dataclass(slots=True)
class ConnStats:
    """Counters of a connection; None where the transport cannot tell. Sizes in bytes, times in seconds.

    "Sent" counts every transmission; "written", "acknowledged", "received" and "read" count the stream's bytes once.
    """

    state: str | None = None
    bytes_written: int | None = None
    """Taken from the application."""
    bytes_sent: int | None = None
    bytes_acknowledged: int | None = None
    bytes_received: int | None = None
    """Arrived in order."""
    bytes_read: int | None = None
    """Given to the application."""
    packets_sent: int | None = None
    packets_received: int | None = None
    packets_lost: int | None = None
    packets_retransmitted: int | None = None
    bytes_retransmitted: int | None = None
    spurious_losses: int | None = None
    """Declared lost and acknowledged after all."""
    probes: int | None = None
    acks_sent: int | None = None
    acks_received: int | None = None
    duplicates_received: int | None = None
    corrupted_received: int | None = None
    refused_received: int | None = None
    """Packets whose data lay beyond the window or would have opened too many holes."""
    congestion_marks: int | None = None
    rtt_latest: float | None = None
    rtt_smoothed: float | None = None
    rtt_minimum: float | None = None
    rtt_variation: float | None = None
    congestion_window: int | None = None
    bytes_in_flight: int | None = None
    peer_window: int | None = None
    receive_window: int | None = None
    max_datagram: int | None = None
    """Largest datagram sent now, RSP header included."""
    mtu_probes: int | None = None
    """Padded packets sent to find a larger one that the path carries."""
    black_holes: int | None = None
    """Times that large datagrams vanished on the path, and smaller ones were sent from then on."""
    integrity: str | None = None
    congestion: str | None = None
    kernel_drops: int | None = None
    """Packets dropped by the kernel for want of room in the receive buffer, of the whole socket where it is shared."""
