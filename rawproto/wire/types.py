"""The vocabulary of header declarations: what stands to the right of a field's colon.

A field is an annotation; its default is the assigned value::

    class Probe(Header, protocol=253):
        kind: u8
        flags: flags8("SYN", "ACK")
        check: checksum16
        seq: u32 = 0

Names such as ``u8`` are ``Annotated[int, ...]``, so type checkers see plain types. They reject calls in annotations,
though; where code is type-checked, put the call into ``Annotated`` and give derived fields the default None::

    class Probe(Header, protocol=253):
        kind: u8
        flags: Annotated[int, flags8("SYN", "ACK")]
        seq: u32 = 0
        check: checksum16 = None

============================================= =========================================================================
``u8 u16 u24 u32 u40 u48 u64``                unsigned, big-endian; ``u16le u32le u64le`` little-endian
``bits(n)``                                   n bits; a run of them must end on a byte border
``flag``                                      one bit as a bool
``enum8(E) enum16(E) enum32(E) enum_bits(n, E)``   an :class:`OpenEnum`; unknown codes are kept
``flags8(...) flags16 flags32 flag_bits(n, ...)``  names, least significant bit first, or one :class:`Flags` type
``fixed(n)``                                  n bytes
``opaque``                                    bytes of variable length
``ip4``, ``ip6``                              an address, a :class:`rawproto.IP`; text is taken too
``options(format)``                           a tuple of type-length-value options
``list_of(type)``                             a tuple of ``u32``, ``ip6``, ... or of headers
``length8(of) length16(of) length_bits(n, of)``    derived: bytes of ``"header"``, ``"payload"``, ``"packet"`` or of the
                                              variable field named; ``unit=`` and ``bias=`` as in :class:`Length`
``checksum16``                                derived: Internet checksum of header and payload
``header_checksum16``, ``pseudo_checksum16``  derived: of the header alone; with the pseudo header of IP added
``next_protocol8``                            derived: protocol number of the next header
============================================= =========================================================================

A variable field ends where its length field says (``name_length: length8("name")``, declared before it), else where
the header ends when there is a ``length...("header")``, else it takes all that is left.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, get_args

from rawproto.errors import DeclarationError
from rawproto.wire.address import IP
from rawproto.wire.field import REQUIRED, Checksum, Constant, Length, NextProtocol, Overlay, Spec
from rawproto.wire.flags import flags_class

if TYPE_CHECKING:
    from rawproto.wire.enums import OpenEnum
    from rawproto.wire.tlv import OptionFormat

__all__ = [
    "Constant",
    "Overlay",
    "bits",
    "checksum16",
    "declare",
    "enum8",
    "enum16",
    "enum32",
    "enum_bits",
    "fixed",
    "flag",
    "flag_bits",
    "flags8",
    "flags16",
    "flags32",
    "header_checksum16",
    "ip4",
    "ip6",
    "length8",
    "length16",
    "length_bits",
    "list_of",
    "next_protocol8",
    "opaque",
    "options",
    "pseudo_checksum16",
    "scaled",
    "u8",
    "u16",
    "u16le",
    "u24",
    "u32",
    "u32le",
    "u40",
    "u48",
    "u64",
    "u64le",
]

u8: TypeAlias = Annotated[int, Spec("uint", 8)]
u16: TypeAlias = Annotated[int, Spec("uint", 16)]
u24: TypeAlias = Annotated[int, Spec("uint", 24)]
u32: TypeAlias = Annotated[int, Spec("uint", 32)]
u40: TypeAlias = Annotated[int, Spec("uint", 40)]
u48: TypeAlias = Annotated[int, Spec("uint", 48)]
u64: TypeAlias = Annotated[int, Spec("uint", 64)]
u16le: TypeAlias = Annotated[int, Spec("uint", 16, "little")]
u32le: TypeAlias = Annotated[int, Spec("uint", 32, "little")]
u64le: TypeAlias = Annotated[int, Spec("uint", 64, "little")]
flag: TypeAlias = Annotated[bool, Spec("bool", 1)]
opaque: TypeAlias = Annotated[bytes, Spec("bytes")]
# What users may assign is wider than what they read (text, bytes), which Annotated cannot say: hence Any.
ip4: TypeAlias = Annotated[Any, Spec("ip4", 32)]
ip6: TypeAlias = Annotated[Any, Spec("ip6", 128)]
checksum16: TypeAlias = Annotated[int | None, Spec("uint", 16, derived=Checksum())]
header_checksum16: TypeAlias = Annotated[int | None, Spec("uint", 16, derived=Checksum("header"))]
pseudo_checksum16: TypeAlias = Annotated[int | None, Spec("uint", 16, derived=Checksum(pseudo=True))]
next_protocol8: TypeAlias = Annotated[int | None, Spec("uint", 8, derived=NextProtocol())]


@dataclasses.dataclass(frozen=True, slots=True)
class FieldOptions:
    """What :func:`declare` was given."""

    default: Any = REQUIRED
    kw_only: bool = False
    doc: str = ""


def declare(*, default: Any = REQUIRED, kw_only: bool = False, doc: str = "") -> Any:
    """The right-hand side of a field that needs more than a default.

    Args:
        default: the value when none is given; derived fields have None without being told.
        kw_only: the constructor takes it by keyword only.
        doc: one line about the field, shown by the exports.
    """
    return FieldOptions(default, kw_only, doc)


def bits(count: int) -> Any:
    """An unsigned field of ``count`` bits, 1 to 64."""
    return Spec("uint", _in_range(count, 1, 64))


def scaled(count: int, scale: int) -> Any:
    """A field of ``count`` bits whose value is ``scale`` times the number on the wire."""
    return Spec("uint", _in_range(count, 1, 64), scale=_in_range(scale, 1, 1 << 32))


def fixed(count: int) -> Any:
    """``count`` bytes."""
    return Spec("bytes", 8 * _in_range(count, 1, 65535))


def enum_bits(count: int, enum: type[OpenEnum]) -> Any:
    """An enumeration in ``count`` bits."""
    return Spec("enum", _in_range(count, 1, 64), enum=enum)


def enum8(enum: type[OpenEnum]) -> Any:
    """An enumeration in 8 bits."""
    return enum_bits(8, enum)


def enum16(enum: type[OpenEnum]) -> Any:
    """An enumeration in 16 bits."""
    return enum_bits(16, enum)


def enum32(enum: type[OpenEnum]) -> Any:
    """An enumeration in 32 bits."""
    return enum_bits(32, enum)


def flag_bits(count: int, *names: Any) -> Any:
    """Flags in ``count`` bits: names from the least significant bit on (None for a nameless one), or a Flags type."""
    return Spec("flags", _in_range(count, 1, 64), flags=flags_class(names, count))


def flags8(*names: Any) -> Any:
    """Flags in 8 bits, as :func:`flag_bits`."""
    return flag_bits(8, *names)


def flags16(*names: Any) -> Any:
    """Flags in 16 bits, as :func:`flag_bits`."""
    return flag_bits(16, *names)


def flags32(*names: Any) -> Any:
    """Flags in 32 bits, as :func:`flag_bits`."""
    return flag_bits(32, *names)


def length_bits(count: int, of: str, unit: int = 1, bias: int = 0) -> Any:
    """A derived length of ``count`` bits; see :class:`Length`."""
    return Spec("uint", _in_range(count, 1, 64), derived=Length(of, _in_range(unit, 1, 1 << 16), bias))


def length8(of: str, unit: int = 1, bias: int = 0) -> Any:
    """A derived length of 8 bits; see :class:`Length`."""
    return length_bits(8, of, unit, bias)


def length16(of: str, unit: int = 1, bias: int = 0) -> Any:
    """A derived length of 16 bits; see :class:`Length`."""
    return length_bits(16, of, unit, bias)


def options(format: OptionFormat) -> Any:  # noqa: A002 - the natural word, and only a parameter
    """A tuple of type-length-value options in ``format``."""
    return Spec("options", options=format)


def list_of(element: Any) -> Any:
    """A tuple of equal elements: a fixed-width field type (``u32``, ``ip6``, ``fixed(8)``) or a Header class."""
    if isinstance(element, type) and hasattr(element, "_decode"):
        return Spec("list", element=element)
    spec = spec_of(element)
    if spec is None or spec.width is None or spec.width % 8 or spec.derived is not None:
        raise DeclarationError(
            f"list_of needs a type of whole, fixed bytes or a Header class, not {element!r}"
        )
    return Spec("list", element=spec)


def spec_of(annotation: Any) -> Spec | None:
    """The :class:`Spec` that an annotation is or carries, or None."""
    if isinstance(annotation, Spec):
        return annotation
    if annotation is IP:
        raise DeclarationError("an address field is ip4 or ip6: the wire needs to know which")
    found = [spec for item in get_args(annotation)[1:] if (spec := spec_of(item)) is not None]
    return found[0] if found else None


def _in_range(value: int, low: int, high: int) -> int:
    """``value``, or DeclarationError when it is no int from ``low`` to ``high``."""
    if not isinstance(value, int) or not low <= value <= high:
        raise DeclarationError(f"{value!r} is not a whole number from {low} to {high}")
    return value
