"""Conditions on packets, combined with and, or and not, and compiled to classic BPF.

Every leaf first proves that the packet is long enough for what it loads. A load outside the packet would end the whole
program, which is wrong under an "or" or a "not".
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from rawproto.errors import FilterError
from rawproto.wire.bpf.comparison import FieldCode, Test
from rawproto.wire.bpf.guard import embed
from rawproto.wire.bpf.instruction import (
    ABS,
    ALU,
    AND,
    JEQ,
    JGE,
    JMP,
    JSET,
    LD,
    LDX,
    LEN,
    MSH,
    RET,
    SUB,
    WORD_MASK,
    B,
    H,
    K,
    X,
)
from rawproto.wire.bpf.labels import Code, Label
from rawproto.wire.ip_chain import OFFSET

if TYPE_CHECKING:
    from rawproto.wire.bpf.instruction import Instruction

__all__ = [
    "AfterIPv4",
    "All",
    "Any",
    "Base",
    "Condition",
    "Embedded",
    "FieldMatch",
    "HeaderMatch",
    "Not",
    "compile_condition",
]

ACCEPT = WORD_MASK
"""Returned for a packet taken: keep all of it."""

_MIN_IPV4 = 20
_MAX_OFFSET = 0xFFFF
"""Beyond this no IP datagram has a byte."""


@dataclasses.dataclass(frozen=True, slots=True)
class AfterIPv4:
    """The header follows an IPv4 header that begins at ``offset``, whatever options that has.

    Raw IPv4 sockets see packets so, with ``offset`` 0 (raw IPv6 sockets and UDP sockets see no IP header: base 0).
    Later fragments do not match: they have no such header.
    """

    offset: int = 0


Base = int | AfterIPv4


class Condition:
    """A question about a packet."""

    __slots__ = ()

    def emit(self, code: Code, yes: Label, no: Label) -> None:
        """Add code that ends at ``yes`` or ``no``, having changed A and X at will."""
        raise NotImplementedError

    def at(self, base: Base) -> Condition:
        """The same with every header whose place was left open at ``base``."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, slots=True)
class FieldMatch:
    """A test on the field of ``bits`` that begins ``bit_offset`` behind its header's first bit."""

    bit_offset: int
    bits: int
    test: Test
    little: bool = False
    """Whether its bytes stand in little-endian order."""

    def __post_init__(self) -> None:
        if self.test.largest() >> self.bits:
            raise FilterError(f"{self.test.largest()} does not fit a field of {self.bits} bits")

    @property
    def end(self) -> int:
        """Bytes that the header must have for the field to be there."""
        return (self.bit_offset + self.bits + 7) // 8


@dataclasses.dataclass(frozen=True, slots=True)
class HeaderMatch(Condition):
    """All of ``fields`` match in the header at ``base``; None is 0 until :meth:`at` says otherwise."""

    fields: tuple[FieldMatch, ...]
    base: Base | None = None
    size: int = 0
    """Bytes that must be there besides those of the fields asked."""

    def emit(self, code: Code, yes: Label, no: Label) -> None:
        """Length, then field by field."""
        needed = max([self.size, *(field.end for field in self.fields)])
        base = 0 if self.base is None else self.base
        relative = isinstance(base, AfterIPv4)
        if isinstance(base, AfterIPv4):
            start = base.offset
            _emit_ipv4_walk(code, start, needed, no)
        else:
            start = base
            _emit_length(code, start + needed, no)
        for match in self.fields:
            following = Label()
            field = FieldCode(
                code, match.bit_offset, match.bits, start, relative=relative, little=match.little
            )
            match.test.emit(field, following, no)
            code.place(following)
        code.go(yes)

    def at(self, base: Base) -> Condition:
        """Moved to ``base`` unless it has a place."""
        return self if self.base is not None else dataclasses.replace(self, base=base)


def _emit_length(code: Code, needed: int, no: Label) -> None:
    if not 0 <= needed <= _MAX_OFFSET:
        raise FilterError(f"the filter needs byte {needed} of a packet")
    code.emit(LD | LEN)
    code.jump(JMP | JGE | K, needed, None, no)


def _emit_ipv4_walk(code: Code, start: int, needed: int, no: Label) -> None:
    """Leave X at the length of the IPv4 header at ``start``, ``needed`` bytes being there behind it."""
    _emit_length(code, start + _MIN_IPV4, no)
    code.emit(LD | B | ABS, start)
    code.emit(ALU | AND | K, 0xF0)
    code.jump(JMP | JEQ | K, 0x40, None, no)
    code.emit(LD | H | ABS, start + 6)
    code.jump(JMP | JSET | K, OFFSET, no, None)
    code.emit(LDX | B | MSH, start)
    _emit_length(code, start + needed, no)
    code.emit(ALU | SUB | K, start + needed)
    code.jump(JMP | JGE | X, 0, None, no)


@dataclasses.dataclass(frozen=True, slots=True)
class Embedded(Condition):
    """A program that was made of instructions takes the packet."""

    program: tuple[Instruction, ...]

    def emit(self, code: Code, yes: Label, no: Label) -> None:
        """The program's own instructions, its returns made jumps."""
        embed(code, self.program, yes, no)

    def at(self, base: Base) -> Condition:
        """Unchanged: where it looks is written into its instructions."""
        return self


@dataclasses.dataclass(frozen=True, slots=True)
class All(Condition):
    """Every one of ``parts`` holds."""

    parts: tuple[Condition, ...]

    def emit(self, code: Code, yes: Label, no: Label) -> None:
        """One after another until one fails."""
        for part in self.parts:
            following = Label()
            part.emit(code, following, no)
            code.place(following)
        code.go(yes)

    def at(self, base: Base) -> Condition:
        """Each part moved."""
        return All(tuple(part.at(base) for part in self.parts))


@dataclasses.dataclass(frozen=True, slots=True)
class Any(Condition):
    """One of ``parts`` holds."""

    parts: tuple[Condition, ...]

    def emit(self, code: Code, yes: Label, no: Label) -> None:
        """One after another until one holds."""
        for part in self.parts:
            following = Label()
            part.emit(code, yes, following)
            code.place(following)
        code.go(no)

    def at(self, base: Base) -> Condition:
        """Each part moved."""
        return Any(tuple(part.at(base) for part in self.parts))


@dataclasses.dataclass(frozen=True, slots=True)
class Not(Condition):
    """``part`` does not hold."""

    part: Condition

    def emit(self, code: Code, yes: Label, no: Label) -> None:
        """The part with its ways exchanged."""
        self.part.emit(code, no, yes)

    def at(self, base: Base) -> Condition:
        """Its part moved."""
        return Not(self.part.at(base))


def compile_condition(condition: Condition) -> list[Instruction]:
    """The program that takes exactly the packets for which ``condition`` holds."""
    code = Code()
    yes, no = Label("yes"), Label("no")
    condition.emit(code, yes, no)
    code.place(yes)
    code.emit(RET | K, ACCEPT)
    code.place(no)
    code.emit(RET | K, 0)
    return code.finish()
