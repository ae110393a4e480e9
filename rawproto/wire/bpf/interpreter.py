"""Running a program on one packet, with the kernel's semantics.

For tests and for explaining filters, not for speed. Where the kernel and the paper of 1993 differ, this is the kernel:
a load outside the packet and a division by X = 0 end the program with 0, shifts by X use its low five bits, and an
offset is a signed 32-bit number (bpf_convert_filter, bpf_skb_load_helper_* in net/core/filter.c).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto.errors import FilterError
from rawproto.wire.bpf.instruction import (
    ABS,
    ADD,
    ALU,
    ANCILLARY_OFFSET,
    AND,
    DIV,
    IMM,
    JA,
    JEQ,
    JGE,
    JGT,
    JMP,
    JSET,
    LD,
    LDX,
    LEN,
    LINK_OFFSET,
    LSH,
    MEM,
    MEMORY_SLOTS,
    MISC,
    MOD,
    MSH,
    MUL,
    NEG,
    NETWORK_OFFSET,
    OR,
    RET,
    RET_A,
    RSH,
    SIZES,
    ST,
    SUB,
    TXA,
    WORD_MASK,
    XOR,
    Ancillary,
    signed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rawproto.wire.bpf.instruction import Instruction

__all__ = ["run"]

_ARITHMETIC: dict[int, Callable[[int, int], int]] = {
    ADD: lambda a, b: a + b,
    SUB: lambda a, b: a - b,
    MUL: lambda a, b: a * b,
    DIV: lambda a, b: a // b,
    MOD: lambda a, b: a % b,
    AND: lambda a, b: a & b,
    OR: lambda a, b: a | b,
    XOR: lambda a, b: a ^ b,
    LSH: lambda a, b: a << (b & 31),
    RSH: lambda a, b: a >> (b & 31),
    NEG: lambda a, _: -a,
}

_TESTS: dict[int, Callable[[int, int], bool]] = {
    JEQ: lambda a, b: a == b,
    JGT: lambda a, b: a > b,
    JGE: lambda a, b: a >= b,
    JSET: lambda a, b: a & b != 0,
}


class _Ended(Exception):  # noqa: N818 - how a program ends early, not an error
    """A load or division that ends the program with 0."""


class _Machine:
    """A, X, the memory and the packet."""

    __slots__ = ("a", "ancillary", "link", "memory", "network", "packet", "x")

    def __init__(
        self, packet: bytes, network: bytes | None, link: bytes | None, ancillary: Mapping[int, int]
    ) -> None:
        self.a = 0
        self.x = 0
        self.memory = [0] * MEMORY_SLOTS
        self.packet = packet
        self.network = network
        self.link = link
        self.ancillary = ancillary

    def bytes_at(self, offset: int, size: int) -> int:
        """The big-endian number of ``size`` bytes at a signed offset."""
        source: bytes | None = self.packet
        if offset < 0:
            if offset >= NETWORK_OFFSET:
                source, offset = self.network, offset - NETWORK_OFFSET
            elif offset >= LINK_OFFSET:
                source, offset = self.link, offset - LINK_OFFSET
            else:
                source = None
        if source is None or offset + size > len(source):
            raise _Ended
        return int.from_bytes(source[offset : offset + size], "big")

    def load(self, code: int, k: int) -> int:
        mode = code & 0xE0
        if mode == IMM:
            return k
        if mode == MEM:
            return self.memory[k]
        if mode == LEN:
            return len(self.packet)
        if mode == MSH:
            return (self.bytes_at(signed(k), 1) & 0xF) << 2
        offset = signed(k if mode == ABS else (k + self.x) & WORD_MASK)
        if mode == ABS and offset >= ANCILLARY_OFFSET and offset < 0:
            return self.known(offset - ANCILLARY_OFFSET)
        return self.bytes_at(offset, SIZES[code & 0x18])

    def known(self, kind: int) -> int:
        if kind == Ancillary.ALU_XOR_X:
            return self.a ^ self.x
        if kind not in self.ancillary:
            raise FilterError(f"the program asks for {Ancillary(kind).name}, which was not given to run()")
        return self.ancillary[kind] & WORD_MASK

    def calculate(self, code: int, k: int) -> None:
        operation = code & 0xF0
        operand = self.x if code & 0x08 else k
        if operation in (DIV, MOD) and operand == 0:
            raise _Ended
        self.a = _ARITHMETIC[operation](self.a, operand) & WORD_MASK

    def other(self, code: int, k: int) -> None:
        """Every instruction that neither jumps nor returns."""
        kind = code & 0x07
        if kind == LD:
            self.a = self.load(code, k)
        elif kind == LDX:
            self.x = self.load(code, k)
        elif kind == ALU:
            self.calculate(code, k)
        elif kind == MISC:
            if code & 0xF8 == TXA:
                self.a = self.x
            else:
                self.x = self.a
        else:
            self.memory[k] = self.a if kind == ST else self.x


def run(
    program: Sequence[Instruction],
    packet: bytes,
    network: bytes | None,
    link: bytes | None,
    ancillary: Mapping[int, int],
) -> int:
    """The value that ``program`` returns for ``packet``; see :meth:`BPFProgram.run`."""
    machine = _Machine(packet, network, link, ancillary)
    place = 0
    try:
        while True:
            code, jt, jf, k = program[place]
            place += 1
            kind = code & 0x07
            if kind == RET:
                return machine.a if code & RET_A else k
            if kind != JMP:
                machine.other(code, k)
            elif code & 0xF0 == JA:
                place += k
            else:
                holds = _TESTS[code & 0xF0](machine.a, machine.x if code & 0x08 else k)
                place += jt if holds else jf
    except _Ended:
        return 0
