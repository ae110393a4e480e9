"""SYNs by the batch: what can be done for all at once is, and what is left for each is one hash and two CRCs.

A flood of SYN from forged sources must not keep honest dialers out, and no answer can tell one from the other before
the cookie comes back: so all are answered, and what counts is what an answer costs. The answers are byte for byte
those that :class:`~rawproto.rsp.strangers.Strangers` gives one by one.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from rawproto.rsp.checks import CHECK_SIZE, check_bit, check_names
from rawproto.rsp.cookie import COOKIE_SIZE
from rawproto.rsp.handshake import ECN, MIN_DATAGRAM, Terms
from rawproto.rsp.header import VERSION, Hello, Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from rawproto.rsp.cookie import CookieJar

__all__ = ["WORTH_IT", "answers", "plain_syns", "sound"]

WORTH_IT = 4
"""SYNs in a row from which on the batch is cheaper than one by one."""
_FIELDS: Mapping[str, Any] = Hello.dtype.fields or {}
_ASKED = slice(_FIELDS["source_port"][1], _FIELDS["option_length"][1])
_MADE = np.dtype([("identifier", ">u8"), ("cookie", "u1", (COOKIE_SIZE,))])
_PORT = slice(_FIELDS["port"][1], _FIELDS["port"][1] + 2)


def plain_syns(
    head: NDArray[np.uint8], lengths: NDArray[np.int64], ports: Collection[int]
) -> tuple[NDArray[np.void], NDArray[np.bool_]]:
    """The rows as Hellos, a copy, and which of them are plain: no options, believable terms, to one of ``ports``."""
    hellos = np.ascontiguousarray(head[:, : Hello.size]).view(Hello.dtype)[:, 0]
    believable = (
        (lengths == Hello.size) & (hellos["max_datagram"] >= MIN_DATAGRAM) & (hellos["identifier"] != 0)
    )
    return hellos, believable & np.isin(hellos["port"], list(ports))


def sound(hellos: NDArray[np.void]) -> NDArray[np.bool_]:
    """Which of them have the right check field, bool (n,)."""
    return np.array(hellos["check"] == _crcs(hellos))


def answers(
    hellos: NDArray[np.void], keys: Sequence[bytes], ours: Terms, jar: CookieJar, now: int
) -> NDArray[np.uint8]:
    """A COOKIE for each SYN, uint8 (n, size of a Hello).

    Args:
        hellos: the SYNs.
        keys: what :func:`~rawproto.rsp.handshake.address_key` gives for the sender of each.
        ours: window, datagram size and features that this side offers.
        jar: makes the cookies.
        now: the clock's time, ns.
    """
    raw = memoryview(hellos.tobytes())
    starts = range(0, len(raw), Hello.size)
    # The wire has the terms as the cookie's context has them, but for the port, which goes behind.
    contexts = [
        b"".join((raw[at + _ASKED.start : at + _ASKED.stop], raw[at + _PORT.start : at + _PORT.stop], key))
        for at, key in zip(starts, keys, strict=True)
    ]
    made = np.frombuffer(b"".join(jar.make_many(contexts, now)), dtype=_MADE)
    out = np.zeros(len(hellos), dtype=Hello.dtype)
    out["kind"] = int(Kind.COOKIE)
    out["port"] = hellos["source_port"]
    out["connection"] = hellos["identifier"]
    out["source_port"] = hellos["port"]
    out["max_datagram"] = ours.max_datagram
    common = hellos["features"] & ours.features
    out["features"] = _chosen(common) | (common & ECN)
    out["identifier"] = made["identifier"]
    out["window"] = ours.window
    out["version"] = VERSION
    out["cookie"] = made["cookie"]
    out["check"] = _crcs(out)
    return out.view(np.uint8).reshape(len(out), Hello.size)


def _chosen(common: NDArray[np.integer[Any]]) -> NDArray[np.uint32]:
    """The bit of :func:`~rawproto.rsp.checks.chosen` for each."""
    *weaker, strongest = (np.uint32(check_bit(name)) for name in check_names())
    return np.select([common & bit != 0 for bit in weaker], weaker, strongest)


def _crcs(hellos: NDArray[np.void]) -> NDArray[np.uint32]:
    raw = memoryview(hellos.tobytes())
    crc32, size = zlib.crc32, Hello.size
    values = [crc32(raw[at + CHECK_SIZE : at + size]) for at in range(0, len(raw), size)]
    return np.array(values, dtype=np.uint32)
