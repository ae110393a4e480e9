"""What a run of the demo came to, as numbers."""

from __future__ import annotations

import dataclasses

__all__ = ["DECISIONS", "Relay", "Result", "Side"]

DECISIONS = 1000


@dataclasses.dataclass
class Side:
    """What one end says of itself when all is over.

    Attributes:
        sha256: digest of what it sent or received, in hex.
        size: bytes sent or received.
        packets_sent: datagrams sent, of all kinds.
        retransmitted: packets whose bytes had been sent before.
        lost: packets declared lost.
        duplicates: datagrams that arrived a second time.
        corrupted: datagrams dropped for a wrong integrity check.
        kernel_drops: datagrams dropped by this host's kernel for want of room.
        rtt: smoothed round trip in seconds.
        min_rtt: smallest round trip in seconds.
    """

    sha256: str = ""
    size: int = 0
    packets_sent: int = 0
    retransmitted: int = 0
    lost: int = 0
    duplicates: int = 0
    corrupted: int = 0
    kernel_drops: int = 0
    rtt: float = 0.0
    min_rtt: float = 0.0


@dataclasses.dataclass
class Relay:
    """What the link did, both directions together, in packets.

    ``starved`` counts what it lost for want of room or time of its own, which nobody asked for. ``decisions`` is a
    digest of what chance had in store for the first :data:`DECISIONS` packets toward the receiver.
    """

    carried: int = 0
    lost: int = 0
    overflowed: int = 0
    reordered: int = 0
    duplicated: int = 0
    corrupted: int = 0
    starved: int = 0
    decisions: str = ""


@dataclasses.dataclass
class Result:
    """A run that came to its end.

    Attributes:
        where: "namespaces", "user namespace" or "simulation".
        name: the file's name.
        seconds: from the first byte written to the receiver's word that all is there.
        wall: seconds of the clock on the wall for the same; differs in the simulator.
        rate: of the link, bits per second.
        sender: the sending end.
        receiver: the receiving end.
        relay: the link.
    """

    where: str
    name: str
    seconds: float
    wall: float
    rate: float
    sender: Side
    receiver: Side
    relay: Relay

    @property
    def equal(self) -> bool:
        """Whether both sides have the same bytes."""
        return self.sender.sha256 == self.receiver.sha256 and self.sender.size == self.receiver.size

    @property
    def goodput(self) -> float:
        """Bits of the file per second."""
        return self.receiver.size * 8 / self.seconds if self.seconds else 0.0

    @property
    def share(self) -> float:
        """Goodput as a share of the link's rate."""
        return self.goodput / self.rate
