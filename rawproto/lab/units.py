"""Durations, rates and sizes as people write them: "10ms", "50mbit", "64kib"."""

from __future__ import annotations

import re

from rawproto.errors import ConfigError

__all__ = ["bits_per_second", "byte_count", "nanoseconds", "queue_limit"]

_NUMBER = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*([a-z/µ]*)\s*", re.IGNORECASE)

_TIME = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "min": 60 * 1_000_000_000,
    "h": 3_600 * 1_000_000_000,
    "d": 86_400 * 1_000_000_000,
}
_RATE = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
_SIZE = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}


def _parse(value: str, units: dict[str, int], what: str) -> int:
    match = _NUMBER.fullmatch(value)
    unit = match[2].lower() if match else ""
    if match is None or unit not in units:
        raise ConfigError(f"{what}: {value!r} is not a number with one of the units {', '.join(units)}")
    return round(float(match[1]) * units[unit])


def _not_negative(value: float, what: str) -> float:
    # The comparison is false for NaN too.
    if not 0 <= value < float("inf"):
        raise ConfigError(f"{what}: {value!r} is out of range; it is at least 0")
    return value


def nanoseconds(value: str | float, what: str = "duration") -> int:
    """A duration in nanoseconds, from text such as "10ms" or a number of seconds.

    Raises:
        ConfigError: it is neither, or negative; names ``what``.
    """
    if isinstance(value, str):
        return _parse(value, _TIME, what)
    return round(_not_negative(value, what) * 1_000_000_000)


def bits_per_second(value: str | float, what: str = "rate") -> int:
    """A rate from text such as "50mbit" (decimal prefixes, as tc-units(7) has them) or a number of bits per second."""
    bits = _parse(value, _RATE, what) if isinstance(value, str) else round(_not_negative(value, what))
    if bits == 0:
        raise ConfigError(f"{what}: a rate is more than 0; to stop all packets take the link down")
    return bits


def byte_count(value: str | int, what: str = "size") -> int:
    """A size in bytes from text such as "64kib" or "64kb" (1000 bytes), or a number of bytes."""
    return _parse(value, _SIZE, what) if isinstance(value, str) else int(_not_negative(value, what))


def queue_limit(value: str | int, what: str = "limit") -> tuple[int | None, int | None]:
    """The limit of a queue as (packets, bytes), one of which is None: 25 or "25p" are packets, "64kib" bytes."""
    if isinstance(value, str) and not value.strip().lower().endswith("p"):
        return None, _parse(value, _SIZE, what)
    packets = _parse(value, {"p": 1}, what) if isinstance(value, str) else int(_not_negative(value, what))
    if packets == 0:
        raise ConfigError(f"{what}: a queue has room for one packet at least")
    return packets, None
