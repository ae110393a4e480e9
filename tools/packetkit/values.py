"""Values of fields from text, with the same words for ``send`` and for filters.

Numbers are decimal, ``0x``, ``0o`` or ``0b``; enumerations and flags go by name, too (``SYN|ACK``); addresses may be
names of hosts; bytes are hex digits or ``text:...``; lists join their elements with ``+``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rawproto import AddrError, EncodeError, RawprotoError, lookup_ip, parse_ip

from ..failure import USAGE, Failure
from .vocabulary import near

if TYPE_CHECKING:
    from rawproto import FieldInfo
    from rawproto.wire.field import Spec

__all__ = ["from_hex", "value_of"]

_YES = {
    "1": True,
    "yes": True,
    "true": True,
    "on": True,
    "0": False,
    "no": False,
    "false": False,
    "off": False,
}
_SEPARATORS = re.compile(r"[|,+]")


def value_of(info: FieldInfo | Spec, text: str, place: str) -> Any:
    """What ``text`` means for a field.

    Args:
        info: the field, or the type of a list's elements.
        text: as it was typed.
        place: the layer and field, for messages.

    Raises:
        Failure: it cannot be; says what is allowed.
        DNSError: the name of a host has no address.
    """
    match info.kind:
        case "uint":
            return _number(info, text, place)
        case "bool":
            if text.lower() not in _YES:
                raise Failure(f"{place}: {text!r} is neither yes nor no", USAGE)
            return _YES[text.lower()]
        case "enum":
            return _named(info, text, place)
        case "flags":
            return _flags(info, text, place)
        case "ip4" | "ip6":
            return _address(text, 4 if info.kind == "ip4" else 6, place)
        case "bytes":
            return _bytes(info, text, place)
        case "options":
            from .options import options_of

            return options_of(info, text, place)
    return _list(info, text, place)


def _number(info: FieldInfo | Spec, text: str, place: str) -> int:
    most = ((1 << (info.width or 0)) - 1) * info.scale
    try:
        number = int(text, 0)
    except ValueError:
        raise Failure(f"{place}: {text!r} is no number; a number from 0 to {most} is wanted", USAGE) from None
    if not 0 <= number <= most:
        raise Failure(f"{place}: {number} does not fit; 0 to {most} does", USAGE)
    if number % info.scale:
        raise Failure(f"{place}: {number} is no multiple of {info.scale}", USAGE)
    return number


def _named(info: FieldInfo | Spec, text: str, place: str) -> Any:
    """A member of an enumeration, by name or number."""
    assert info.enum is not None
    members = {member.name: member for member in info.enum}
    key = text.upper().replace("-", "_")
    if key in members:
        return members[key]
    if text[:1].isdigit():
        return info.enum(_number(info, text, place))
    raise Failure(f"{place}: {text!r} is neither a number nor a name{near(text, members, show=12)}", USAGE)


def _flags(info: FieldInfo | Spec, text: str, place: str) -> Any:
    assert info.flags is not None
    if text[:1].isdigit():
        return info.flags(_number(info, text, place))
    names = {name.upper(): name for name in info.flags.bits}
    found = []
    for word in filter(None, (part.strip() for part in _SEPARATORS.split(text))):
        key = word.upper().replace("-", "_")
        if key not in names:
            raise Failure(f"{place}: no flag is called {word!r}{near(word, names.values())}", USAGE)
        found.append(names[key])
    return info.flags(found)


def _address(text: str, version: int, place: str) -> Any:
    """An address, or the first address of a host."""
    bare = text.strip("[]").partition("%")[0]
    try:
        address = parse_ip(bare)
    except AddrError:
        if not re.fullmatch(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z_-][A-Za-z0-9_.-]*|[A-Za-z])?", bare):
            raise Failure(
                f"{place}: {text!r} is no IPv{version} address and no name of a host", USAGE
            ) from None
        address = lookup_ip(bare, f"ip{version}")[0]
    if len(address) != (4 if version == 4 else 16):
        raise Failure(f"{place}: {text} is not an IPv{version} address", USAGE)
    return address


def from_hex(text: str, place: str) -> bytes:
    """Bytes written as hex digits, with white space and colons at will.

    Raises:
        Failure: something else is among them; says where.
    """
    digits = re.sub(r"0[xX](?=[0-9a-fA-F])|[\s:]", "", text)
    wrong = re.search(r"[^0-9a-fA-F]", digits)
    if wrong:
        raise Failure(f"{place}: {wrong[0]!r} is no hex digit", USAGE)
    if len(digits) % 2:
        raise Failure(f"{place}: {len(digits)} hex digits are no whole number of bytes", USAGE)
    return bytes.fromhex(digits)


def _bytes(info: FieldInfo | Spec, text: str, place: str) -> bytes:
    data = text[5:].encode() if text.startswith("text:") else from_hex(text.removeprefix("hex:"), place)
    if info.width is not None and len(data) * 8 != info.width:
        raise Failure(f"{place}: {len(data)} bytes, {info.width // 8} are wanted", USAGE)
    return data


def _list(info: FieldInfo | Spec, text: str, place: str) -> tuple[Any, ...]:
    """Elements joined by ``+``; those that are headers have their fields joined by ``-``."""
    element: Any = info.element
    parts = [part for part in text.split("+") if part]
    if not isinstance(info.element, type):
        return tuple(value_of(element, part, place) for part in parts)
    return tuple(_element(element, part, place) for part in parts)


def _element(header: Any, text: str, place: str) -> Any:
    values = text.split("-")
    fields = [info for info in header.fields if info.constant is None and info.derived is None]
    if len(values) > len(fields):
        names = "-".join(info.name for info in fields)
        raise Failure(f"{place}: {text!r} has more parts than {names}", USAGE)
    given = {
        info.name: value_of(info, value, f"{place}.{info.name}")
        for info, value in zip(fields, values, strict=False)
    }
    try:
        return header(**given)
    except (EncodeError, TypeError, RawprotoError) as error:
        raise Failure(f"{place}: {error}", USAGE) from None
