"""What can be chosen about the demo."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

__all__ = ["IDLE_TIMEOUT", "Settings"]

IDLE_TIMEOUT = 5.0
"""Seconds without a word from the other side after which either gives up."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """The link and the run; times in seconds, shares from 0 to 1.

    Attributes:
        delay: one way.
        loss: share of packets lost, each way.
        reorder: share of packets that arrive late, behind others.
        duplicate: share of packets that arrive twice.
        corrupt: share of packets in which bits are flipped.
        rate: bits per second, each way.
        seed: the relay's decisions follow from it.
        output: folder for what the run leaves.
        congestion: name of the congestion controller.
        kill_receiver: share of the file after which the receiver is killed, or None.
    """

    delay: float = 0.010
    loss: float = 0.01
    reorder: float = 0.02
    duplicate: float = 0.01
    corrupt: float = 0.005
    rate: float = 50e6
    seed: int = 1
    output: Path = Path("demo-output")
    congestion: str = "bbr"
    kill_receiver: float | None = None

    @property
    def impairments(self) -> dict[str, Any]:
        """What the link is asked to do, in the words of the lab."""
        words = ("rate", "delay", "loss", "reorder", "duplicate", "corrupt")
        return {word: getattr(self, word) for word in words}
