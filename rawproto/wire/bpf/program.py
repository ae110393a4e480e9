"""A validated classic BPF program as a value."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from rawproto.errors import FilterError
from rawproto.wire.bpf.check import check
from rawproto.wire.bpf.instruction import Instruction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

    from rawproto.wire.bpf.condition import Base, Condition

__all__ = ["BPFProgram"]

_SOCK_FILTER = struct.Struct("=HBBI")
"""struct sock_filter, in the machine's byte order."""


class BPFProgram(tuple[Instruction, ...]):
    """A filter program: a tuple of instructions that the kernel will accept.

    ``bytes(program)`` is the array of ``struct sock_filter`` for SO_ATTACH_FILTER. ``a & b``, ``a | b`` and ``~a``
    combine programs as conditions: the result takes whole packets, and a packet too short for one of them counts
    as not taken by that one.

    Raises:
        FilterError: on construction, when the kernel would refuse the program.
    """

    condition: Condition | None
    """The condition it was compiled from, None for a program made of instructions."""
    placed: bool
    """False while the place of the header it looks at may still be chosen by :meth:`at`."""

    def __new__(cls, instructions: Iterable[Iterable[int]]) -> Self:
        """Check ``instructions``, each (code, jt, jf, k)."""
        program = super().__new__(cls, (Instruction(*instruction) for instruction in instructions))
        check(program)
        program.condition = None
        program.placed = True
        return program

    @classmethod
    def from_condition(cls, condition: Condition, *, placed: bool = True) -> Self:
        """Compile ``condition``; with ``placed`` false its headers stand at 0 until :meth:`at` moves them."""
        from rawproto.wire.bpf.condition import compile_condition

        program = cls(compile_condition(condition))
        program.condition = condition
        program.placed = placed
        return program

    @classmethod
    def from_bytes(cls, packed: bytes) -> Self:
        """The program in an array of ``struct sock_filter``."""
        if len(packed) % _SOCK_FILTER.size:
            raise FilterError(
                f"{len(packed)} bytes are no whole number of {_SOCK_FILTER.size}-byte instructions"
            )
        return cls(_SOCK_FILTER.iter_unpack(packed))

    def __bytes__(self) -> bytes:
        return b"".join(_SOCK_FILTER.pack(*instruction) for instruction in self)

    def __repr__(self) -> str:
        return f"<BPFProgram of {len(self)} instructions>"

    def at(self, base: Base) -> BPFProgram:
        """The same filter for sockets whose packets have the header at ``base``.

        A link calls this with the place its socket gives, so that ``Probe.filter(kind=1)`` fits every link. A
        program that was compiled for a stated place, or made of instructions, is given back unchanged.
        """
        if self.placed or self.condition is None:
            return self
        return BPFProgram.from_condition(self.condition.at(base))

    def run(
        self,
        packet: bytes | bytearray | memoryview,
        *,
        network: bytes | None = None,
        link: bytes | None = None,
        ancillary: Mapping[int, int] | None = None,
    ) -> int:
        """What the kernel would return: 0 drops the packet, anything else is the bytes kept of it at most.

        Args:
            packet: the packet as the socket sees it.
            network: the packet from its network header on, for loads relative to that; None fails them.
            link: the packet from its link-layer header on, likewise.
            ancillary: values of the :class:`Ancillary` loads that the program makes.

        Raises:
            FilterError: the program loads ancillary data that was not given.
        """
        from rawproto.wire.bpf.interpreter import run

        return run(self, bytes(packet), network, link, ancillary or {})

    def disassemble(self) -> str:
        """The program as text that :func:`assemble` reads, one instruction a line."""
        from rawproto.wire.bpf.disassembler import disassemble

        return disassemble(self)

    def _as_condition(self) -> Condition:
        from rawproto.wire.bpf.condition import Embedded

        return Embedded(self) if self.condition is None else self.condition

    def __and__(self, other: BPFProgram) -> BPFProgram:
        from rawproto.wire.bpf.condition import All

        return self._combined(All((self._as_condition(), other._as_condition())), other)

    def __or__(self, other: BPFProgram) -> BPFProgram:
        from rawproto.wire.bpf.condition import Any

        return self._combined(Any((self._as_condition(), other._as_condition())), other)

    def __invert__(self) -> BPFProgram:
        from rawproto.wire.bpf.condition import Not

        return self._combined(Not(self._as_condition()), self)

    def _combined(self, condition: Condition, other: BPFProgram) -> BPFProgram:
        return BPFProgram.from_condition(condition, placed=self.placed and other.placed)
