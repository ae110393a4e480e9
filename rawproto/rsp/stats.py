"""Counters of a connection, as its ``stats()`` gives them, and of an endpoint."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from rawproto.protocol import SECOND
from rawproto.rsp.header import DATA_HEADER_SIZE

if TYPE_CHECKING:
    from rawproto.rsp.core import Core

__all__ = ["ConnectionStats", "EndpointStats", "snapshot"]


@dataclasses.dataclass(slots=True)
class ConnectionStats:
    """A snapshot; sizes in bytes of the stream, times in seconds.

    "Sent" counts every transmission, "written" and "acknowledged" count the stream's bytes once.
    """

    state: str = ""
    bytes_written: int = 0
    bytes_sent: int = 0
    bytes_acknowledged: int = 0
    bytes_received: int = 0
    bytes_read: int = 0
    packets_sent: int = 0
    packets_received: int = 0
    packets_lost: int = 0
    packets_retransmitted: int = 0
    bytes_retransmitted: int = 0
    spurious_losses: int = 0
    probes: int = 0
    acks_sent: int = 0
    acks_received: int = 0
    duplicates_received: int = 0
    corrupted_received: int = 0
    refused_received: int = 0
    """Packets whose data lay beyond the window or would have opened too many holes."""
    congestion_marks: int = 0
    rtt_latest: float = 0.0
    rtt_smoothed: float = 0.0
    rtt_minimum: float = 0.0
    rtt_variation: float = 0.0
    congestion_window: int = 0
    bytes_in_flight: int = 0
    peer_window: int = 0
    receive_window: int = 0
    max_datagram: int = 0
    """Largest datagram sent now, RSP header included."""
    mtu_probes: int = 0
    """Padded packets sent to find a larger one that the path carries."""
    black_holes: int = 0
    """Times that large datagrams vanished on the path, and smaller ones were sent from then on."""
    integrity: str = ""
    congestion: str = ""


@dataclasses.dataclass(slots=True)
class EndpointStats:
    """Counters of an endpoint for what belongs to no connection."""

    received: int = 0
    malformed: int = 0
    """Too short, or of a kind or version that is not known."""
    corrupted: int = 0
    """A wrong integrity check."""
    unknown: int = 0
    """Named a connection that is not here."""
    handshakes: int = 0
    """SYN packets answered with a cookie."""
    cookies_rejected: int = 0
    backlog_full: int = 0
    """CONFIRM packets ignored because too many connections waited, in all or from their source."""
    overloaded: int = 0
    """Connections refused because the memory of all connections was used up."""
    stalled: int = 0
    """Connections given up because their peers took nothing while memory was scarce."""
    out_of_memory: int = 0
    """Connections ended because the process itself got no more memory."""
    not_admitted: int = 0
    refused: int = 0
    """SYN packets to a port nobody listens on."""
    resets_sent: int = 0
    icmp_ignored: int = 0
    accepted: int = 0
    dialed: int = 0


def snapshot(core: Core) -> ConnectionStats:
    """The counters of a connection as they are now."""
    recovery, sender, receiver = core.recovery, core.sender, core.receiver
    rtt = recovery.rtt
    return ConnectionStats(
        state=core.state.value,
        bytes_written=sender.stream.end,
        bytes_sent=sender.bytes,
        bytes_acknowledged=sender.stream.acked_end,
        bytes_received=receiver.stream.next,
        bytes_read=receiver.stream.read_offset,
        packets_sent=sender.packets,
        packets_received=receiver.packets,
        packets_lost=recovery.packets_lost,
        packets_retransmitted=sender.packets_retransmitted,
        bytes_retransmitted=sender.bytes_retransmitted,
        spurious_losses=recovery.spurious_losses,
        probes=core.probes,
        acks_sent=core.acks_sent,
        acks_received=core.acks_received,
        duplicates_received=receiver.duplicates,
        corrupted_received=core.corrupted,
        refused_received=receiver.refused,
        congestion_marks=receiver.acks.congestion_marks,
        rtt_latest=rtt.latest / SECOND,
        rtt_smoothed=rtt.smoothed / SECOND,
        rtt_minimum=rtt.minimum / SECOND,
        rtt_variation=rtt.variation / SECOND,
        congestion_window=recovery.controller.window,
        bytes_in_flight=recovery.sent.bytes_in_flight,
        peer_window=sender.peer_window,
        receive_window=receiver.stream.capacity,
        max_datagram=sender.size + DATA_HEADER_SIZE,
        mtu_probes=core.path_mtu.probes_sent,
        black_holes=core.path_mtu.black_holes,
        integrity=sender.check,
        congestion=recovery.controller.name,
    )
