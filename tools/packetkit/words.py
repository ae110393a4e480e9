"""A packet in one line: who to whom, what, and the numbers that matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rawproto import ICMP, TCP, UDP, DecodeError, ICMPv6, IPv4, IPv6
from rawproto.rsp import Reason
from rawproto.rsp.header import Ack, Common, Data, Hello, Kind, Path, Reset

from .rsp import data_of, flags_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto import Header

    from .decode import Decoded

__all__ = ["endpoints", "fields_of", "name_of", "summary"]

_MOST_BYTES = 16


def endpoints(decoded: Decoded) -> tuple[str, str]:
    """Source and destination, with ports where there are any."""
    ip = decoded.ip
    if ip is None:
        return "?", "?"
    ports: Any = next((header for header in decoded.headers if isinstance(header, TCP | UDP)), None)
    rsp: Any = next((header for header in decoded.headers if isinstance(header, Common)), None)
    if ports is not None:
        return _join(ip.src, ports.sport), _join(ip.dst, ports.dport)
    if rsp is not None:
        source = str(ip.src) if not isinstance(rsp, Hello) else _join(ip.src, rsp.source_port)
        return source, _join(ip.dst, rsp.port)
    return str(ip.src), str(ip.dst)


def _join(address: Any, port: int) -> str:
    return f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}"


def name_of(header: Header | None) -> str:
    """What the header is called in a line."""
    return "RSP" if isinstance(header, Common) else type(header).__name__


def summary(decoded: Decoded) -> tuple[str, str]:
    """The innermost protocol, and what the packet says in it."""
    if not decoded.headers:
        return ("not IP" if not decoded.packet.is_ip else "IP"), f"length {decoded.packet.length}"
    last = decoded.headers[-1]
    told = next((header for header in reversed(decoded.headers) if type(header) in _WORDS), None)
    if isinstance(last, Common):
        return "RSP", rsp_words(last, decoded.payload)
    if told is last:
        return name_of(last), _WORDS[type(last)](last, decoded.payload)
    if isinstance(last, IPv4 | IPv6):
        return _bare(last, decoded)
    size = f"len={len(decoded.payload)}"
    parts = [f"{name}={text}" for name, text in fields_of(last).items()]
    words = " ".join([*parts, size] if decoded.payload else parts)
    if told is None:
        return name_of(last), words
    return name_of(told), f"{_WORDS[type(told)](told, b'')} {name_of(last)} {words}".strip()


def _bare(ip: Any, decoded: Decoded) -> tuple[str, str]:
    """An IP header without anything known behind it."""
    number = ip.protocol if isinstance(ip, IPv4) else ip.next_header
    size = f"len={len(decoded.payload)}"
    if isinstance(ip, IPv4) and ip.is_fragment:
        more = "+" if ip.mf else ""
        return "IPv4", f"fragment {ip.fragment_offset}{more} of {ip.ident:#06x} {number} {size}"
    return name_of(ip), f"protocol {int(number or 0)} ({number}) {size}"


def fields_of(header: Any) -> dict[str, str]:
    """The fields of a header that say something, as text; what a build computes is left out, and so are defaults."""
    found = {}
    for info in type(header).fields:
        value = getattr(header, info.name)
        if info.derived is not None or info.constant is not None:
            continue
        if value != info.default or info.required or (isinstance(value, int) and value):
            found[info.name] = text_of(value)
    return found


def text_of(value: Any) -> str:
    """A field's value for people."""
    if isinstance(value, bytes) and not hasattr(value, "to4"):
        return value.hex() if len(value) <= _MOST_BYTES else f"{value[:_MOST_BYTES].hex()}..."
    if isinstance(value, tuple):
        return ",".join(option_words(item) for item in value) or "-"
    return str(value)


def option_words(option: Any) -> str:
    """An option or list element: its name and its values."""
    if isinstance(option, bytes) or not hasattr(type(option), "fields"):
        return text_of(option)
    name = type(option).__name__.removeprefix("TCP").removeprefix("Raw").lower()
    values = [
        text_of(getattr(option, info.name))
        for info in type(option).fields
        if info.constant is None and info.derived is None
    ]
    return ":".join([name, *values])


def tcp_words(header: Any, payload: bytes) -> str:
    parts = [str(header.flags), f"seq={header.seq}"]
    if header.flags.ACK:
        parts.append(f"ack={header.ack}")
    parts.append(f"win={header.window}")
    if header.options:
        parts.append(text_of(header.options))
    return " ".join([*parts, f"len={len(payload)}"])


def _udp_words(header: Any, payload: bytes) -> str:
    return f"len={len(payload)}"


def _icmp_words(header: Any, payload: bytes) -> str:
    kind = str(header.type).lower().replace("_", " ")
    name = header.code_name
    code = (
        ""
        if name == "0" or (not header.code and not header.is_error)
        else f" {name}".lower().replace("_", " ")
    )
    if header.is_error:
        return f"{kind}{code}{_about(header, payload)}"
    if kind.startswith("echo"):
        return f"{kind} id={header.ident} seq={header.seq} len={len(payload)}"
    return f"{kind}{code} len={len(payload)}"


def _about(header: Any, payload: bytes) -> str:
    """Which datagram an error is about."""
    from rawproto import Datagram

    try:
        quoted = Datagram.parse(payload, quoted=True)
    except DecodeError:
        return ""
    first: Any = quoted.headers[0]
    inner = f" {name_of(quoted.headers[1])}" if len(quoted.headers) > 1 else ""
    mtu = (
        f" mtu={header.mtu}"
        if getattr(header, "mtu", 0) and "fragment" in str(header.code_name).lower()
        else ""
    )
    return f"{mtu} (about{inner} {first.src} > {first.dst})"


def rsp_words(header: Any, rest: bytes) -> str:
    """What an RSP packet says."""
    parts = [str(header.kind)]
    parts += [name for name in flags_of(header) if name != "CARRIES_DATA"]
    if isinstance(header, Hello):
        parts += [f"id={header.identifier & 0xFFFF_FFFF:08x}", f"win={header.window}"]
        if header.connection:
            parts.append(f"cid={header.connection & 0xFFFF_FFFF:08x}")
        return " ".join(parts)
    if isinstance(header, Reset):
        return " ".join([*parts, f"cid={header.connection & 0xFFFF_FFFF:08x}", str(Reason(header.reason))])
    if isinstance(header, Path):
        return " ".join([*parts, f"token={header.token:016x}"])
    if header.kind != Kind.ACK or header.flags.CARRIES_DATA:
        parts.append(f"#{header.number}")
    if isinstance(header, Ack):
        parts += [f"ack=#{header.largest}" if header.ranges else "ack=none", f"win={header.window}"]
        if header.ranges > 1:
            parts.append(f"gaps={header.ranges - 1}")
    data = data_of(header, rest)
    if data is not None:
        parts += [f"off={data[0]}", f"len={data[1]}"]
    elif isinstance(header, Data):
        parts.append(f"len={len(rest)}")
    return " ".join(parts)


_WORDS: dict[type, Callable[[Any, bytes], str]] = {
    TCP: tcp_words,
    UDP: _udp_words,
    ICMP: _icmp_words,
    ICMPv6: _icmp_words,
}
