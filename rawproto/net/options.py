"""What dial and listen take by name, for signatures that pass it on; :func:`rawproto.dial` says what each means."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    import ssl

    from rawproto.addr import ACL
    from rawproto.addr.endpoints import PortAddr
    from rawproto.rsp.config import RSPConfig

__all__ = ["DialOptions", "ListenOptions", "TransportOptions"]


class TransportOptions(TypedDict, total=False):
    """Of dial on every network of connections, whatever its endpoints look like."""

    timeout: float | None
    tls: ssl.SSLContext | bool | None
    server_hostname: str | None
    config: RSPConfig | None


class DialOptions(TransportOptions, total=False):
    """Of dial on a network of connections."""

    local: str | PortAddr | None


class ListenOptions(TypedDict, total=False):
    """Of listen on a network of connections."""

    backlog: int
    tls: ssl.SSLContext | None
    acl: ACL | None
    config: RSPConfig | None
