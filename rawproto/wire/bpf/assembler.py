"""Text to programs, in the syntax of the kernel's bpf_asm (tools/bpf, Documentation/networking/filter.rst).

ldh [12]
jne #0x800, drop     ; comments run to the end of the line
ldb [23]
jeq #253, keep, drop
keep: ret #-1
drop: ret #0
"""

from __future__ import annotations

import re

from rawproto.errors import FilterError
from rawproto.wire.bpf.instruction import (
    ABS,
    ALU,
    ALU_NAMES,
    ANCILLARY_NAMES,
    ANCILLARY_OFFSET,
    IMM,
    IND,
    JEQ,
    JGE,
    JGT,
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
    TAX,
    TXA,
    WORD_MASK,
    B,
    H,
    K,
    W,
    X,
)
from rawproto.wire.bpf.labels import Code, Label
from rawproto.wire.bpf.program import BPFProgram

__all__ = ["assemble"]

# Letters of either case, but for the names of labels; numbers are decimal, 0x..., 0b... or octal with a 0 in front.
_NUMBER = r"([+-]?(?:0x[0-9a-f]+|0b[01]+|[0-9]+))"
_CONSTANT = re.compile(rf"#\s*{_NUMBER}", re.IGNORECASE)
_ABSOLUTE = re.compile(rf"\[\s*{_NUMBER}\s*\]", re.IGNORECASE)
_INDIRECT = re.compile(rf"\[\s*%?x\s*(?:\+\s*{_NUMBER}\s*)?\]", re.IGNORECASE)
_SLOT = re.compile(rf"M\s*\[\s*{_NUMBER}\s*\]", re.IGNORECASE)
_HEADER_LENGTH = re.compile(rf"4\s*\*\s*\(\s*\[\s*{_NUMBER}\s*\]\s*&\s*0x0?f\s*\)", re.IGNORECASE)
_WORD = re.compile(r"([A-Za-z]+)\s*(.*)")
_LABEL = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*:")
_LABEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COMMENT = re.compile(r"^#[^\n]*|;[^\n]*|/\*.*?\*/", re.DOTALL | re.MULTILINE)

_LOADS = {"ld": W, "ldi": W, "ldh": H, "ldb": B}
_NEGATED = {"jne": JEQ, "jneq": JEQ, "jlt": JGE, "jle": JGT}
"""Jumps that are a test of the machine with its two ways exchanged."""


def assemble(text: str) -> BPFProgram:
    """The program that ``text`` describes.

    Raises:
        FilterError: with the line, when it does not parse; without, when the kernel would refuse the program.
    """
    code = Code()
    labels: dict[str, Label] = {}
    # A comment over several lines must leave its line breaks for the line numbers of errors.
    plain = _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), text)
    for number, line in enumerate(plain.splitlines(), 1):
        rest = line.strip()
        while found := _LABEL.match(rest):
            code.place(labels.setdefault(found[1], Label(found[1])))
            rest = rest[found.end() :].strip()
        if not rest:
            continue
        try:
            if not (found := _WORD.fullmatch(rest)):
                raise FilterError("unknown instruction")
            _instruction(code, found[1].lower(), found[2], labels)
        except FilterError as error:
            raise FilterError(f"line {number}, {rest!r}: {error}") from None
    return BPFProgram(code.finish(tidy=False))


def _number(text: str) -> int:
    digits = text.lstrip("+-").lower()
    octal = digits.startswith("0") and digits.isdecimal() and len(digits) > 1
    try:
        value = int(text, 8 if octal else 0)
    except ValueError:
        raise FilterError(f"{text} is no octal number") from None
    if not -(1 << 31) <= value <= WORD_MASK:
        raise FilterError(f"{text} does not fit 32 bits")
    return value & WORD_MASK


def _instruction(code: Code, word: str, operand: str, labels: dict[str, Label]) -> None:
    if word in _LOADS:
        code.emit(*_load(_LOADS[word], operand))
    elif word in ("ldx", "ldxi", "ldxb"):
        code.emit(*_load_x(operand))
    elif word in ("st", "stx"):
        code.emit(ST if word == "st" else STX, _match(_SLOT, operand, "a memory slot such as M[0]"))
    elif word in ALU_NAMES:
        code.emit(*_with_source(ALU | ALU_NAMES[word], operand))
    elif word in JUMP_NAMES or word in _NEGATED:
        _jump(code, word, operand, labels)
    elif word in ("ja", "jmp"):
        code.go(_label(operand, labels))
    elif word == "ret":
        code.emit(*((RET | RET_A, 0) if operand.lower() in ("a", "%a") else _with_constant(RET | K, operand)))
    else:
        code.emit(_plain(word, operand))


def _plain(word: str, operand: str) -> int:
    plain = {"neg": ALU | NEG, "tax": MISC | TAX, "txa": MISC | TXA}
    if word not in plain:
        raise FilterError("unknown instruction")
    if operand:
        raise FilterError("takes no operand")
    return plain[word]


def _match(pattern: re.Pattern[str], operand: str, wanted: str) -> int:
    found = pattern.fullmatch(operand)
    if not found:
        raise FilterError(f"expected {wanted}")
    return _number(found[1])


def _with_constant(code: int, operand: str) -> tuple[int, int]:
    return code, _match(_CONSTANT, operand, "a constant such as #1")


def _with_source(code: int, operand: str) -> tuple[int, int]:
    return (code | X, 0) if operand.lower() in ("x", "%x") else _with_constant(code | K, operand)


def _load(size: int, operand: str) -> tuple[int, int]:
    if found := _ABSOLUTE.fullmatch(operand):
        return LD | size | ABS, _number(found[1])
    if found := _INDIRECT.fullmatch(operand):
        return LD | size | IND, _number(found[1] or "0")
    if size == W:
        word = operand.lower().removeprefix("#").strip()
        if word in ANCILLARY_NAMES:
            return LD | W | ABS, (ANCILLARY_OFFSET + ANCILLARY_NAMES[word]) & WORD_MASK
        return _load_value(LD, operand)
    raise FilterError("expected a place in the packet such as [12] or [x + 2]")


def _load_x(operand: str) -> tuple[int, int]:
    if found := _HEADER_LENGTH.fullmatch(operand):
        return LDX | B | MSH, _number(found[1])
    return _load_value(LDX, operand)


def _load_value(kind: int, operand: str) -> tuple[int, int]:
    if operand.lower().removeprefix("#").strip() == "len":
        return kind | LEN, 0
    if found := _SLOT.fullmatch(operand):
        return kind | MEM, _number(found[1])
    if found := _CONSTANT.fullmatch(operand):
        return kind | IMM, _number(found[1])
    raise FilterError("unknown operand")


def _label(text: str, labels: dict[str, Label]) -> Label:
    if not _LABEL_NAME.fullmatch(text):
        raise FilterError(f"{text!r} is no label")
    return labels.setdefault(text, Label(text))


def _jump(code: Code, word: str, operand: str, labels: dict[str, Label]) -> None:
    parts = [part.strip() for part in operand.split(",")]
    if not 2 <= len(parts) <= 3:
        raise FilterError("expected a value and one or two labels")
    yes = _label(parts[1], labels)
    no = _label(parts[2], labels) if len(parts) == 3 else None
    if word in _NEGATED:
        test, k = _with_source(JMP | _NEGATED[word], parts[0])
        code.jump(test, k, no, yes)
    else:
        test, k = _with_source(JMP | JUMP_NAMES[word], parts[0])
        code.jump(test, k, yes, no)
