"""Named bits of one field: an integer that knows what its bits are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, overload

from rawproto.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self

__all__ = ["Flag", "Flags", "flags_class"]


class Flag:
    """One named bit of a :class:`Flags` class: the flag itself on the class, whether it is set on a value."""

    __slots__ = ("bit",)

    def __init__(self, bit: int) -> None:
        self.bit = bit

    @overload
    def __get__(self, value: None, owner: type[Flags]) -> Flags: ...
    @overload
    def __get__(self, value: Flags, owner: type[Flags]) -> bool: ...
    def __get__(self, value: Flags | None, owner: type[Flags]) -> Flags | bool:
        if value is None:
            return owner(1 << self.bit)
        return bool(int(value) >> self.bit & 1)


class Flags(int):
    """Base of flag types; bits without a name are kept.

    A subclass names bits with :class:`Flag`: ``class TCPFlags(Flags): FIN = Flag(0); SYN = Flag(1)``. A value is
    made of a number, of text such as ``"SYN|ACK"`` or of names; ``TCPFlags.SYN`` is a value, ``value.SYN`` a bool.

    Attributes:
        bits: name to bit number, 0 for the least significant.
    """

    __slots__ = ()
    bits: ClassVar[dict[str, int]] = {}

    def __init_subclass__(cls) -> None:
        own = {name: flag.bit for name, flag in vars(cls).items() if isinstance(flag, Flag)}
        cls.bits = {**cls.bits, **own}

    def __new__(cls, value: int | str | Iterable[str] = 0) -> Self:
        """A value of a number, of names joined by ``|`` or of an iterable of names; else ValueError."""
        if isinstance(value, str):
            value = [name.strip() for name in value.split("|") if name.strip()]
        if not isinstance(value, int) and not hasattr(value, "__index__"):
            try:
                value = sum({1 << cls.bits[name] for name in value})
            except (KeyError, TypeError):
                known = ", ".join(cls.bits)
                raise ValueError(f"{value!r} is neither a number nor names among {known}") from None
        return int.__new__(cls, value)  # type: ignore[arg-type]

    def __or__(self, other: int) -> Self:
        return type(self)(int(self) | int(other))

    __ror__ = __or__

    def __and__(self, other: int) -> Self:
        return type(self)(int(self) & int(other))

    __rand__ = __and__

    def __xor__(self, other: int) -> Self:
        return type(self)(int(self) ^ int(other))

    __rxor__ = __xor__

    def __contains__(self, other: object) -> bool:
        """Whether all bits of ``other`` (a number or a name) are set."""
        if isinstance(other, str):
            return other in self.bits and bool(int(self) >> self.bits[other] & 1)
        return isinstance(other, int) and int(self) & other == other

    def __iter__(self) -> Iterator[str]:
        """The names of the bits that are set, least significant first."""
        return (name for name, bit in self.bits.items() if int(self) >> bit & 1)

    def __str__(self) -> str:
        named = sum(1 << bit for bit in set(self.bits.values()))
        parts = list(self)
        if rest := int(self) & ~named:
            parts.append(hex(rest))
        return "|".join(parts) or "0"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def __format__(self, spec: str) -> str:
        return str(self) if not spec else format(int(self), spec)


def flags_class(names: tuple[Any, ...], width: int) -> type[Flags]:
    """The flag type of ``names``, the first for the least significant bit, None for a bit without a name.

    A single :class:`Flags` subclass in place of names is taken as it is.

    Raises:
        DeclarationError: more names than bits, a name twice, or no identifier.
    """
    if len(names) == 1 and isinstance(names[0], type) and issubclass(names[0], Flags):
        cls = names[0]
        if cls.bits and max(cls.bits.values()) >= width:
            raise DeclarationError(
                f"{cls.__name__} names bit {max(cls.bits.values())}, the field has {width} bits"
            )
        return cls
    if len(names) > width:
        raise DeclarationError(f"{len(names)} flags do not fit in {width} bits")
    given = [name for name in names if name is not None]
    if len(set(given)) != len(given):
        raise DeclarationError(f"a flag is named twice: {', '.join(map(str, given))}")
    for name in given:
        if not isinstance(name, str) or not name.isidentifier() or hasattr(int, name):
            raise DeclarationError(f"{name!r} cannot name a flag")
    members = {name: Flag(bit) for bit, name in enumerate(names) if name is not None}
    return type("Flags", (Flags,), {"__slots__": (), "__module__": __name__, **members})
