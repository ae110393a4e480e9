"""What a header's fields are: the model that codec, numpy dtype and every export are generated from.

``Header.fields`` is a tuple of :class:`FieldInfo`, one a field, in the order of the wire. Nothing else about a header
is needed to encode it, draw it, dissect it or make up values for it:

=============== ====================================================================================================
``name``        the attribute's name
``kind``        ``"uint"``, ``"bool"``, ``"enum"``, ``"flags"``, ``"bytes"``, ``"ip4"``, ``"ip6"``, ``"options"`` (a
                tuple of type-length-value options) or ``"list"`` (a tuple of equal elements, see ``element``)
``offset``      bits from the start of the header; None behind a field of variable length
``width``       bits; None when variable
``byteorder``   ``"big"`` or ``"little"`` (only whole bytes: 16, 32 and 64 bits)
``default``     the value taken when none is given; :data:`REQUIRED` when one must be. Derived fields have None
``derived``     None, or the rule by which a build computes the value: :class:`Length`, :class:`Checksum`,
                :class:`NextProtocol` or :class:`Computed`
``constant``    the only value that parsing accepts (a version number), or None
``scale``       value of the attribute = number on the wire x scale (IPv4's fragment offset: 8)
``enum``        the :class:`~rawproto.wire.enums.OpenEnum` of kind ``"enum"``
``flags``       the :class:`~rawproto.wire.flags.Flags` type of kind ``"flags"``; its ``bits`` maps name to bit number,
                0 the least significant
``element``     for kind ``"list"``: a :class:`Spec` or a Header class
``options``     for kind ``"options"``: the :class:`~rawproto.wire.tlv.OptionFormat`
``length_by``   for a variable field: name of the field that holds its length (by its :class:`Length` rule); None when
                it ends where the header ends (a rule ``Length("header")``) or takes all that is left
``kw_only``     whether the constructor takes it by keyword only
``overlays``    whether it is another view of bits that also belong to other fields (ICMP's ``mtu``). Such fields are
                in ``Header.views``, never in ``Header.fields``
``doc``         one line about it, or ""
=============== ====================================================================================================

Properties: ``variable`` (no fixed width), ``required``, ``mask`` (all ones of the width), ``byte_offset``,
``aligned`` (starts and ends on byte borders), ``names`` (number to name, of an enumeration or of flag bits).

On the header class: ``Header.fields``, ``Header.views``, ``Header.size`` (bytes without the variable fields, so the
smallest possible header), ``Header.protocol_number`` (the IP protocol it is bound to, or None), ``Header.__name__``.

Bits of one run of fields between two byte borders are counted from the most significant bit of the first byte, as in
the diagrams of RFCs. Bits without a name are declared like any other field.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rawproto.wire.enums import OpenEnum
    from rawproto.wire.flags import Flags
    from rawproto.wire.tlv import OptionFormat

__all__ = [
    "REQUIRED",
    "Checksum",
    "Computed",
    "Constant",
    "FieldInfo",
    "Kind",
    "Length",
    "NextProtocol",
    "Overlay",
    "Rule",
    "Spec",
]

Kind: TypeAlias = Literal["uint", "bool", "enum", "flags", "bytes", "ip4", "ip6", "options", "list"]


class _Required:
    """The type of :data:`REQUIRED`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Any = _Required()
"""The default of a field that has none."""


@dataclasses.dataclass(frozen=True, slots=True)
class Length:
    """A length: number on the wire = bytes / ``unit`` + ``bias``.

    Attributes:
        of: what is measured: ``"header"`` (this header with its options), ``"payload"`` (what follows it),
            ``"packet"`` (both), or the name of a variable field of this header.
        unit: bytes a count; the thing measured is padded to it where it can be, else it is an error.
        bias: added to the count (IPv6 extension headers do not count their first 8 bytes: -1).
    """

    of: str
    unit: int = 1
    bias: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Checksum:
    """The 16-bit Internet checksum (RFC 1071).

    Attributes:
        covers: ``"header"`` or ``"packet"`` (header and payload).
        pseudo: whether the pseudo header of the enclosing IP header is added.
        zero: what 0 means: ``"sum"`` (a sum like any other) or ``"absent"`` (no checksum; a sum of 0 is sent as
            0xffff: RFC 768).
    """

    covers: Literal["header", "packet"] = "packet"
    pseudo: bool = False
    zero: Literal["sum", "absent"] = "sum"


@dataclasses.dataclass(frozen=True, slots=True)
class NextProtocol:
    """The protocol number of the header that follows."""


@dataclasses.dataclass(frozen=True, slots=True)
class Computed:
    """Any other rule: ``function(header, payload)`` gives the number. It must depend on nothing else.

    The number is shifted right by ``shift`` bits, and cut to the field's width.

    Attributes:
        function: the rule.
        initial: whether it only finds a starting value, which nothing else depends on: then a number that was
            received stays when other fields are changed, and none is called wrong.
        payload_only: whether the rule is ``function(payload)``.
        shift: low bits of the number that are left out.
        counts: whether the datagrams of a batch take consecutive numbers, from the first one's on.
    """

    function: Callable[..., int]
    payload_only: bool = False
    shift: int = 0
    initial: bool = False
    counts: bool = False

    def __call__(self, header: Any, payload: bytes) -> int:
        """The number for a header and its payload."""
        number = self.function(payload) if self.payload_only else self.function(header, payload)
        return number >> self.shift


Rule: TypeAlias = Length | Checksum | NextProtocol | Computed


@dataclasses.dataclass(frozen=True, slots=True)
class Constant:
    """Annotation: parsing accepts only this value, and it is the default."""

    value: int


@dataclasses.dataclass(frozen=True, slots=True)
class Overlay:
    """Annotation: the field is another view of the bits that start ``offset`` bits into the header."""

    offset: int


@dataclasses.dataclass(frozen=True, slots=True)
class Spec:
    """The type of a field, without name and place; what an annotation stands for."""

    kind: Kind
    width: int | None = None
    byteorder: Literal["big", "little"] = "big"
    enum: type[OpenEnum] | None = None
    flags: type[Flags] | None = None
    scale: int = 1
    derived: Rule | None = None
    element: Spec | type[Any] | None = None
    options: OptionFormat | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class FieldInfo:
    """One field of a header; the module's text explains every attribute."""

    name: str
    kind: Kind
    offset: int | None
    width: int | None
    byteorder: Literal["big", "little"] = "big"
    default: Any = REQUIRED
    derived: Rule | None = None
    constant: int | None = None
    scale: int = 1
    enum: type[OpenEnum] | None = None
    flags: type[Flags] | None = None
    element: Spec | type[Any] | None = None
    options: OptionFormat | None = None
    length_by: str | None = None
    kw_only: bool = False
    overlays: bool = False
    doc: str = ""

    @property
    def variable(self) -> bool:
        """Whether its length differs from packet to packet."""
        return self.width is None

    @property
    def required(self) -> bool:
        """Whether the constructor must be given a value."""
        return self.default is REQUIRED

    @property
    def mask(self) -> int:
        """All ones of the field's width; 0 when variable."""
        return (1 << (self.width or 0)) - 1

    @property
    def byte_offset(self) -> int | None:
        """Offset of the byte in which the field starts; None behind a field of variable length."""
        return None if self.offset is None else self.offset >> 3

    @property
    def aligned(self) -> bool:
        """Whether it starts and ends on byte borders; fields behind a variable one do as a whole run."""
        return (self.offset or 0) % 8 == 0 and (self.width or 0) % 8 == 0

    @property
    def names(self) -> Mapping[int, str]:
        """Number to name: codes of an enumeration, bit numbers of flags; empty for other kinds."""
        if self.enum is not None:
            return {int(member): member.name for member in self.enum}
        if self.flags is not None:
            return {bit: name for name, bit in self.flags.bits.items()}
        return {}
