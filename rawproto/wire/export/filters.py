"""``Header.filter``: comparisons on a header's fields as a classic BPF program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rawproto.errors import EncodeError, FilterError
from rawproto.wire.address import IP
from rawproto.wire.bpf.comparison import AnyOf, Between, Equals, Masked, Test
from rawproto.wire.bpf.condition import AfterIPv4, FieldMatch, HeaderMatch
from rawproto.wire.bpf.program import BPFProgram

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rawproto.wire.field import FieldInfo
    from rawproto.wire.header import Header

__all__ = ["compile_filter"]

_PLACES: dict[str, AfterIPv4 | int] = {"ipv4": AfterIPv4(), "ipv6": 40}


def compile_filter(header: type[Header], wanted: Mapping[str, Any]) -> BPFProgram:
    """The program that takes packets in which ``header`` is whole and its fields are as ``wanted``.

    Fields with a constant value (a version, a magic number) are compared too.

    Args:
        header: the header class.
        wanted: field name to what it must be:

            - a value: equal to it (an enumeration's name, flags as ``"SYN|ACK"``, an address as text);
            - ``(low, high)``: from low to high, both included; None leaves a side open;
            - a set or list: any of its members, which may be ranges;
            - a network such as ``"10.0.0.0/8"``, for addresses;
            - a :class:`~rawproto.wire.bpf.Masked` or another test: as it says, in numbers of the wire.

            ``base``, unless the header has a field of that name, says where the header starts: a number of bytes,
            ``"ipv4"`` (behind an IPv4 header with or without options, as raw IPv4 sockets see it) or ``"ipv6"``
            (behind an IPv6 header without extension headers). Without it the header starts the packet, until a link
            that knows better moves it (:meth:`BPFProgram.at`).

    Raises:
        FilterError: an unknown field, one without a fixed place, or a value that cannot be.
    """
    infos = {info.name: info for info in (*header.fields, *header.views)}
    conditions = dict(wanted)
    base = _base(conditions.pop("base", None)) if "base" not in infos else None
    matches = [
        _match(header, info, info.constant)
        for info in header.fields
        if info.constant is not None and info.offset is not None and info.name not in conditions
    ]
    for name, value in conditions.items():
        if name not in infos:
            raise FilterError(f"{header.__name__} has no field {name!r}; it has {', '.join(infos)}")
        matches.append(_match(header, infos[name], value))
    # An IP header starts the packet on every socket that shows it; any other may stand behind one.
    movable = base is None and header._addresses is None
    condition = HeaderMatch(tuple(matches), None if movable else base or 0, header.size)
    return BPFProgram.from_condition(condition, placed=not movable)


def _base(value: Any) -> AfterIPv4 | int | None:
    if value is None or isinstance(value, (int, AfterIPv4)):
        return value
    if value in _PLACES:
        return _PLACES[value]
    raise FilterError(f'base is {value!r}; give a number of bytes, "ipv4" or "ipv6"')


def _match(header: type[Header], info: FieldInfo, value: Any) -> FieldMatch:
    place = f"{header.__name__}.{info.name}"
    if info.offset is None or info.width is None:
        raise FilterError(f"{place}: has no fixed place and size, so a filter cannot look at it")
    try:
        test = _test(header, info, value)
        return FieldMatch(info.offset, info.width, test, little=info.byteorder == "little")
    except (FilterError, EncodeError, ValueError) as error:
        raise FilterError(f"{place}: {error}") from None


def _test(header: type[Header], info: FieldInfo, value: Any) -> Test:
    if isinstance(value, Test):
        return value
    if isinstance(value, (set, frozenset, list)):
        return AnyOf(tuple(_test(header, info, item) for item in _in_order(value)))
    if isinstance(value, range):
        return _range_test(header, info, value)
    if isinstance(value, tuple):
        if len(value) != 2:
            raise FilterError(f"{value!r} is no range (low, high)")
        low, high = value
        return Between(
            0 if low is None else _number(header, info, low, up=True),
            info.mask if high is None else _number(header, info, high, up=False),
        )
    if info.kind in ("ip4", "ip6"):
        return _network_test(header, info, value)
    return Equals(_number(header, info, value))


def _in_order(values: Any) -> list[Any]:
    """Members of a set in an order that is the same in every run."""
    return values if isinstance(values, list) else sorted(values, key=repr)


def _range_test(header: type[Header], info: FieldInfo, value: range) -> Test:
    if value.step == 1 and len(value):
        return Between(_number(header, info, value[0], up=True), _number(header, info, value[-1], up=False))
    return AnyOf(tuple(Equals(_number(header, info, item)) for item in value))


def _network_test(header: type[Header], info: FieldInfo, value: Any) -> Test:
    """An address, or the addresses of a network."""
    text = str(value) if hasattr(value, "mask") and not isinstance(value, bytes) else value
    if not (isinstance(text, str) and "/" in text):
        return Equals(_number(header, info, value))
    front, _, length = text.partition("/")
    bits = info.width or 0
    if not (length.isascii() and length.isdigit() and int(length) <= bits):
        raise FilterError(f"{text!r} is no network")
    mask = info.mask ^ (1 << (bits - int(length))) - 1
    return Masked(_number(header, info, front) & mask, mask)


def _number(header: type[Header], info: FieldInfo, value: Any, *, up: bool | None = None) -> int:
    """``value`` as the number on the wire; where a range begins or ends between two of them, the one inside it."""
    if info.kind in ("ip4", "ip6"):
        address = IP(value)
        if len(address) * 8 != info.width:
            raise FilterError(f"{value!r} is not an address of {(info.width or 0) // 8} bytes")
        return int.from_bytes(address, "big")
    if info.kind == "bytes":
        data = bytes(value) if not isinstance(value, (str, int)) else None
        if data is None or len(data) * 8 != info.width:
            raise FilterError(f"{value!r} is not {(info.width or 0) // 8} bytes")
        return int.from_bytes(data, "big")
    if isinstance(value, str):
        value = _named(info, value)
    if not hasattr(value, "__index__"):
        raise FilterError(f"{value!r} is not a whole number")
    number: int = value.__index__()
    if up is None and number % info.scale:
        raise FilterError(f"{number} is no multiple of {info.scale}")
    number = -(-number // info.scale) if up else number // info.scale
    if not 0 <= number <= info.mask:
        raise FilterError(f"{value} does not fit in {info.width} bits")
    return number


def _named(info: FieldInfo, name: str) -> int:
    """A name of an enumeration, or names of flags joined by ``|``."""
    if info.enum is not None and name in info.enum.__members__:
        return int(info.enum[name])
    if info.flags is not None:
        return int(info.flags(name))
    known = ", ".join(str(item) for item in info.names.values()) or "none"
    raise FilterError(f"{name!r} is no name of it (known: {known})")
