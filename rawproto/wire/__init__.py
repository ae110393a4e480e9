"""Packets as bytes: headers, checksums, fragments, filters and capture files. No sockets, clocks or randomness here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rawproto.wire.batch import Batch as Batch
    from rawproto.wire.batch import ReceivedBatch as ReceivedBatch
    from rawproto.wire.batch import Transmit as Transmit
    from rawproto.wire.bpf.assembler import assemble as assemble
    from rawproto.wire.bpf.program import BPFProgram as BPFProgram
    from rawproto.wire.icmp_error import ICMPError as ICMPError
    from rawproto.wire.icmp_error import ICMPErrorKind as ICMPErrorKind
    from rawproto.wire.pcapng.blocks import LinkType as LinkType
    from rawproto.wire.pcapng.reader import PcapngReader as PcapngReader
    from rawproto.wire.pcapng.writer import PcapngWriter as PcapngWriter

# One line a module, kept equal to the imports above by a test.
_NAMES: dict[str, tuple[str, ...]] = {
    "batch": ("Batch", "ReceivedBatch", "Transmit"),
    "bpf.assembler": ("assemble",),
    "bpf.program": ("BPFProgram",),
    "icmp_error": ("ICMPError", "ICMPErrorKind"),
    "pcapng.blocks": ("LinkType",),
    "pcapng.reader": ("PcapngReader",),
    "pcapng.writer": ("PcapngWriter",),
}

_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
