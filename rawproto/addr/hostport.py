"""``host:port`` text, taken apart and put together by Go's rules."""

from __future__ import annotations

from rawproto.errors import AddrError

__all__ = ["join_host_port", "split_host_port"]


def split_host_port(text: str) -> tuple[str, str]:
    """Split ``host:port``, ``[host]:port``, ``[host%zone]:port`` or ``:port`` into host and port.

    Looks at brackets and colons only: neither part is checked, both may be empty, and the brackets are removed.

    Raises:
        AddrError: no port, too many colons, or a bracket out of place; with the position.
    """
    if not isinstance(text, str):
        raise AddrError(f"split_host_port takes text, not {type(text).__name__}")
    colon = text.rfind(":")
    if colon < 0:
        raise AddrError("missing port in address", text, len(text))
    opened = closed = 0
    if text.startswith("["):
        end = text.find("]")
        if end < 0:
            raise AddrError("missing ']' in address", text, len(text))
        if end + 1 != colon:
            if text.startswith(":", end + 1):
                raise AddrError("too many colons in address", text, colon)
            raise AddrError("missing port in address", text, end + 1)
        host = text[1:end]
        opened, closed = 1, end + 1
    else:
        host = text[:colon]
        if ":" in host:
            raise AddrError("too many colons in address", text, text.index(":", text.index(":") + 1))
    bracket = text.find("[", opened)
    if bracket >= 0:
        raise AddrError("unexpected '[' in address", text, bracket)
    bracket = text.find("]", closed)
    if bracket >= 0:
        raise AddrError("unexpected ']' in address", text, bracket)
    return host, text[colon + 1 :]


def join_host_port(host: str, port: str | int) -> str:
    """Join host and port; a host with a colon is put in brackets. Nothing is checked or stripped."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
