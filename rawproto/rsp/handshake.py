"""The three-way handshake: what SYN, COOKIE and CONFIRM say, and how they become packets.

    dialer                                   listener
      SYN      (its identifier, wishes)  ->             keeps nothing
               <-  COOKIE  (proposed identifier, choice, cookie)
      CONFIRM  (all of it again)         ->             checks the cookie, makes the connection
               <-  ACK                                  from here on both sides know of each other

All three have one layout, so the answer is never longer than the question (no amplification).
"""

from __future__ import annotations

import dataclasses
import struct
from typing import TYPE_CHECKING, Any

from rawproto.rsp.checks import NONE, XXH3, check_bit, chosen, fill_one, offered
from rawproto.rsp.header import Hello, Kind

if TYPE_CHECKING:
    from rawproto.rsp.config import RSPConfig

__all__ = [
    "ECN",
    "MIN_DATAGRAM",
    "Terms",
    "address_key",
    "choose",
    "cookie_context",
    "hello_packet",
    "wishes",
]

ECN = 1 << 8
"""Feature bit: marks are set and reported (RFC 3168)."""
MIN_DATAGRAM = 536
"""Smallest largest datagram that is believed; smaller offers are raised to it (RFC 9293 section 3.7.1)."""
_ASKED = struct.Struct("!HHIQQH")
"""The terms as bytes: those of a Hello from its source port to its window, then its port."""


@dataclasses.dataclass(frozen=True, slots=True)
class Terms:
    """What one side says of itself in the handshake."""

    source_port: int
    port: int
    identifier: int
    window: int
    max_datagram: int
    features: int

    @classmethod
    def of(cls, hello: Hello) -> Terms:
        """The terms a packet states, brought into their limits."""
        return cls(
            hello.source_port,
            hello.port,
            hello.identifier,
            hello.window,
            max(hello.max_datagram, MIN_DATAGRAM),
            hello.features,
        )


def wishes(config: RSPConfig, carrier_checks: bool) -> int:
    """The features a side offers: the integrity checks it would take, and ECN."""
    wanted = config.integrity or (NONE if carrier_checks else XXH3)
    return offered(wanted) | (ECN if config.ecn else 0)


def choose(ours: int, theirs: int) -> tuple[str, int]:
    """(integrity check, features of the connection) that both sides take."""
    common = ours & theirs
    check = chosen(common)
    return check, check_bit(check) | (common & ECN)


def hello_packet(
    kind: Kind, terms: Terms, connection: int, cookie: bytes = bytes(16), options: bytes = b""
) -> bytes:
    """A SYN, COOKIE or CONFIRM with its check filled in; ``connection`` is the receiver's identifier."""
    hello = Hello(
        kind=kind,
        port=terms.port,
        connection=connection,
        source_port=terms.source_port,
        max_datagram=terms.max_datagram,
        features=terms.features,
        identifier=terms.identifier,
        window=terms.window,
        option_length=len(options),
        cookie=cookie,
    )
    return fill_one(bytes(hello) + options)


def cookie_context(address: Any, terms: Terms) -> bytes:
    """Everything the cookie vouches for, as bytes: who asked, and for what."""
    asked = _ASKED.pack(
        terms.source_port, terms.max_datagram, terms.features, terms.identifier, terms.window, terms.port
    )
    return asked + address_key(address)


def address_key(address: Any) -> bytes:
    """The bytes that tell a link address from every other: of an IP address its packed form, port and zone."""
    ip = getattr(address, "ip", None)
    if ip is None:
        return repr(address).encode()
    port: int = getattr(address, "port", 0)
    return bytes(ip) + port.to_bytes(2, "big") + str(address.zone).encode()
