"""A program made part of another: its returns become jumps, and what would end it early becomes "not taken".

Every load from the packet is preceded by a test of the packet's length, every division by X by a test for zero. The
loads relative to the network or link-layer header cannot be tested so: when they fail, they still end everything.
An X that stands for a negative number counts as beyond the packet, also where [x + k] would lie within it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto.errors import FilterError
from rawproto.wire.bpf.instruction import (
    ABS,
    ALU,
    CONDITIONAL_JUMPS,
    DIV,
    IMM,
    IND,
    JA,
    JEQ,
    JGE,
    JMP,
    LD,
    LDX,
    LEN,
    MEM,
    MEMORY_SLOTS,
    MISC,
    MOD,
    MSH,
    RET,
    RET_A,
    SIZES,
    ST,
    STX,
    SUB,
    TXA,
    Instruction,
    K,
    X,
)
from rawproto.wire.bpf.labels import Label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rawproto.wire.bpf.labels import Code

__all__ = ["embed"]

_BEYOND_PACKET = 0x80000000
"""Offsets from here on are negative: not counted from the packet's start."""

_MEMORY_CODES = (LD | MEM, LDX | MEM, ST, STX)
_DIVISIONS_BY_X = (ALU | DIV | X, ALU | MOD | X)


def embed(code: Code, program: Sequence[Instruction], yes: Label, no: Label) -> None:
    """Add ``program`` to ``code``, going to ``yes`` where it returns a length and to ``no`` where it returns 0.

    Raises:
        FilterError: the program uses all memory slots and one would be needed to save A.
    """
    labels = [Label(str(place)) for place in range(len(program))]
    guard = _Guard(code, program, no)
    # The kernel starts a program with A = X = 0.
    code.emit(LD | IMM, 0)
    code.emit(LDX | IMM, 0)
    for place, instruction in enumerate(program):
        code.place(labels[place])
        kind, jt, jf, k = instruction
        if kind == RET:
            code.go(yes if k else no)
        elif kind == RET | RET_A:
            code.jump(JMP | JEQ | K, 0, no, yes)
        elif kind == JMP | JA:
            code.go(labels[place + 1 + k])
        elif kind in CONDITIONAL_JUMPS:
            code.jump(kind, k, labels[place + 1 + jt], labels[place + 1 + jf])
        else:
            guard.before(instruction)
            code.emit(kind, k)


class _Guard:
    """Emits the tests before instructions that may end a program."""

    def __init__(self, code: Code, program: Sequence[Instruction], no: Label) -> None:
        self._code = code
        self._no = no
        used = {instruction.k for instruction in program if instruction.code in _MEMORY_CODES}
        self._spare = [slot for slot in range(MEMORY_SLOTS) if slot not in used]

    def before(self, instruction: Instruction) -> None:
        code, _, _, k = instruction
        mode = code & 0xE0
        if code in _DIVISIONS_BY_X:
            self._divisor()
        elif code & 0x07 == LDX and mode == MSH:
            self._saving_a(k)
        elif code & 0x07 == LD and mode == ABS:
            self._fixed(k, SIZES[code & 0x18])
        elif code & 0x07 == LD and mode == IND:
            self._relative(k, SIZES[code & 0x18])

    def _fixed(self, offset: int, size: int) -> None:
        if offset >= _BEYOND_PACKET:
            return
        self._code.emit(LD | LEN)
        self._code.jump(JMP | JGE | K, offset + size, None, self._no)

    def _relative(self, offset: int, size: int) -> None:
        if offset >= _BEYOND_PACKET:
            # X moves the place forward: len + |offset| - size >= X has no form without a carry; leave the load.
            return
        self._fixed(offset, size)
        self._code.emit(ALU | SUB | K, offset + size)
        self._code.jump(JMP | JGE | X, 0, None, self._no)

    def _saving_a(self, offset: int) -> None:
        slot = self._slot()
        self._code.emit(ST, slot)
        self._fixed(offset, 1)
        self._code.emit(LD | MEM, slot)

    def _divisor(self) -> None:
        slot = self._slot()
        self._code.emit(ST, slot)
        self._code.emit(MISC | TXA)
        self._code.jump(JMP | JEQ | K, 0, self._no, None)
        self._code.emit(LD | MEM, slot)

    def _slot(self) -> int:
        if not self._spare:
            raise FilterError(f"a program that uses all {MEMORY_SLOTS} memory slots cannot be combined")
        return self._spare[0]
