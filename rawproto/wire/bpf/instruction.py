"""The instruction set of classic BPF, as Linux runs it (linux/filter.h, Documentation/networking/filter.rst)."""

from __future__ import annotations

import enum
from typing import NamedTuple

__all__ = ["Ancillary", "Instruction"]


class Instruction(NamedTuple):
    """One instruction: struct sock_filter."""

    code: int
    jt: int
    """Instructions to skip when a comparison holds, 0 to 255."""
    jf: int
    """Instructions to skip when it does not."""
    k: int
    """The operand: a constant, a packet offset, a memory slot or a jump distance; unsigned, 32 bits."""


# Classes, the low three bits of a code.
LD, LDX, ST, STX, ALU, JMP, RET, MISC = range(8)

# Sizes and modes of loads.
W, H, B = 0x00, 0x08, 0x10
IMM, ABS, IND, MEM, LEN, MSH = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0

# Operations of ALU, tests of JMP, and the source of their second operand.
ADD, SUB, MUL, DIV, OR, AND, LSH, RSH, NEG, MOD, XOR = range(0, 0xB0, 0x10)
JA, JEQ, JGT, JGE, JSET = range(0, 0x50, 0x10)
K, X = 0x00, 0x08

RET_A = 0x10
TAX, TXA = 0x00, 0x80

SIZES = {W: 4, H: 2, B: 1}
"""Bytes that a load of each size takes."""

MEMORY_SLOTS = 16
"""BPF_MEMWORDS."""

MAX_INSTRUCTIONS = 4096
"""BPF_MAXINSNS."""

MAX_JUMP = 255
"""A conditional jump's distances are bytes."""

ANCILLARY_OFFSET = -0x1000
NETWORK_OFFSET = -0x100000
LINK_OFFSET = -0x200000
"""SKF_AD_OFF, SKF_NET_OFF and SKF_LL_OFF: loads from these offsets on (as signed numbers) do not read the packet
from its start, but what the kernel knows about it, or from its network or link-layer header on."""

WORD_MASK = 0xFFFFFFFF


class Ancillary(enum.IntEnum):
    """What the kernel can tell about a packet, as offsets above ANCILLARY_OFFSET (SKF_AD_*)."""

    PROTOCOL = 0
    PACKET_TYPE = 4
    INTERFACE_INDEX = 8
    NETLINK_ATTRIBUTE = 12
    NETLINK_ATTRIBUTE_NESTED = 16
    MARK = 20
    QUEUE = 24
    HARDWARE_TYPE = 28
    RECEIVE_HASH = 32
    CPU = 36
    ALU_XOR_X = 40
    """No load at all: A ^= X, from before classic BPF had an XOR instruction."""
    VLAN_TAG = 44
    VLAN_TAG_PRESENT = 48
    PAYLOAD_OFFSET = 52
    RANDOM = 56
    VLAN_PROTOCOL = 60


ANCILLARY_NAMES = {
    "proto": Ancillary.PROTOCOL,
    "type": Ancillary.PACKET_TYPE,
    "ifidx": Ancillary.INTERFACE_INDEX,
    "nla": Ancillary.NETLINK_ATTRIBUTE,
    "nlan": Ancillary.NETLINK_ATTRIBUTE_NESTED,
    "mark": Ancillary.MARK,
    "queue": Ancillary.QUEUE,
    "hatype": Ancillary.HARDWARE_TYPE,
    "rxhash": Ancillary.RECEIVE_HASH,
    "cpu": Ancillary.CPU,
    "xor_x": Ancillary.ALU_XOR_X,
    "vlan_tci": Ancillary.VLAN_TAG,
    "vlan_pr": Ancillary.VLAN_TAG_PRESENT,
    "vlan_avail": Ancillary.VLAN_TAG_PRESENT,
    "poff": Ancillary.PAYLOAD_OFFSET,
    "rand": Ancillary.RANDOM,
    "vlan_tpid": Ancillary.VLAN_PROTOCOL,
}
"""The words of the kernel's bpf_asm for them."""

ALU_NAMES = {
    "add": ADD,
    "sub": SUB,
    "mul": MUL,
    "div": DIV,
    "mod": MOD,
    "and": AND,
    "or": OR,
    "xor": XOR,
    "lsh": LSH,
    "rsh": RSH,
}

JUMP_NAMES = {"jeq": JEQ, "jgt": JGT, "jge": JGE, "jset": JSET}

ALLOWED = frozenset(
    [LD | size | mode for size in SIZES for mode in (ABS, IND)]
    + [LD | mode for mode in (IMM, MEM, LEN)]
    + [LDX | mode for mode in (IMM, MEM, LEN)]
    + [LDX | B | MSH, ST, STX, RET | K, RET | RET_A, MISC | TAX, MISC | TXA, ALU | NEG, JMP | JA]
    + [ALU | operation | source for operation in ALU_NAMES.values() for source in (K, X)]
    + [JMP | test | source for test in JUMP_NAMES.values() for source in (K, X)]
)
"""Every code that the kernel takes (chk_code_allowed)."""

CONDITIONAL_JUMPS = frozenset(JMP | test | source for test in JUMP_NAMES.values() for source in (K, X))


def signed(value: int) -> int:
    """``value`` of 32 bits as a two's complement number."""
    return value - (1 << 32) if value & 0x80000000 else value
