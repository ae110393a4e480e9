"""What is a host name, which full names a short one stands for, and the names of reverse lookups."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rawproto.addr.ip import IP
from rawproto.errors import AddrError, DNSError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["absolute", "candidates", "is_domain_name", "literal", "no_such_host", "reverse_name"]

_MAX_NAME = 254  # bytes of text with the final dot: 255 on the wire (RFC 1035 section 3.1)
# A label: letters, digits, '_' and inner '-'; 63 bytes at most (RFC 1035 section 2.3.4).
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
_NON_NUMERIC = re.compile(r"[A-Za-z_-]", re.ASCII)


def literal(host: str) -> tuple[IP, str] | None:
    """The address and zone of a literal, IPv4 in 4 bytes whatever its spelling; None when it is none.

    A zone is for text with a colon, begins at the first '%' and is not empty (Go's netip.ParseAddr).
    """
    address, percent, zone = host.partition("%")
    if percent and (not zone or ":" not in address):
        return None
    try:
        ip = IP(address)
    except AddrError:
        return None
    return ip.to4() or ip, zone


def is_domain_name(name: str) -> bool:
    """Whether a name can be asked for in the DNS: Go's isDomainName.

    Letters, digits, '_' and inner '-' in labels of up to 63, and not digits and dots alone: ``127.1`` is no name.
    """
    if name == ".":
        return True
    labels = name[:-1] if name.endswith(".") else name
    if not labels or len(labels) >= _MAX_NAME or not _NON_NUMERIC.search(labels):
        return False
    return all(_LABEL.fullmatch(label) for label in labels.split("."))


def absolute(name: str) -> str:
    """The name with a final dot."""
    return name if name.endswith(".") else f"{name}."


def candidates(name: str, search: Sequence[str], ndots: int) -> list[str]:
    """The full names to ask for, in order (resolv.conf(5): search and ndots).

    A name with a final dot stands for itself; names under ``.onion`` are never asked for (RFC 7686 section 2).
    """
    if name.endswith("."):
        names = [name]
    else:
        own = f"{name}."
        searched = [f"{name}.{absolute(suffix)}" for suffix in search]
        names = [own, *searched] if name.count(".") >= ndots else [*searched, own]
    return [full for full in names if is_domain_name(full) and not full.lower().endswith(".onion.")]


def reverse_name(ip: IP) -> str:
    """The name whose PTR record names the host (RFC 1035 section 3.5, RFC 3596 section 2.5)."""
    four = ip.to4()
    if four is not None:
        return ".".join(str(octet) for octet in reversed(four)) + ".in-addr.arpa."
    return ".".join(reversed(ip.hex())) + ".ip6.arpa."


def no_such_host(name: str, server: str = "") -> DNSError:
    """The error of a name that does not exist, or has no record of the kind asked for."""
    return DNSError("no such host", name, server, is_not_found=True)
