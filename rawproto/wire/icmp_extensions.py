"""Extensions of ICMP errors (RFC 4884): what stands behind the quoted datagram, such as MPLS labels."""

from __future__ import annotations

from typing import Annotated, Any

from rawproto.errors import DecodeError
from rawproto.wire.enums import OpenEnum
from rawproto.wire.header import Header
from rawproto.wire.sums import checksum
from rawproto.wire.types import (
    Constant,
    bits,
    checksum16,
    declare,
    enum8,
    flag,
    length16,
    list_of,
    opaque,
    u8,
)

__all__ = [
    "ExtensionClass",
    "ExtensionObject",
    "ICMPExtensions",
    "InterfaceIdentification",
    "InterfaceInformation",
    "MPLSLabel",
    "MPLSLabelStack",
    "RawExtension",
    "join_quote",
    "split_quote",
]


class ExtensionClass(OpenEnum):
    """Classes of extension objects (IANA "ICMP Extension Object Classes and Class Sub-types")."""

    MPLS_LABEL_STACK = 1
    INTERFACE_INFORMATION = 2
    INTERFACE_IDENTIFICATION = 3
    EXTENDED_INFORMATION = 4
    NODE_IDENTIFICATION = 5


class ExtensionObject(Header):
    """Base of the objects: parsing gives the class of the object's class number, else :class:`RawExtension`."""

    length: Annotated[int | None, length16("header")] = declare(default=None, kw_only=True)
    number: Annotated[int, enum8(ExtensionClass)]
    subtype: u8

    @staticmethod
    def _choose(buffer: bytes, start: int, end: int) -> Any:
        return _OBJECTS.get(buffer[start + 2]) if end - start >= 4 else None


class RawExtension(ExtensionObject):
    """An object without a class of its own."""

    data: opaque = b""


class MPLSLabel(Header):
    """One entry of a label stack (RFC 3032)."""

    label: Annotated[int, bits(20)]
    traffic_class: Annotated[int, bits(3)] = 0
    bottom: flag = False
    ttl: u8 = 0


class MPLSLabelStack(ExtensionObject, number=1):
    """The labels the datagram came with (RFC 4950); subtype 1."""

    labels: Annotated[tuple[MPLSLabel, ...], list_of(MPLSLabel)] = ()


class InterfaceInformation(ExtensionObject, number=2):
    """An interface of the reporter (RFC 5837): the subtype tells its role, and which of these follow."""

    data: opaque = b""


class InterfaceIdentification(ExtensionObject, number=3):
    """The interface probed (RFC 8335): subtype 1 by name, 2 by index, 3 by address."""

    data: opaque = b""


ExtensionObject._other = RawExtension
_OBJECTS: dict[int, Any] = {1: MPLSLabelStack, 2: InterfaceInformation, 3: InterfaceIdentification}


class ICMPExtensions(Header):
    """The extension structure (RFC 4884 section 7)."""

    version: Annotated[int, bits(4), Constant(2)] = declare(default=2, kw_only=True)
    reserved: Annotated[int, bits(12)] = declare(default=0, kw_only=True)
    checksum: checksum16 = declare(default=None, kw_only=True)
    objects: Annotated[tuple[Any, ...], list_of(ExtensionObject)] = ()


# RFC 4884 section 3: the quoted datagram is padded to at least 128 bytes where an extension follows it.
_QUOTE_SIZE = 128


def split_quote(payload: bytes, words: int, unit: int) -> tuple[bytes, ICMPExtensions | None]:
    """The quoted datagram and the extension structure in the payload of an ICMP error.

    Args:
        payload: what follows the 8 bytes of ICMP.
        words: the message's length attribute; 0 where there is none.
        unit: bytes a word: 4 for ICMP, 8 for ICMPv6.

    Returns:
        The quoted bytes (with padding) and the extensions, None when there are none or they make no sense. Without
        a length attribute, bytes from 128 on are taken for extensions if their checksum is right (section 5.5).
    """
    place = words * unit or _QUOTE_SIZE
    if len(payload) < place + 4:
        return payload, None
    tail = payload[place:]
    # A sum of zero in the header means that none was computed (RFC 4884 section 7).
    if tail[2:4] != b"\0\0" and checksum(tail) != 0:
        return (payload, None) if words == 0 else (payload[:place], None)
    if words == 0 and tail[2:4] == b"\0\0":
        return payload, None
    try:
        return payload[:place], ICMPExtensions.parse(tail)[0]
    except DecodeError:
        return (payload, None) if words == 0 else (payload[:place], None)


def join_quote(quoted: bytes, extensions: ICMPExtensions, unit: int) -> tuple[bytes, int]:
    """The payload of an ICMP error with extensions, and the length attribute to announce them.

    Args:
        quoted: the datagram the error is about, as much of it as shall be quoted.
        extensions: what to say about it.
        unit: bytes a word of the length attribute: 4 for ICMP, 8 for ICMPv6.
    """
    size = max(_QUOTE_SIZE, len(quoted) + -len(quoted) % unit)
    return quoted.ljust(size, b"\0") + bytes(extensions), size // unit


def _error_of(datagram: Any) -> tuple[Any, int, int] | None:
    """The ICMP error header a datagram ends with, its length attribute and the bytes that counts, or None."""
    last: Any = datagram.headers[-1] if datagram.headers else None
    number = getattr(type(last), "protocol_number", None)
    if number not in (1, 58) or not last.is_error:
        return None
    # RFC 4884 section 4: only these messages have the length attribute and may have extensions.
    extensible = last.type in ((3, 11, 12) if number == 1 else (1, 3))
    unit = 4 if number == 1 else 8
    return last, last.length if extensible else -1, unit


def quote_of(datagram: Any) -> Any:
    """See :attr:`Datagram.quoted`."""
    found = _error_of(datagram)
    if found is None:
        return None
    _, words, unit = found
    quote = datagram.payload if words < 0 else split_quote(datagram.payload, words, unit)[0]
    try:
        return type(datagram).parse(quote, quoted=True)
    except DecodeError:
        return None


def extensions_of(datagram: Any) -> ICMPExtensions | None:
    """See :attr:`Datagram.extensions`."""
    found = _error_of(datagram)
    if found is None or found[1] < 0:
        return None
    return split_quote(datagram.payload, found[1], found[2])[1]
