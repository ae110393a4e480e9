"""Judging headers: every derived field that came (or was given) against what a build would make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto.errors import DecodeError, EncodeError
from rawproto.wire.field import Checksum, Computed, NextProtocol

if TYPE_CHECKING:
    from rawproto.wire.datagram import Datagram
    from rawproto.wire.header import Header

__all__ = ["verify_datagram", "verify_header"]


def verify_header(header: Header) -> list[str]:
    """What is wrong with one header, with the payload it came with (none, if it was not received)."""
    payload = b""
    if header._origin is not None:
        buffer, _, finish, stop, _ = header._origin
        payload = buffer[finish:stop]
    return _judge(header, payload, None, None)


def verify_datagram(datagram: Datagram) -> list[str]:
    """What is wrong with any header of a datagram, outermost first, each judged with what it encloses."""
    contexts: list[bytes | None] = []
    addresses: bytes | None = None
    for header in datagram.headers:
        contexts.append(addresses)
        if header._addresses is not None:
            addresses = header._addresses(header, addresses)
    found: list[list[str]] = []
    payload, number = datagram.payload, None
    for header in reversed(datagram.headers):
        context = contexts.pop()
        found.append(_judge(header, payload, number, context))
        payload = _as_sent(header, payload, number, context)
        number = header.protocol_number
    return [fault for faults in reversed(found) for fault in faults]


def _as_sent(header: Header, payload: bytes, number: int | None, addresses: bytes | None) -> bytes:
    """Header and payload as they stand, nothing recomputed that has a value."""
    if header._untouched and header._origin is not None:
        buffer, start, finish, _, _ = header._origin
        return buffer[start:finish] + payload
    return header._encode(payload, number, _sum(addresses))


def _sum(addresses: bytes | None) -> int | None:
    return None if addresses is None else int.from_bytes(addresses, "big")


def _judge(header: Header, payload: bytes, number: int | None, addresses: bytes | None) -> list[str]:
    """One sentence for each derived field of ``header`` that is not as computed."""
    name = type(header).__name__
    faults = []
    for info in type(header).fields:
        value, rule = getattr(header, info.name), info.derived
        if value is None or rule is None or (isinstance(rule, Computed) and rule.initial):
            continue
        if isinstance(rule, NextProtocol) and number is None:
            continue
        if isinstance(rule, Checksum) and _not_to_judge(rule, value, addresses):
            continue
        try:
            right = _computed(header, info.name, payload, number, addresses)
        except (EncodeError, DecodeError) as error:
            faults.append(f"{name}.{info.name}: cannot be computed: {error}")
            continue
        if value != right and not (isinstance(rule, Checksum) and _same_sum(rule, value, right)):
            form = "#06x" if isinstance(rule, Checksum) else "d"
            faults.append(f"{name}.{info.name} is {int(value):{form}}, should be {right:{form}}")
    return faults


def _not_to_judge(rule: Checksum, value: int, addresses: bytes | None) -> bool:
    """Whether a checksum says nothing: absent by choice, or dependent on addresses that are not there."""
    if rule.pseudo and addresses is None:
        return True
    # RFC 768: 0 means no checksum; RFC 8200 section 8.1 allows that to IPv4 only.
    return value == 0 and rule.zero == "absent" and addresses is not None and len(addresses) == 8


def _same_sum(rule: Checksum, value: int, right: int) -> bool:
    """Whether two checksums are the two zeros of ones-complement arithmetic."""
    return rule.zero == "sum" and {value, right} == {0, 0xFFFF}


def _computed(header: Header, name: str, payload: bytes, number: int | None, addresses: bytes | None) -> int:
    """What a build makes of one derived field, the others as they are."""
    trial = header._with({**header._values(), name: None}, None)
    built = trial._encode(payload, number, _sum(addresses))
    return int(getattr(type(header)._decode(built, 0, len(built), True), name))
