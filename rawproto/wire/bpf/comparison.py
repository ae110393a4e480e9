"""What may be asked of one field, and the code that asks it.

A field wider than 32 bits, or one that does not fit a single load, is asked part by part from the most significant on.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from rawproto.errors import FilterError
from rawproto.wire.bpf.instruction import ABS, ALU, AND, IND, JEQ, JGE, JGT, JMP, LD, RSH, SIZES, K
from rawproto.wire.bpf.labels import Label

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rawproto.wire.bpf.labels import Code

__all__ = ["AnyOf", "Between", "Equals", "FieldCode", "Masked", "Test"]

_CODE_OF_SIZE = {size: code for code, size in SIZES.items()}


@dataclasses.dataclass(frozen=True, slots=True)
class _Part:
    """Bits of a field that one load brings into A."""

    offset: int
    size: int
    shift: int
    bits: int

    @property
    def mask(self) -> int:
        return (1 << self.bits) - 1


def split(bit_offset: int, bits: int, *, little: bool = False) -> list[_Part]:
    """The loads for a field of ``bits`` at ``bit_offset``, most significant first.

    Each takes as many whole bytes as one load can (four, two or one) without reading outside the field's bytes.
    Those of a little-endian field, which stands on byte borders, are its bytes from the last on.
    """
    if little:
        return [_Part(place, 1, 0, 8) for place in reversed(range(bit_offset // 8, (bit_offset + bits) // 8))]
    parts = []
    place, left = bit_offset, bits
    while left:
        first = place // 8
        spanned = (place + left - 1) // 8 - first + 1
        size = max(size for size in (1, 2, 4) if size <= spanned)
        taken = min(left, size * 8 - place % 8)
        parts.append(_Part(first, size, size * 8 - place % 8 - taken, taken))
        place += taken
        left -= taken
    return parts


class FieldCode:
    """Emits the loads of one field at a fixed or X-relative place."""

    def __init__(
        self, code: Code, bit_offset: int, bits: int, base: int, *, relative: bool, little: bool = False
    ) -> None:
        self.code = code
        self.parts = split(bit_offset, bits, little=little)
        self.bits = bits
        self._base = base
        self._mode = IND if relative else ABS
        self._held: _Part | None = None

    def load(self, part: _Part) -> None:
        """Bring ``part`` into A, unless it is there."""
        if self._held == part:
            return
        self.code.emit(LD | _CODE_OF_SIZE[part.size] | self._mode, self._base + part.offset)
        if part.shift:
            self.code.emit(ALU | RSH | K, part.shift)
        if part.shift + part.bits < part.size * 8:
            self.code.emit(ALU | AND | K, part.mask)
        self._held = part

    def forget(self) -> None:
        """A no longer holds a part, or it is not known which."""
        self._held = None

    def values(self, value: int) -> Iterator[tuple[_Part, int]]:
        """Each part with its share of ``value``."""
        left = self.bits
        for part in self.parts:
            left -= part.bits
            yield part, value >> left & part.mask


class Test:
    """A question about the value of a field, an unsigned number."""

    __slots__ = ()
    __test__ = False  # for pytest: not a test case

    def emit(self, field: FieldCode, yes: Label, no: Label) -> None:
        """Add code that ends at ``yes`` or ``no``."""
        raise NotImplementedError

    def largest(self) -> int:
        """The largest number that the question names."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, slots=True)
class Equals(Test):
    """The field is ``value``."""

    value: int

    def emit(self, field: FieldCode, yes: Label, no: Label) -> None:
        """One comparison a part."""
        for part, share in field.values(self.value):
            field.load(part)
            field.code.jump(JMP | JEQ | K, share, None, no)
        field.code.go(yes)

    def largest(self) -> int:
        """The value itself."""
        return self.value


@dataclasses.dataclass(frozen=True, slots=True)
class Masked(Test):
    """The field's bits under ``mask`` are ``value``."""

    value: int
    mask: int

    def __post_init__(self) -> None:
        if self.value & ~self.mask:
            raise FilterError(
                f"value {self.value:#x} has bits outside the mask {self.mask:#x}; it can never match"
            )

    def emit(self, field: FieldCode, yes: Label, no: Label) -> None:
        """One masked comparison a part; parts outside the mask are not loaded."""
        for (part, share), (_, mask) in zip(field.values(self.value), field.values(self.mask), strict=True):
            if not mask:
                continue
            field.load(part)
            if mask != part.mask:
                field.code.emit(ALU | AND | K, mask)
                field.forget()
            field.code.jump(JMP | JEQ | K, share, None, no)
        field.code.go(yes)

    def largest(self) -> int:
        """The mask, which covers the value."""
        return self.mask


@dataclasses.dataclass(frozen=True, slots=True)
class Between(Test):
    """The field is at least ``low`` and at most ``high``."""

    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise FilterError(f"the range {self.low} to {self.high} is empty")

    def emit(self, field: FieldCode, yes: Label, no: Label) -> None:
        """Lexicographic comparison with each bound that excludes anything."""
        if self.low > 0:
            enough = Label()
            self._at_least(field, enough, no)
            field.code.place(enough)
            if len(field.parts) > 1:
                field.forget()
        if self.high < (1 << field.bits) - 1:
            self._at_most(field, yes, no)
        else:
            field.code.go(yes)

    def _at_least(self, field: FieldCode, yes: Label, no: Label) -> None:
        *front, (last, share) = field.values(self.low)
        for part, bound in front:
            field.load(part)
            field.code.jump(JMP | JGT | K, bound, yes, None)
            field.code.jump(JMP | JEQ | K, bound, None, no)
        field.load(last)
        field.code.jump(JMP | JGE | K, share, yes, no)

    def _at_most(self, field: FieldCode, yes: Label, no: Label) -> None:
        *front, (last, share) = field.values(self.high)
        for part, bound in front:
            field.load(part)
            field.code.jump(JMP | JGE | K, bound, None, yes)
            field.code.jump(JMP | JEQ | K, bound, None, no)
        field.load(last)
        field.code.jump(JMP | JGT | K, share, no, yes)

    def largest(self) -> int:
        """The upper bound."""
        return self.high


@dataclasses.dataclass(frozen=True, slots=True)
class AnyOf(Test):
    """One of several tests holds; none of them when there are none."""

    tests: tuple[Test, ...]

    def emit(self, field: FieldCode, yes: Label, no: Label) -> None:
        """The tests one after another; a field of one part is loaded once for all plain comparisons."""
        for test in self.tests:
            following = Label()
            test.emit(field, yes, following)
            field.code.place(following)
            if len(field.parts) > 1 or not isinstance(test, (Equals, Between)):
                field.forget()
        field.code.go(no)

    def largest(self) -> int:
        """The largest number of all tests."""
        return max((test.largest() for test in self.tests), default=0)
