"""The hosts file: names and addresses known without asking (hosts(5))."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

from rawproto.addr.endpoints import IPAddr
from rawproto.errors import AddrError
from rawproto.resolve.files import WatchedFile, fields_of
from rawproto.resolve.names import literal
from rawproto.resolve.services import ascii_lower

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Hosts"]


@dataclasses.dataclass(slots=True)
class _Table:
    addresses: dict[str, list[IPAddr]] = dataclasses.field(default_factory=dict)
    names: dict[IPAddr, list[str]] = dataclasses.field(default_factory=dict)
    canonical: dict[str, str] = dataclasses.field(default_factory=dict)

    def add(self, address: str, names: Iterable[str]) -> None:
        found = literal(address)
        if found is None:
            return
        endpoint = IPAddr(*found)
        first = ""
        for name in names:
            full = _dotted(name)
            first = first or full
            self.addresses.setdefault(_key(name), []).append(endpoint)
            self.names.setdefault(endpoint, []).append(full)
            self.canonical.setdefault(_key(name), first)


def _dotted(name: str) -> str:
    """Names with a dot are full names and get the final one; "localhost" stays, as in Go."""
    return f"{name}." if "." in name and not name.endswith(".") else name


def _key(name: str) -> str:
    return _dotted(ascii_lower(name))


def _parse(text: str | None) -> _Table:
    table = _Table()
    for address, *names in fields_of(text or ""):
        table.add(address, names)
    return table


class Hosts:
    """The names of a hosts file or of a mapping.

    Args:
        source: path of a file in the format of hosts(5); a mapping of names to one address or a list of them; or
            None for no names at all.
    """

    def __init__(self, source: str | os.PathLike[str] | Mapping[str, Any] | None) -> None:
        self._file: WatchedFile[_Table] | None = None
        self._table = _Table()
        if isinstance(source, (str, os.PathLike)):
            self._file = WatchedFile(source, _parse)
            return
        for name, addresses in (source or {}).items():
            for address in addresses if isinstance(addresses, (list, tuple)) else [addresses]:
                if literal(str(address)) is None:
                    raise AddrError(f"the address of host {name!r} is no literal", str(address))
                self._table.add(str(address), [name])

    def _now(self) -> _Table:
        return self._table if self._file is None else self._file.get()

    def addresses(self, name: str) -> list[IPAddr]:
        """The addresses of a name in any case, with or without a final dot, in the order of the file."""
        table = self._now()
        key = _key(name)
        return list(table.addresses.get(key) or table.addresses.get(key.removesuffix(".")) or ())

    def canonical(self, name: str) -> str | None:
        """The first name on the first line that has ``name``, or None."""
        table = self._now()
        key = _key(name)
        return table.canonical.get(key) or table.canonical.get(key.removesuffix("."))

    def names(self, address: IPAddr) -> list[str]:
        """The names of an address, in the order of the file."""
        return list(self._now().names.get(address, ()))
