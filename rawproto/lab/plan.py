"""Which addresses the lab gives to what, when nothing else is asked.

Link number k joins two hosts in 10.(k / 256).(k mod 256).0/24 and fd00:0:0:k::/64 (RFC 1918, RFC 4193); the ends are
numbers 1 and 2. Hardware addresses are locally administered and tell link and end, so that captures of two runs show
the same bytes.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from rawproto.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FIRST_SWITCH", "Interface", "addresses_for", "mac_for", "parse_addresses"]

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface

MAX_LINKS = 1 << 16
# Networks of switches are numbered from here, those of links from 0.
FIRST_SWITCH = 1 << 15


def addresses_for(link: int, end: int) -> tuple[Interface, ...]:
    """The IPv4 and IPv6 address of end ``end`` (from 1) of link ``link``, with its link-local address."""
    if not 0 <= link < MAX_LINKS:
        raise LabError(f"a lab has room for {MAX_LINKS} links")
    return (
        ipaddress.IPv4Interface(f"10.{link >> 8}.{link & 255}.{end}/24"),
        ipaddress.IPv6Interface(f"fd00:0:0:{link:x}::{end:x}/64"),
        ipaddress.IPv6Interface(f"fe80::{link + 1:x}:{end:x}/64"),
    )


def mac_for(link: int, end: int, *, relay: bool = False) -> str:
    """The hardware address of end ``end`` of link ``link``, on the host's or on the relay's side of the cable."""
    return f"02:00:{int(relay):02x}:{link >> 8:02x}:{link & 255:02x}:{end:02x}"


def parse_addresses(texts: Sequence[str]) -> tuple[Interface, ...]:
    """Addresses given by the user, each in CIDR form such as "192.0.2.1/24"."""
    parsed = []
    for text in texts:
        try:
            address = ipaddress.ip_interface(text)
        except ValueError as error:
            raise LabError(f"{text!r} is no address in CIDR form: {error}") from error
        if "/" not in text:
            raise LabError(f"{text!r} lacks the length of its network, as in 192.0.2.1/24")
        parsed.append(address)
    return tuple(parsed)
