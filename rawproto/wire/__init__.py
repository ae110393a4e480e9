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
    from rawproto.wire.datagram import Datagram as Datagram
    from rawproto.wire.enums import OpenEnum as OpenEnum
    from rawproto.wire.field import FieldInfo as FieldInfo
    from rawproto.wire.flags import Flag as Flag
    from rawproto.wire.flags import Flags as Flags
    from rawproto.wire.fragment import fragment as fragment
    from rawproto.wire.header import Header as Header
    from rawproto.wire.icmp_error import ICMPError as ICMPError
    from rawproto.wire.icmp_error import ICMPErrorKind as ICMPErrorKind
    from rawproto.wire.identification import IdentificationSequence as IdentificationSequence
    from rawproto.wire.ipv4 import IPv4 as IPv4
    from rawproto.wire.pcapng.blocks import LinkType as LinkType
    from rawproto.wire.pcapng.reader import PcapngReader as PcapngReader
    from rawproto.wire.pcapng.writer import PcapngWriter as PcapngWriter
    from rawproto.wire.protocols import IPProtocol as IPProtocol
    from rawproto.wire.reassembly import FragmentDrop as FragmentDrop
    from rawproto.wire.reassembly import Reassembler as Reassembler
    from rawproto.wire.sums import checksum as checksum
    from rawproto.wire.sums import checksum_update as checksum_update
    from rawproto.wire.sums import pseudo_header as pseudo_header
    from rawproto.wire.types import Constant as Constant
    from rawproto.wire.types import Overlay as Overlay
    from rawproto.wire.types import bits as bits
    from rawproto.wire.types import checksum16 as checksum16
    from rawproto.wire.types import declare as declare
    from rawproto.wire.types import enum8 as enum8
    from rawproto.wire.types import enum16 as enum16
    from rawproto.wire.types import enum32 as enum32
    from rawproto.wire.types import enum_bits as enum_bits
    from rawproto.wire.types import fixed as fixed
    from rawproto.wire.types import flag as flag
    from rawproto.wire.types import flag_bits as flag_bits
    from rawproto.wire.types import flags8 as flags8
    from rawproto.wire.types import flags16 as flags16
    from rawproto.wire.types import flags32 as flags32
    from rawproto.wire.types import header_checksum16 as header_checksum16
    from rawproto.wire.types import ip4 as ip4
    from rawproto.wire.types import ip6 as ip6
    from rawproto.wire.types import length8 as length8
    from rawproto.wire.types import length16 as length16
    from rawproto.wire.types import length_bits as length_bits
    from rawproto.wire.types import list_of as list_of
    from rawproto.wire.types import next_protocol8 as next_protocol8
    from rawproto.wire.types import opaque as opaque
    from rawproto.wire.types import options as options
    from rawproto.wire.types import pseudo_checksum16 as pseudo_checksum16
    from rawproto.wire.types import scaled as scaled
    from rawproto.wire.types import u8 as u8
    from rawproto.wire.types import u16 as u16
    from rawproto.wire.types import u16le as u16le
    from rawproto.wire.types import u24 as u24
    from rawproto.wire.types import u32 as u32
    from rawproto.wire.types import u32le as u32le
    from rawproto.wire.types import u40 as u40
    from rawproto.wire.types import u48 as u48
    from rawproto.wire.types import u64 as u64
    from rawproto.wire.types import u64le as u64le
    from rawproto.wire.udp import UDP as UDP

# One line a module, kept equal to the imports above by a test.
_NAMES: dict[str, tuple[str, ...]] = {
    "batch": ("Batch", "ReceivedBatch", "Transmit"),
    "bpf.assembler": ("assemble",),
    "bpf.program": ("BPFProgram",),
    "datagram": ("Datagram",),
    "enums": ("OpenEnum",),
    "field": ("FieldInfo",),
    "flags": ("Flag", "Flags"),
    "fragment": ("fragment",),
    "header": ("Header",),
    "icmp_error": ("ICMPError", "ICMPErrorKind"),
    "identification": ("IdentificationSequence",),
    "ipv4": ("IPv4",),
    "pcapng.blocks": ("LinkType",),
    "pcapng.reader": ("PcapngReader",),
    "pcapng.writer": ("PcapngWriter",),
    "protocols": ("IPProtocol",),
    "reassembly": ("FragmentDrop", "Reassembler"),
    "sums": ("checksum", "checksum_update", "pseudo_header"),
    "types": (
        "Constant",
        "Overlay",
        "bits",
        "checksum16",
        "declare",
        "enum16",
        "enum32",
        "enum8",
        "enum_bits",
        "fixed",
        "flag",
        "flag_bits",
        "flags16",
        "flags32",
        "flags8",
        "header_checksum16",
        "ip4",
        "ip6",
        "length16",
        "length8",
        "length_bits",
        "list_of",
        "next_protocol8",
        "opaque",
        "options",
        "pseudo_checksum16",
        "scaled",
        "u16",
        "u16le",
        "u24",
        "u32",
        "u32le",
        "u40",
        "u48",
        "u64",
        "u64le",
        "u8",
    ),
    "udp": ("UDP",),
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
