"""What generated codecs call off their fast path: conversions, list and length helpers, and the errors."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from rawproto.errors import DecodeError, EncodeError
from rawproto.wire.address import IP, to_ip
from rawproto.wire.enums import CodeMap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rawproto.wire.field import FieldInfo, Spec

__all__ = [
    "ADDRESSES",
    "bad_constant",
    "bad_length",
    "check_value",
    "code_map",
    "known_ip",
    "list_decoder",
    "list_encoder",
    "misfit",
    "refuse",
    "retry",
    "short",
    "start_over",
    "to_bytes",
    "to_tuple",
    "unbound",
    "uneven",
    "unknown_next",
    "view_number",
    "view_value",
]


def short(header: Any, buffer: bytes, start: int, end: int) -> DecodeError:
    """The error for a buffer that ends within the fixed part of a header."""
    there = max(end - start, 0)
    place, offset = "", there
    for info in header.fields:
        if info.offset is None or info.width is None:
            break
        if info.offset + info.width > 8 * there:
            place, offset = info.name, info.offset // 8
            break
    return DecodeError(
        f"the header needs {header.size} bytes, {there} are there", header.__name__, place, offset
    )


def bad_constant(header: Any, name: str, value: int, wanted: int) -> DecodeError:
    """The error for a field that must have one value and has another."""
    offset = next((info.byte_offset or 0 for info in header.fields if info.name == name), 0)
    return DecodeError(f"is {value}, must be {wanted}", header.__name__, name, offset)


def bad_length(header: Any, name: str, value: int, size: int, low: int, high: int) -> DecodeError:
    """The error for a length field that says ``size`` bytes where ``low`` to ``high`` are possible."""
    offset = next((info.byte_offset or 0 for info in header.fields if info.name == name), 0)
    if size < low:
        reason = f"{value} means {size} bytes, at least {low} are needed"
    else:
        reason = f"{value} means {size} bytes, {max(high, 0)} are there"
    return DecodeError(reason, header.__name__, name, offset)


def uneven(header: str, name: str, size: int, unit: int) -> EncodeError:
    """The error for something whose length must be counted in units and is no multiple of them."""
    return EncodeError(f"{size} bytes cannot be counted in units of {unit}", header, name)


def unbound(header: str, name: str) -> EncodeError:
    """The error for a checksum over the pseudo header of a header that has no protocol number to stand in it."""
    reason = "the pseudo header holds the protocol number, and the class has none: declare it with protocol="
    return EncodeError(reason, header, name)


def misfit(header: str, name: str, value: Any, size: int) -> EncodeError:
    """The error for bytes of the wrong number."""
    return EncodeError(f"{value!r} is not {size} bytes", header, name)


def unknown_next(header: str, name: str, payload: bytes, default: int) -> int:
    """The number for a payload that is no header: ``default`` for none at all, else EncodeError."""
    if payload:
        raise EncodeError("nothing tells the protocol of the payload: give the number", header, name)
    return default


def to_bytes(value: Any, size: int, header: str, name: str) -> bytes:
    """``value`` as bytes, ``size`` of them unless negative."""
    if isinstance(value, (str, int)):
        raise EncodeError(f"{value!r} is not bytes", header, name)
    try:
        data = bytes(value)
    except (TypeError, ValueError):
        raise EncodeError(f"{value!r} is not bytes", header, name) from None
    if size >= 0 and len(data) != size:
        raise misfit(header, name, data, size)
    return data


def to_tuple(value: Iterable[Any], info: FieldInfo, header: str) -> tuple[Any, ...]:
    """The elements of a list field as they are read back."""
    element: Any = info.element
    try:
        items = tuple(value)
    except TypeError:
        raise EncodeError(f"{value!r} is no sequence", header, info.name) from None
    kind = "header" if isinstance(info.element, type) else element.kind
    if kind in ("ip4", "ip6"):
        return tuple(to_ip(item, 4 if kind == "ip4" else 16, header, info.name) for item in items)
    if kind == "header":
        for item in items:
            if not isinstance(item, element):
                raise EncodeError(f"{item!r} is no {element.__name__}", header, info.name)
    return items


def code_map(info: FieldInfo, header: str) -> CodeMap:
    """Number (or text, for flags) to enumeration member or Flags value, within the field's width."""
    make: Any = info.enum if info.enum is not None else info.flags
    limit = info.mask

    def convert(value: Any) -> Any:
        if isinstance(value, str) and info.enum is not None:
            if value not in info.enum.__members__:
                raise EncodeError(f"{value!r} is no {info.enum.__name__}", header, info.name)
            return info.enum[value]
        if hasattr(value, "__index__"):
            value = value.__index__()
        try:
            member = make(value)
        except (ValueError, TypeError) as error:
            raise EncodeError(str(error), header, info.name) from None
        if not 0 <= member <= limit:
            raise EncodeError(f"{value} does not fit in {info.width} bits", header, info.name)
        return member

    return CodeMap(convert)


def check_value(info: FieldInfo, value: Any, header: str) -> None:
    """EncodeError when ``value`` does not fit the numeric field ``info``."""
    if info.kind in ("ip4", "ip6"):
        to_ip(value, 4 if info.kind == "ip4" else 16, header, info.name)
    if info.kind not in ("uint", "bool", "enum", "flags") or (value is None and info.derived is not None):
        return
    if not hasattr(value, "__index__"):
        raise EncodeError(f"{value!r} is not a whole number", header, info.name)
    number = value.__index__()
    if number % info.scale:
        raise EncodeError(f"{number} is no multiple of {info.scale}", header, info.name)
    if not 0 <= number // info.scale <= info.mask:
        raise EncodeError(f"{number} does not fit in {info.width} bits", header, info.name)


def refuse(header: Any, values: dict[str, Any], error: Exception | None = None) -> EncodeError:
    """The error that names the first of ``values`` that does not fit; keys are fields, with or without ``f_``."""
    if isinstance(error, EncodeError) and error.field:
        return error
    try:
        for info in (*header.fields, *header.views):
            value = values.get(f"f_{info.name}", values.get(info.name))
            if value is not None or info.default is not None:
                check_value(info, value, header.__name__)
    except EncodeError as found:
        return found
    return EncodeError(str(error or "a value does not fit its field"), header.__name__)


def start_over(header: Any, values: dict[str, Any], error: Exception) -> None:
    """Construct ``header`` again with addresses that cannot be hashed (bytearray) as bytes.

    Raises:
        EncodeError: there is none: a value does not fit.
    """
    names = {info.name for info in type(header).fields if info.kind in ("ip4", "ip6")}
    changed = {
        name: bytes(values[name]) for name in names if isinstance(values[name], (bytearray, memoryview))
    }
    if not changed:
        raise refuse(type(header), values, error) from None
    known = {info.name: values[info.name] for info in type(header).fields}
    header.__init__(**{**known, **changed})


def retry(
    header: Any,
    payload: bytes,
    number: int | None,
    addresses: int | None,
    values: dict[str, Any],
    error: Exception,
) -> bytes:
    """Encode once more with what was assigned taken as the constructor takes it (text of an address, names of flags).

    Raises:
        EncodeError: that changes nothing, or a value does not fit.
    """
    before = header._values()
    copy = type(header)(**before)
    after = copy._values()
    if all(type(after[name]) is type(value) for name, value in before.items()):
        raise refuse(type(header), values, error) from None
    data: bytes = copy._encode(payload, number, addresses)
    return data


def list_encoder(info: FieldInfo) -> Callable[[Iterable[Any]], bytes]:
    """Elements to bytes."""
    element: Any = info.element
    if isinstance(info.element, type) or element.kind in ("ip4", "ip6"):
        return lambda items: b"".join(map(bytes, items))
    if element.kind == "bytes":
        size = element.width // 8

        def join(items: Iterable[Any]) -> bytes:
            return b"".join(to_bytes(item, size, "", info.name) for item in items)

        return join
    size, order = element.width // 8, element.byteorder

    def numbers(items: Iterable[Any]) -> bytes:
        try:
            return b"".join(int(item).to_bytes(size, order) for item in items)
        except (OverflowError, TypeError, ValueError) as error:
            raise EncodeError(str(error), "", info.name) from None

    return numbers


def list_decoder(info: FieldInfo, header: str) -> Callable[[bytes, int, int, int], tuple[Any, ...]]:
    """``(buffer, position, end, start of the header)`` to elements."""
    element: Any = info.element
    if isinstance(info.element, type):
        return _header_list(info, header)
    size = element.width // 8
    make = _element_maker(element)

    def decode(buffer: bytes, position: int, end: int, start: int) -> tuple[Any, ...]:
        if (end - position) % size:
            reason = f"{end - position} bytes are no whole number of elements of {size}"
            raise DecodeError(reason, header, info.name, position - start)
        return tuple(make(buffer[place : place + size]) for place in range(position, end, size))

    return decode


def _header_list(info: FieldInfo, header: str) -> Callable[[bytes, int, int, int], tuple[Any, ...]]:
    """Decoder of a list whose elements are headers, each ending where it says itself."""
    element: Any = info.element

    def decode(buffer: bytes, position: int, end: int, start: int) -> tuple[Any, ...]:
        items = []
        while position < end:
            try:
                item = element._decode(buffer, position, end)
            except DecodeError as error:
                place = position - start + error.offset
                reason = f"{error.header}.{error.field}: {error.reason}"
                raise DecodeError(reason, header, info.name, place) from None
            items.append(item)
            position = item._origin[2]
        return tuple(items)

    return decode


def _element_maker(element: Spec) -> Callable[[bytes], Any]:
    """Bytes of one element to its value."""
    if element.kind in ("ip4", "ip6"):
        return lambda data: bytes.__new__(IP, data)
    if element.kind == "bytes":
        return bytes
    order = element.byteorder
    make: Any = element.enum or element.flags
    if make is None:
        return lambda data: int.from_bytes(data, order)
    return lambda data: make(int.from_bytes(data, order))


def view_number(view: FieldInfo, header: str) -> Callable[[Any], int]:
    """The bits of a view's value, checked."""
    if view.kind in ("ip4", "ip6"):
        size = 4 if view.kind == "ip4" else 16
        return lambda value: int.from_bytes(to_ip(value, size, header, view.name), "big")

    def number(value: Any) -> int:
        check_value(view, value, header)
        return int(value) // view.scale

    return number


def view_value(view: FieldInfo) -> Callable[[int], Any]:
    """A view's value from its bits."""
    if view.kind in ("ip4", "ip6"):
        size = 4 if view.kind == "ip4" else 16
        return lambda number: bytes.__new__(IP, number.to_bytes(size, "big"))
    make: Any = view.enum or view.flags or (bool if view.kind == "bool" else None)
    if make is not None:
        return lambda number: make(number)
    return lambda number: number * view.scale


class _Addresses(dict[Any, IP]):
    """Text or bytes of an address to the IP: addresses repeat, and a look-up is cheaper than a new object."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def __missing__(self, key: Any) -> IP:
        address = IP(key)
        if len(address) != self.size:
            raise EncodeError(f"{address} has {len(address)} bytes, the field {self.size}")
        if len(self) >= _MAX_ADDRESSES:
            self.clear()
        self[key] = address
        return address


def known_ip(value: Any, size: int, header: str, field: str) -> IP:
    """``value`` as an IP, remembered where it is text or bytes."""
    address = to_ip(value, size, header, field)
    if isinstance(value, (str, bytes)):
        known = ADDRESSES[size]
        if len(known) >= _MAX_ADDRESSES:
            known.clear()
        known[value] = address
    return address


_MAX_ADDRESSES = 4096
ADDRESSES = {4: _Addresses(4), 16: _Addresses(16)}

PACK_ERRORS = (struct.error, TypeError, OverflowError, AttributeError)
