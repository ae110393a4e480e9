"""Random numbers by number: draw i of a stream depends on the seed, the stream's name and i, and on nothing else.

So the n-th packet of a direction meets the same fate in every run with the same seed, however the packets fall into
batches and however the settings were changed before it came.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Stream"]

# SplitMix64 (G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): the
# state after i steps is key + i * GAMMA, so any draw is reached at once.
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 2.0**-53


class Stream:
    """An endless sequence of 64-bit draws, each found by its number."""

    __slots__ = ("_key",)

    def __init__(self, seed: int, *name: str) -> None:
        text = "\0".join((str(seed), *name)).encode()
        digest = hashlib.blake2b(text, digest_size=8).digest()
        self._key = np.uint64(int.from_bytes(digest, "little"))

    def words(self, first: int, count: int) -> NDArray[np.uint64]:
        """Draws ``first`` to ``first + count - 1``, uint64 (count,)."""
        numbers = np.arange(first + 1, first + 1 + count, dtype=np.uint64)
        # Wrapping is what the generator is made of.
        with np.errstate(over="ignore"):
            state = self._key + numbers * _GAMMA
            state = (state ^ (state >> np.uint64(30))) * _MIX_1
            state = (state ^ (state >> np.uint64(27))) * _MIX_2
        mixed: NDArray[np.uint64] = state ^ (state >> np.uint64(31))
        return mixed

    def units(self, first: int, count: int) -> NDArray[np.float64]:
        """The same draws as numbers from 0 (included) to 1 (excluded), float64 (count,)."""
        return (self.words(first, count) >> np.uint64(11)).astype(np.float64) * _TO_UNIT

    def word(self, number: int) -> int:
        """Draw ``number`` as an int."""
        return int(self.words(number, 1)[0])
