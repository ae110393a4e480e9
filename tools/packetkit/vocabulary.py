"""Headers by the names people type, and what was likely meant by a name that is none."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import rawproto
from rawproto.rsp.header import Common

from ..failure import USAGE, Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path as FilePath

    from rawproto import FieldInfo, Header

__all__ = ["RSP", "Vocabulary", "field_of", "near", "vocabulary_from"]

RSP = "rsp"

_BUILT_IN = (
    "IPv4", "IPv6", "ICMP", "ICMPv6", "UDP", "TCP", "HopByHop", "DestinationOptions", "Fragment", "SegmentRouting",
    "ICMPTimestamp", "ICMPAddressMask", "ICMPRouterAdvertisement", "ICMPTraceroute", "NeighborSolicitation",
    "NeighborAdvertisement", "RouterSolicitation", "RouterAdvertisement", "Redirect", "MLDMessage", "MLDQuery",
    "MLDReport", "NodeInformation",
)  # fmt: skip


class Vocabulary:
    """The headers that may be named: the built-in ones, RSP, and those of a user's own file, which come first.

    Args:
        own: header classes by name, as :func:`load_headers` gives them.
    """

    def __init__(self, own: Mapping[str, type[Header]] | None = None) -> None:
        self._own = {name.lower(): header for name, header in (own or {}).items()}

    @property
    def names(self) -> list[str]:
        """Every name, in lower case."""
        return [*self._own, RSP, *(name.lower() for name in _BUILT_IN)]

    def find(self, name: str) -> type[Header]:
        """The header called ``name``, in any case; RSP's is the part that all its packets have.

        Raises:
            Failure: there is none; names what is near.
        """
        key = name.lower()
        if key in self._own:
            return self._own[key]
        if key == RSP:
            return Common
        for known in _BUILT_IN:
            if known.lower() == key:
                found: type[Header] = getattr(rawproto, known)
                return found
        hint = "" if self._own else " (--headers FILE.py brings your own)"
        raise Failure(f"no header is called {name!r}{near(name, self.names)}{hint}", USAGE)

    def own(self, header: type[Header]) -> bool:
        """Whether ``header`` is one of the user's."""
        return header in self._own.values()


def vocabulary_from(path: FilePath | None) -> Vocabulary:
    """The vocabulary with the headers of the file of ``--headers``, if there is one."""
    if path is None:
        return Vocabulary()
    from ..own_headers import load_headers

    return Vocabulary(load_headers(path))


def near(name: str, known: Iterable[str], *, show: int = 40) -> str:
    """What to say behind an unknown name: the likely one, else the first ``show`` that there are."""
    names = list(known)
    by_key = {other.lower(): other for other in names}
    found = difflib.get_close_matches(name.lower(), by_key, n=1)
    if found:
        return f": did you mean {by_key[found[0]]!r}?"
    return f": there are {', '.join(names[:show])}{', ...' if len(names) > show else ''}"


def field_of(header: Any, name: str, layer: str) -> FieldInfo:
    """The field of ``header`` called ``name``.

    Raises:
        Failure: it has none; names the layer and what is near.
    """
    infos = {info.name: info for info in (*header.fields, *header.views)}
    if name not in infos:
        raise Failure(f"{layer} has no field {name!r}{near(name, infos)}", USAGE)
    found: FieldInfo = infos[name]
    return found
