"""What chance has in store for each packet of a direction, by its number alone."""

from __future__ import annotations

import enum
import hashlib
from typing import TYPE_CHECKING

import numpy as np

from rawproto.lab.draws import Stream

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from rawproto.lab.spec import GilbertElliott, Impairments

__all__ = ["Decisions", "Fate", "Fates"]

BLOCK = 512
# The log keeps a byte a packet; 16 million packets are eleven minutes at the relay's full speed.
LOG_LIMIT = 1 << 24


class Fate(enum.IntFlag):
    """What chance does to one packet; several may come together, a lost packet meets nothing else."""

    LOST = 1
    LOST_IN_BURST = 2
    DUPLICATED = 4
    CORRUPTED = 8
    REORDERED = 16


class Decisions:
    """The fates of the first packets of one direction, in order, a byte each."""

    def __init__(self, fates: bytes) -> None:
        self.fates = fates

    def __len__(self) -> int:
        return len(self.fates)

    def __getitem__(self, index: int) -> Fate:
        return Fate(self.fates[index])

    def digest(self, count: int | None = None) -> str:
        """A hash of the first ``count`` decisions (of all by default), to compare runs by."""
        part = self.fates if count is None else self.fates[:count]
        return hashlib.blake2b(part, digest_size=16).hexdigest()


class Fates:
    """Draws the fates of a direction's packets in blocks.

    Args:
        seed: of the link.
        direction: name of the direction; the two directions of a link are independent.
        allowed: numbers of the packets that may meet a fate at all; None for all.
    """

    def __init__(self, seed: int, direction: str, allowed: Collection[int] | None = None) -> None:
        self._allowed = None if allowed is None else frozenset(allowed)
        names = ("loss", "state", "burst", "duplicate", "corrupt", "reorder", "jitter", "damage")
        self._streams = {name: Stream(seed, direction, name) for name in names}
        self._log = bytearray()
        self._start = 0
        self._bad_before = False
        self._states: list[bool] = []
        self.drawn: NDArray[np.uint8] = np.zeros(0, dtype=np.uint8)
        self.flags: list[int] = []
        self.jitters: list[int] = []

    def block(self, spec: Impairments, index: int) -> tuple[int, int]:
        """Decide from packet ``index`` on, with the settings as they are; gives (first, end) of what is decided.

        ``flags`` and ``jitters`` (nanoseconds) then hold the decisions, ``flags[i - first]`` that of packet i;
        ``drawn`` are the flags as an array, uint8 (512,).
        """
        used = index - self._start
        self._remember(self.flags[:used])
        if used and self._states:
            self._bad_before = self._states[used - 1]
        self._start = index
        flags = self._marked("loss", index, spec.loss, Fate.LOST)
        flags |= self._marked("duplicate", index, spec.duplicate, Fate.DUPLICATED)
        flags |= self._marked("reorder", index, spec.reorder, Fate.REORDERED)
        if spec.corrupt is not None:
            flags |= self._marked("corrupt", index, spec.corrupt.probability, Fate.CORRUPTED)
        self._states = []
        if spec.burst_loss is not None:
            flags |= self._bursts(spec.burst_loss, index)
        lost = (flags & (Fate.LOST | Fate.LOST_IN_BURST)) != 0
        flags[lost] &= np.uint8(Fate.LOST | Fate.LOST_IN_BURST)
        if self._allowed is not None:
            spared = [number not in self._allowed for number in range(index, index + BLOCK)]
            flags[spared] = 0
        self.drawn = flags
        self.flags = flags.tolist()
        self.jitters = self._jitters(spec.jitter, index)
        return index, index + BLOCK

    def _marked(self, name: str, index: int, probability: float, flag: Fate) -> NDArray[np.uint8]:
        if probability <= 0:
            return np.zeros(BLOCK, dtype=np.uint8)
        hit = self._streams[name].units(index, BLOCK) < probability
        return np.where(hit, np.uint8(flag), np.uint8(0))

    def _bursts(self, model: GilbertElliott, index: int) -> NDArray[np.uint8]:
        turns = self._streams["state"].units(index, BLOCK).tolist()
        bad = self._bad_before
        states = []
        for turn in turns:
            bad = turn >= model.r if bad else turn < model.p
            states.append(bad)
        self._states = states
        chance = np.where(np.array(states), model.bad, model.good)
        lost = self._streams["burst"].units(index, BLOCK) < chance
        return np.where(lost, np.uint8(Fate.LOST_IN_BURST), np.uint8(0))

    def _jitters(self, jitter: int, index: int) -> list[int]:
        if not jitter:
            return []
        spread = (2.0 * self._streams["jitter"].units(index, BLOCK) - 1.0) * jitter
        values: list[int] = np.rint(spread).astype(np.int64).tolist()
        return values

    def damage(self, index: int) -> int:
        """64 random bits that say how packet ``index`` is damaged."""
        return self._streams["damage"].word(index)

    def _remember(self, flags: list[int]) -> None:
        if len(self._log) < LOG_LIMIT:
            self._log += bytes(flags)

    def decisions(self, index: int) -> Decisions:
        """The decisions on the packets before ``index``, the first 16 million at most."""
        return Decisions(bytes(self._log) + bytes(self.flags[: index - self._start]))
