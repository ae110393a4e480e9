"""Programs as text, in the syntax of the kernel's bpf_asm (tools/bpf, Documentation/networking/filter.rst)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto.wire.bpf.instruction import (
    ABS,
    ALU,
    ALU_NAMES,
    ANCILLARY_NAMES,
    ANCILLARY_OFFSET,
    IMM,
    IND,
    JA,
    JMP,
    JUMP_NAMES,
    LD,
    LDX,
    LEN,
    MEM,
    MISC,
    MSH,
    NEG,
    RET,
    RET_A,
    ST,
    STX,
    TXA,
    B,
    H,
    W,
    signed,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rawproto.wire.bpf.instruction import Instruction

__all__ = ["disassemble"]

_ALU_WORDS = {operation: word for word, operation in ALU_NAMES.items()}
_JUMP_WORDS = {test: word for word, test in JUMP_NAMES.items()}
_ANCILLARY_WORDS = {int(kind): word for word, kind in ANCILLARY_NAMES.items()}
_LOAD_WORDS = {W: "ld", H: "ldh", B: "ldb"}


def disassemble(program: Sequence[Instruction]) -> str:
    """One instruction a line; what is jumped to carries a label of its number."""
    targets: set[int] = set()
    for place, instruction in enumerate(program):
        targets.update(place + 1 + distance for distance in _distances(instruction))
    width = len(f"L{len(program)}: ") if targets else 0
    lines = []
    for place, instruction in enumerate(program):
        label = f"L{place}: " if place in targets else ""
        lines.append(f"{label:<{width}}{_text(instruction, place)}".rstrip())
    return "\n".join(lines) + "\n"


def _distances(instruction: Instruction) -> tuple[int, ...]:
    if instruction.code & 0x07 != JMP:
        return ()
    return (instruction.k,) if instruction.code & 0xF0 == JA else (instruction.jt, instruction.jf)


def _text(instruction: Instruction, place: int) -> str:
    code, _, _, k = instruction
    kind = code & 0x07
    if kind == LD:
        word, operand = _load(code, k)
    elif kind == LDX:
        word, operand = "ldx", f"4*([{_offset(k)}]&0xf)" if code & 0xE0 == MSH else _value(code, k)
    elif kind in (ST, STX):
        word, operand = "st" if kind == ST else "stx", f"M[{k}]"
    elif kind == ALU:
        word, operand = ("neg", "") if code & 0xF0 == NEG else (_ALU_WORDS[code & 0xF0], _operand(code, k))
    elif kind == JMP:
        word, operand = _jump(instruction, place)
    elif kind == RET:
        word, operand = "ret", "a" if code & RET_A else f"#{k:#x}"
    else:
        assert kind == MISC
        word, operand = "txa" if code & 0xF8 == TXA else "tax", ""
    return f"{word:<4} {operand}"


def _operand(code: int, k: int) -> str:
    return "x" if code & 0x08 else f"#{k:#x}"


def _offset(k: int) -> str:
    return str(signed(k))


def _value(code: int, k: int) -> str:
    """Operand of the loads that do not reach into the packet."""
    return {IMM: f"#{k:#x}", MEM: f"M[{k}]", LEN: "len"}[code & 0xE0]


def _load(code: int, k: int) -> tuple[str, str]:
    mode = code & 0xE0
    word = _LOAD_WORDS[code & 0x18]
    if mode == ABS:
        kind = signed(k) - ANCILLARY_OFFSET
        if code & 0x18 == W and kind in _ANCILLARY_WORDS:
            return word, _ANCILLARY_WORDS[kind]
        return word, f"[{_offset(k)}]"
    if mode == IND:
        return word, f"[x + {_offset(k)}]"
    return word, _value(code, k)


def _jump(instruction: Instruction, place: int) -> tuple[str, str]:
    code, jt, jf, k = instruction
    if code & 0xF0 == JA:
        return "ja", f"L{place + 1 + k}"
    return _JUMP_WORDS[code & 0xF0], f"{_operand(code, k)}, L{place + 1 + jt}, L{place + 1 + jf}"
