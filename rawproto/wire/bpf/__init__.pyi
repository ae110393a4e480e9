"""Made by tests/stubs.py from the table in __init__.py: what type checkers see."""

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

__all__: list[str]
