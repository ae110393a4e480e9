"""Quantities as people type and read them: "50mbit", "10ms", "1%", "16 MB"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RATE", "SHARE", "SIZE", "SPAN", "show_rate", "show_size", "show_span"]

_NUMBER = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-zA-Z%/]*)\s*")


class Quantity(click.ParamType[float]):
    """A number with a unit; the value is in the base unit, as float.

    Args:
        name: what the help calls it.
        units: factor of each unit, lower case; "" is the unit that a bare number has.
        most: largest value allowed, or None.
    """

    def __init__(self, name: str, units: Mapping[str, float], most: float | None = None) -> None:
        self.name = name
        self.units = units
        self.most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """``value`` in the base unit."""
        if not isinstance(value, str):
            return float(value)
        found = _NUMBER.fullmatch(value)
        factor = self.units.get(found[2].lower()) if found else None
        if found is None or factor is None:
            known = ", ".join(unit for unit in self.units if unit)
            self.fail(f"{value!r} is no {self.name}: a number and one of {known}", param, ctx)
        amount = float(found[1]) * factor
        if self.most is not None and amount > self.most:
            self.fail(f"{value} is too much for a {self.name}", param, ctx)
        return amount


# Rates count in bits and in thousands, as tc does; sizes in bytes.
_BITS = {"bit": 1.0, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9}
RATE = Quantity("rate", {"": 1.0, **_BITS, **{f"{unit}/s": factor for unit, factor in _BITS.items()}})
SPAN = Quantity("time", {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0, "h": 3600.0})
SHARE = Quantity("share", {"": 1.0, "%": 0.01}, most=1.0)
SIZE = Quantity(
    "size",
    {"": 1.0, "b": 1.0}
    | {f"{letter}{tail}": 1024.0**power for power, letter in enumerate("kmg", 1) for tail in ("", "ib")}
    | {f"{letter}b": 1000.0**power for power, letter in enumerate("kmg", 1)},
)


def show_rate(bits: float) -> str:
    """A rate in bits per second, with three digits: "48.1 Mbit/s"."""
    return _scaled(bits, 1000, ("bit/s", "kbit/s", "Mbit/s", "Gbit/s"))


def show_size(size: float) -> str:
    """A size in bytes, in thousands: "16.2 MB"."""
    return _scaled(size, 1000, ("B", "kB", "MB", "GB", "TB"))


def show_span(seconds: float) -> str:
    """A time: "20.4 ms", "3.2 s"."""
    if seconds >= 1 or seconds == 0:
        return f"{_digits(seconds)} s"
    return _scaled(seconds * 1e9, 1000, ("ns", "us", "ms"))


def _scaled(value: float, step: float, units: tuple[str, ...]) -> str:
    for unit in units[:-1]:
        # What rounds up to the next unit is shown in it.
        if abs(value) < step - step / 2000:
            return f"{_digits(value)} {unit}"
        value /= step
    return f"{_digits(value)} {units[-1]}"


def _digits(value: float) -> str:
    if value == int(value) and abs(value) < 1000:
        return f"{value:.0f}"
    if abs(value) >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 9.995 else f"{value:.2f}"
