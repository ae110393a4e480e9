"""Classic BPF, the kernel's packet filter language: programs, text, an interpreter and a compiler for conditions."""

from __future__ import annotations

from rawproto._face import face

_HOMES = {
    ".assembler": "assemble",
    ".comparison": "AnyOf Between Equals Masked",
    ".condition": "AfterIPv4 FieldMatch HeaderMatch",
    ".instruction": "Ancillary Instruction",
    ".program": "BPFProgram",
}

__all__, __getattr__, __dir__ = face(__name__, _HOMES)
