"""The checks the kernel makes before it attaches a program (bpf_check_classic in net/core/filter.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto.errors import FilterError
from rawproto.wire.bpf.instruction import (
    ABS,
    ALLOWED,
    ALU,
    ANCILLARY_OFFSET,
    CONDITIONAL_JUMPS,
    DIV,
    JA,
    JMP,
    LD,
    LDX,
    LSH,
    MAX_INSTRUCTIONS,
    MAX_JUMP,
    MEM,
    MEMORY_SLOTS,
    MOD,
    RET,
    RET_A,
    RSH,
    SIZES,
    ST,
    STX,
    WORD_MASK,
    Ancillary,
    Instruction,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["check"]

_ABSOLUTE_LOADS = frozenset(LD | size | ABS for size in SIZES)
_ANCILLARY = frozenset((ANCILLARY_OFFSET + kind) & WORD_MASK for kind in Ancillary)
_DIVISIONS = (ALU | DIV, ALU | MOD)
_SHIFTS = (ALU | LSH, ALU | RSH)
_MEMORY_LOADS = (LD | MEM, LDX | MEM)
_MEMORY_STORES = (ST, STX)


def check(program: Sequence[Instruction]) -> None:
    """Refuse what the kernel would refuse.

    Raises:
        FilterError: says which instruction is wrong and why.
    """
    if not 1 <= len(program) <= MAX_INSTRUCTIONS:
        raise FilterError(f"a program has 1 to {MAX_INSTRUCTIONS} instructions, this one has {len(program)}")
    for place, instruction in enumerate(program):
        reason = _fault(instruction, len(program) - place - 1)
        if reason:
            raise FilterError(f"instruction {place} {tuple(instruction)}: {reason}")
    if program[-1].code not in (RET, RET | RET_A):
        raise FilterError("the last instruction must be a return")
    _check_memory(program)


def _fault(instruction: Instruction, following: int) -> str:
    """What is wrong with one instruction that has ``following`` more behind it; "" when nothing is."""
    code, jt, jf, k = instruction
    if not (0 <= jt <= MAX_JUMP and 0 <= jf <= MAX_JUMP and 0 <= k <= WORD_MASK):
        return "an operand is out of range"
    if code not in ALLOWED:
        return f"unknown code {code:#x}"
    if code in _DIVISIONS and k == 0:
        return "division by zero"
    if code in _SHIFTS and k >= 32:
        return f"shift by {k}, at most 31"
    if code in _MEMORY_LOADS + _MEMORY_STORES and k >= MEMORY_SLOTS:
        return f"memory slot {k}, there are {MEMORY_SLOTS}"
    distance = k if code == JMP | JA else max(jt, jf) if code in CONDITIONAL_JUMPS else -1
    if distance >= following:
        return "jumps behind the end of the program"
    if code in _ABSOLUTE_LOADS and k >= ANCILLARY_OFFSET & WORD_MASK and k not in _ANCILLARY:
        return f"no ancillary data at {k:#x}"
    return ""


def _check_memory(program: Sequence[Instruction]) -> None:
    """Refuse a load from a slot that some way through the program did not store to (check_load_and_stores)."""
    everything = (1 << MEMORY_SLOTS) - 1
    on_arrival = [everything] * len(program)
    valid = 0
    for place, (code, jt, jf, k) in enumerate(program):
        valid &= on_arrival[place]
        if code in _MEMORY_STORES:
            valid |= 1 << k
        elif code in _MEMORY_LOADS:
            if not valid & 1 << k:
                raise FilterError(f"instruction {place}: memory slot {k} is read before it is written")
        elif code == JMP | JA:
            on_arrival[place + 1 + k] &= valid
            valid = everything
        elif code in CONDITIONAL_JUMPS:
            on_arrival[place + 1 + jt] &= valid
            on_arrival[place + 1 + jf] &= valid
            valid = everything
