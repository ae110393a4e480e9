"""Enumerations that keep codes they do not know, so that parsing never loses or refuses a number."""

from __future__ import annotations

import enum
from typing import Any, TypeVar

__all__ = ["CodeMap", "OpenEnum"]

E = TypeVar("E", bound="OpenEnum")

# Unknown codes come from the network: at most this many of them are remembered in one map.
_MAX_REMEMBERED = 1024


class OpenEnum(enum.IntEnum):
    """An integer enumeration whose unknown codes are values too: ``Kind(200)`` works, prints and compares as 200."""

    @classmethod
    def _missing_(cls, value: object) -> Any:
        if not isinstance(value, int) or value < 0:
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value}"
        member._value_ = value
        return member

    @property
    def is_known(self) -> bool:
        """Whether the code has a name of its own."""
        return self._value_ in type(self)._value2member_map_

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}.{self.name}" if self.is_known else f"{type(self).__name__}({self.value})"
        )

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return type(self), (self._value_,)


class CodeMap(dict[Any, Any]):
    """A number to what it means: the fast way from a wire value to a member, for enumerations and flags alike."""

    __slots__ = ("make",)

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.make = make

    def __missing__(self, key: Any) -> Any:
        value = self.make(key)
        if type(key) is int and len(self) < _MAX_REMEMBERED:
            self[key] = value
        return value
