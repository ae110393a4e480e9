"""Identifications for fragments: unpredictable, and without a repeat for as long as the field's width allows.

An identification that can be guessed lets others inject fragments and count a host's packets (RFC 7739, RFC 4963).
"""

from __future__ import annotations

import hashlib

__all__ = ["IdentificationSequence", "content_identification"]

_ROUNDS = 4
"""Luby and Rackoff: four Feistel rounds with a pseudo-random function give a pseudo-random permutation."""


class IdentificationSequence:
    """Identifications for every pair of hosts, from one secret.

    Each number is a secret permutation, one for each pair of hosts, of a counter. So a pair sees no number twice
    within 2**bits datagrams, and nobody without the secret can tell the next one or how many were sent to others.

    Args:
        secret: random bytes, from the caller's source of randomness; 16 or more.
        bits: 16 for IPv4, 32 for IPv6.
    """

    def __init__(self, secret: bytes, bits: int = 16) -> None:
        if len(secret) < 16:
            raise ValueError(f"a secret of {len(secret)} bytes can be guessed; give 16 or more")
        if bits not in (16, 32):
            raise ValueError(f"an identification has 16 or 32 bits, not {bits}")
        self._secret = bytes(secret)
        self._half = bits // 2
        self._counter = 0

    def next(self, source: bytes = b"", destination: bytes = b"", protocol: int = 0) -> int:
        """The identification of the next datagram from ``source`` to ``destination``."""
        pair = hashlib.blake2s(
            source + destination + bytes((protocol,)), key=self._secret[:32], digest_size=16
        ).digest()
        mask = (1 << self._half) - 1
        left, right = self._counter >> self._half & mask, self._counter & mask
        for turn in range(_ROUNDS):
            mixed = hashlib.blake2s(
                bytes((turn,)) + right.to_bytes(2, "big"), key=pair, digest_size=4
            ).digest()
            left, right = right, left ^ int.from_bytes(mixed, "big") & mask
        self._counter += 1
        return left << self._half | right


def content_identification(datagram: bytes, bits: int) -> int:
    """An identification out of the datagram itself: different datagrams get different ones.

    Two equal datagrams get the same, which does no harm: their fragments are exact duplicates. It cannot be guessed
    by who does not know the datagram. Never 0, which some receivers take for "none".
    """
    digest = hashlib.blake2s(datagram, digest_size=8).digest()
    return int.from_bytes(digest, "big") % ((1 << bits) - 1) + 1
