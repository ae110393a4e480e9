"""Many addresses at once: lists of texts to numpy arrays and back.

The array form is ``uint8`` of shape ``(n, 16)``, one address a row, IPv4 in its mapped form ``::ffff:a.b.c.d``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rawproto.addr.ip import IP
from rawproto.addr.text import MAPPED_PREFIX, format6, parse_packed
from rawproto.errors import AddrError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    Addresses = npt.NDArray[np.uint8]

__all__ = ["as_rows", "format_ips", "ips_of", "is_mapped", "pack_ips", "parse_ips"]

_MAPPED = np.frombuffer(MAPPED_PREFIX, np.uint8)
_CHUNK = 16_384  # texts at a time: their characters and what is computed of them then stay in the cache
_DOT, _NEWLINE, _ZERO = ord("."), ord("\n"), ord("0")


def parse_ips(texts: Sequence[str]) -> Addresses:
    """Parse texts, dotted or with colons, as :func:`~rawproto.addr.ip.parse_ip` does each.

    Returns:
        uint8 of shape ``(len(texts), 16)``.

    Raises:
        AddrError: the first text that is no address, with its index.
    """
    rows = np.empty((len(texts), 16), np.uint8)
    for start in range(0, len(texts), _CHUNK):
        chunk = texts[start : start + _CHUNK]
        try:
            _parse_chunk(chunk, rows[start : start + _CHUNK])
        except AddrError:
            for index in range(start, start + len(chunk)):
                _packed(texts, index)
            raise
    return rows


def _parse_chunk(texts: Sequence[str], rows: Addresses) -> None:
    """Parse into ``rows``; AddrError, of no use to a reader, when one of the texts is no address."""
    octets = _parse_dotted(texts)
    if octets is not None:
        rows[:, :12] = _MAPPED
        rows[:, 12:] = octets
        return
    four = np.array([":" not in text for text in texts], bool)
    octets = _parse_dotted([text for text in texts if ":" not in text])
    if octets is None:
        raise AddrError("one of the texts is no address")
    packed = b"".join([parse_packed(text) for text in texts if ":" in text])
    rows[~four] = np.frombuffer(packed, np.uint8).reshape(-1, 16)
    rows[four, :12] = _MAPPED
    rows[four, 12:] = octets


def _packed(texts: Sequence[str], index: int) -> bytes:
    try:
        return parse_packed(texts[index])
    except AddrError as error:
        raise AddrError(f"item {index}: {error.reason}", error.text, error.position) from None


def _parse_dotted(texts: Sequence[str]) -> Addresses | None:
    """The octets of dotted texts, ``(n, 4)``, or None when one of them is no address."""
    if not texts:
        return np.empty((0, 4), np.uint8)
    try:
        raw = np.frombuffer("\n".join([*texts, ""]).encode("ascii"), np.uint8)
    except UnicodeEncodeError:
        return None
    separator = (raw == _DOT) | (raw == _NEWLINE)
    digits = raw - _ZERO  # wraps: what is below "0" comes out large
    ends = np.flatnonzero(separator)
    if len(ends) != 4 * len(texts) or ((digits > 9) & ~separator).any():
        return None
    shape = raw[ends].reshape(-1, 4)
    if (shape[:, :3] != _DOT).any() or (shape[:, 3] != _NEWLINE).any():
        return None
    lengths = np.diff(ends, prepend=-1) - 1
    if lengths.min() < 1 or lengths.max() > 3:
        return None
    # An index that falls before the octet belongs to a digit that is not there; where() drops it.
    tens = np.where(lengths > 1, digits[ends - 2], 0)
    hundreds = np.where(lengths > 2, digits[ends - 3], 0)
    values = digits[ends - 1] + 10 * tens.astype(np.uint16) + 100 * hundreds.astype(np.uint16)
    leading_zero = (lengths > 1) & (digits[ends - lengths] == 0)
    if (values > 255).any() or leading_zero.any():
        return None
    return values.astype(np.uint8).reshape(-1, 4)


def pack_ips(ips: Iterable[IP | str | Any]) -> Addresses:
    """The array of addresses of any kind that :class:`IP` takes."""
    packed = b"".join([(ip if ip.__class__ is IP else IP(ip)).to16() for ip in ips])
    return np.frombuffer(packed, np.uint8).reshape(-1, 16)


def as_rows(addresses: Any) -> Addresses:
    """Any array of addresses in the ``(n, 16)`` form: ``(n, 16)`` or ``(n, 4)`` bytes, or IPv4 as ``(n,)`` uint32.

    Raises:
        AddrError: an array of another shape or type.
    """
    array = np.asarray(addresses)
    if array.ndim == 1 and array.dtype.kind == "u" and array.dtype.itemsize == 4:
        array = array.astype(">u4", copy=False).view(np.uint8).reshape(-1, 4)
    if array.dtype != np.uint8 or array.ndim != 2 or array.shape[1] not in (4, 16):
        raise AddrError(
            f"addresses are uint8 of shape (n, 4) or (n, 16) or uint32 of (n,), not {array.dtype} {array.shape}"
        )
    if array.shape[1] == 16:
        return array
    rows = np.empty((len(array), 16), np.uint8)
    rows[:, :12] = _MAPPED
    rows[:, 12:] = array
    return rows


def is_mapped(rows: Addresses) -> npt.NDArray[np.bool_]:
    """For each row of an ``(n, 16)`` array, whether it is an IPv4 address."""
    words = np.ascontiguousarray(rows).view(">u4")
    return (words[:, 0] == 0) & (words[:, 1] == 0) & (words[:, 2] == 0xFFFF)  # type: ignore[no-any-return]


def ips_of(addresses: Any) -> list[IP]:
    """The rows of an array as IP, IPv4 in 4 bytes; array as of :func:`as_rows`."""
    rows = as_rows(addresses)
    raw = rows.tobytes()
    return [
        IP(raw[start + 12 : start + 16] if mapped else raw[start : start + 16])
        for start, mapped in zip(range(0, len(raw), 16), is_mapped(rows).tolist(), strict=True)
    ]


def format_ips(addresses: Any) -> list[str]:
    """The rows of an array as text, each as ``str(IP)`` gives it; array as of :func:`as_rows`."""
    rows = as_rows(addresses)
    mapped = is_mapped(rows)
    if mapped.all():
        return _format_dotted(rows[:, 12:])
    dotted = iter(_format_dotted(rows[mapped, 12:]))
    raw = rows.tobytes()
    return [
        next(dotted) if is_four else format6(raw[16 * index : 16 * index + 16])
        for index, is_four in enumerate(mapped.tolist())
    ]


# The text of each octet with its dot, or with the line's end for the last, padded with NUL to four bytes.
_WITH_DOT = np.array([f"{value}.".encode() for value in range(256)], "S4").view(np.uint8).reshape(256, 4)
_WITH_END = np.array([f"{value}\n".encode() for value in range(256)], "S4").view(np.uint8).reshape(256, 4)


def _format_dotted(octets: Addresses) -> list[str]:
    if not len(octets):
        return []
    characters = np.empty((len(octets), 4, 4), np.uint8)
    characters[:, :3] = _WITH_DOT[octets[:, :3]]
    characters[:, 3] = _WITH_END[octets[:, 3]]
    flat = characters.reshape(-1)
    text = bytes(flat[flat != 0]).decode("ascii")
    return text.splitlines()
