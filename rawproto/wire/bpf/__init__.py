"""Classic BPF, the kernel's packet filter language: programs, text, an interpreter and a compiler for conditions."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rawproto.wire.bpf.assembler import assemble as assemble
    from rawproto.wire.bpf.comparison import AnyOf as AnyOf
    from rawproto.wire.bpf.comparison import Between as Between
    from rawproto.wire.bpf.comparison import Equals as Equals
    from rawproto.wire.bpf.comparison import Masked as Masked
    from rawproto.wire.bpf.condition import AfterIPv4 as AfterIPv4
    from rawproto.wire.bpf.condition import FieldMatch as FieldMatch
    from rawproto.wire.bpf.condition import HeaderMatch as HeaderMatch
    from rawproto.wire.bpf.instruction import Ancillary as Ancillary
    from rawproto.wire.bpf.instruction import Instruction as Instruction
    from rawproto.wire.bpf.program import BPFProgram as BPFProgram

_MODULE_OF = {
    "AfterIPv4": "condition",
    "Ancillary": "instruction",
    "AnyOf": "comparison",
    "BPFProgram": "program",
    "Between": "comparison",
    "Equals": "comparison",
    "FieldMatch": "condition",
    "HeaderMatch": "condition",
    "Instruction": "instruction",
    "Masked": "comparison",
    "assemble": "assembler",
}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value
