"""Bridges to scapy: a layer class out of a declaration, and datagrams both ways.

scapy is imported here, when a bridge is used, and nowhere else in rawproto; it is no dependency (``rawproto[scapy]``).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from rawproto.errors import DecodeError, EncodeError
from rawproto.wire import address
from rawproto.wire.field import Length
from rawproto.wire.registry import BUILT_IN

if TYPE_CHECKING:
    from rawproto.wire.datagram import Datagram
    from rawproto.wire.field import FieldInfo
    from rawproto.wire.header import Header

__all__ = ["datagram_to_scapy", "ip_bytes", "layer"]


@functools.cache
def layer(header: type[Header]) -> Any:
    """The scapy ``Packet`` class of a header; one and the same for each header class.

    Fields have the header's names and hold the numbers of the wire (a scaled field is not scaled, as in scapy's own
    layers); options and lists are bytes. A derived field that is None is computed when the packet is built, by the
    header's own rules. The class is bound to scapy's IP and IPv6 by the protocol number, and does not displace a
    layer of scapy's own.

    Raises:
        ImportError: scapy is not installed.
    """
    from scapy.packet import Packet

    body: dict[str, Any] = {
        "name": header.__name__,
        "fields_desc": [_field(header, info) for info in header.fields],
        "header": header,
        "post_build": _post_build,
        "extract_padding": _extract_padding,
        "__doc__": header.__doc__,
        "__module__": header.__module__,
    }
    made = type(Packet)(header.__name__, (Packet,), body)
    if header.protocol_number is not None:
        _bind(made, header.protocol_number)
    return made


def _bind(made: Any, number: int) -> None:
    """Bind to IP and IPv6: upwards always, for dissection where no layer of scapy's own has the number."""
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6
    from scapy.packet import bind_bottom_up, bind_top_down

    for lower, field in ((IP, "proto"), (IPv6, "nh")):
        bind_top_down(lower, made, **{field: number})
        holders = [cls for values, cls in lower.payload_guess if values.get(field) == number]
        if any(not hasattr(cls, "header") for cls in holders):
            continue
        # Of several declarations with one number the last one counts, as for parsing.
        lower.payload_guess[:] = [pair for pair in lower.payload_guess if pair[1] not in holders]
        bind_bottom_up(lower, made, **{field: number})


def _field(header: type[Header], info: FieldInfo) -> Any:
    from scapy import fields
    from scapy.layers.inet6 import IP6Field

    name, default = info.name, _default(info)
    if info.width is None:
        return _variable_field(header, info)
    if info.kind == "bytes":
        return fields.StrFixedLenField(name, default or bytes(info.width // 8), length=info.width // 8)
    if info.kind == "ip4":
        return fields.IPField(name, default or "0.0.0.0")  # noqa: S104 - a default to fill in, nothing is bound
    if info.kind == "ip6":
        return IP6Field(name, default or "::")
    if info.kind == "flags":
        names = [info.names.get(bit, f"bit{bit}") for bit in range(info.width)]
        return fields.FlagsField(name, default, info.width, names)
    if info.byteorder == "little":
        kinds = {16: fields.LEShortField, 32: fields.LEIntField, 64: fields.LELongField}
        return kinds[info.width](name, default)
    if info.kind == "enum":
        return fields.BitEnumField(name, default, info.width, dict(info.names))
    return fields.BitField(name, default, info.width)


def _default(info: FieldInfo) -> Any:
    """The default in scapy's terms: None to compute, 0 or nothing for what must be given."""
    if info.derived is not None or info.default is None:
        return None
    if info.constant is not None:
        return info.constant
    if info.required:
        return None if info.kind in ("bytes", "ip4", "ip6") else 0
    if info.kind in ("uint", "bool", "enum", "flags"):
        return int(info.default) // info.scale
    return str(info.default) if info.kind in ("ip4", "ip6") else info.default


def _variable_field(header: type[Header], info: FieldInfo) -> Any:
    """Bytes whose number the header tells, or all that is left."""
    from scapy.fields import StrField, StrLenField

    default = b"" if info.required or not isinstance(info.default, bytes) else info.default
    holder = _holder(header, info)
    if holder is None:
        return StrField(info.name, default)
    rule: Any = holder.derived
    behind = header.size if rule.of == "header" else 0

    def length(packet: Any) -> int:
        count = packet.getfieldval(holder.name)
        if count is None:
            return 0
        others = sum(
            len(packet.getfieldval(other.name))
            for other in header.fields
            if behind and other.variable and other is not info
        )
        size: int = (count - rule.bias) * rule.unit - behind - others
        return max(0, size)

    return StrLenField(info.name, default, length_from=length)


def _holder(header: type[Header], info: FieldInfo) -> FieldInfo | None:
    """The field that tells the length of the variable field ``info``."""
    for other in header.fields:
        rule = other.derived
        if isinstance(rule, Length) and (
            other.name == info.length_by or (info.length_by is None and rule.of == "header")
        ):
            return other
    return None


def _post_build(packet: Any, built: bytes, payload: bytes) -> bytes:
    """The layer's bytes, its derived fields computed by the declaration's own codec."""
    header: type[Header] = packet.header
    try:
        values = {info.name: _value(info, packet.getfieldval(info.name)) for info in header.fields}
        made = header(**values)
        addresses = _addresses(packet)
        total = None if addresses is None else int.from_bytes(addresses, "big")
        return made._encode(payload, _next_number(packet), total)
    except (DecodeError, EncodeError):
        # What the declaration refuses scapy still sends, without computing: it is a tool for wrong packets, too.
        return built + payload


def _value(info: FieldInfo, value: Any) -> Any:
    """A scapy value as the header takes it."""
    if value is None or info.kind in ("ip4", "ip6", "bytes", "options"):
        return value
    if info.kind == "list":
        return _list_value(info, bytes(value))
    return int(value) * info.scale


def _list_value(info: FieldInfo, data: bytes) -> Any:
    element: Any = info.element
    if isinstance(info.element, type):
        items = []
        while data:
            item, data = element.parse(data)
            items.append(item)
        return tuple(items)
    size = element.width // 8
    parts = [data[place : place + size] for place in range(0, len(data), size)]
    if element.kind in ("bytes", "ip4", "ip6"):
        return tuple(parts)
    return tuple(int.from_bytes(part, element.byteorder) for part in parts)


def _next_number(packet: Any) -> int | None:
    """Protocol number of what follows the layer, as far as it is known."""
    from scapy.packet import NoPayload, Raw

    following = packet.payload
    if isinstance(following, (NoPayload, Raw)):
        return None
    if hasattr(following, "header"):
        number: int | None = following.header.protocol_number
        return number
    from scapy.layers.inet import ICMP, IP, TCP, UDP
    from scapy.layers.inet6 import IPv6

    known = {IP: 4, IPv6: 41, ICMP: 1, TCP: 6, UDP: 17}
    return next((number for kind, number in known.items() if isinstance(following, kind)), None)


def _addresses(packet: Any) -> bytes | None:
    """Source and destination of the enclosing IP layer, for the pseudo header."""
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6

    lower = packet.underlayer
    while lower is not None:
        if isinstance(lower, (IP, IPv6)):
            return bytes(address.IP(lower.src)) + address.IP(lower.dst)
        lower = lower.underlayer
    return None


def _extract_padding(packet: Any, rest: bytes) -> tuple[bytes, bytes | None]:
    """Split what follows the header into payload and padding, where the header tells its packet's length."""
    header: type[Header] = packet.header
    for info in header.fields:
        rule = info.derived
        if isinstance(rule, Length) and rule.of in ("packet", "payload"):
            size = (packet.getfieldval(info.name) - rule.bias) * rule.unit
            if rule.of == "packet":
                size -= len(packet.original) - len(rest)
            return rest[: max(0, size)], rest[max(0, size) :]
    return rest, None


def datagram_to_scapy(datagram: Datagram) -> Any:
    """``datagram`` as scapy reads its bytes, layers of one's own included."""
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6

    if not datagram.headers:
        raise EncodeError("a datagram without headers has no layer to begin with", "Datagram")
    for header in datagram.headers:
        if header.protocol_number is not None and header.protocol_number not in BUILT_IN:
            layer(type(header))
    first = {4: IP, 41: IPv6}.get(datagram.headers[0].protocol_number or 0)
    return (first or layer(type(datagram.headers[0])))(bytes(datagram))


def ip_bytes(packet: Any) -> bytes:
    """The bytes of ``packet`` from its outermost IP or IPv6 layer on.

    Raises:
        DecodeError: there is none.
    """
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6
    from scapy.packet import NoPayload

    place = packet
    while not isinstance(place, (IP, IPv6, NoPayload)):
        place = place.payload
    if isinstance(place, NoPayload):
        raise DecodeError(f"{packet.summary()} has no IP layer", "Datagram")
    return bytes(place)
