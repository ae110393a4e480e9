"""Options of a header from text: ``mss:1460,sackpermitted,windowscale:7``.

An option is the name of its class or kind, in any case and without regard to ``_`` and ``-``, and its values behind
colons, in order or as ``name=value``; ``hex:0101`` is taken as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rawproto import RawprotoError

from ..failure import USAGE, Failure
from .values import from_hex, value_of
from .vocabulary import near

if TYPE_CHECKING:
    from rawproto import FieldInfo
    from rawproto.wire.field import Spec

__all__ = ["options_of"]


def options_of(info: FieldInfo | Spec, text: str, place: str) -> tuple[Any, ...]:
    """The options that ``text`` lists.

    Raises:
        Failure: one is unknown, or has a value that cannot be.
    """
    assert info.options is not None
    known = _names(info.options)
    return tuple(_option(known, word, place) for word in _split(text, ",") if word)


def _split(text: str, mark: str) -> list[str]:
    """``text`` at each ``mark`` outside square brackets, in which an IPv6 address stands."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if letter == mark and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _names(options: Any) -> dict[str, Any]:
    """Option classes by their names, those that begin alike (TCPTimestamps, timestamps) under the short one, too."""
    found: dict[str, Any] = {}
    for kind, cls in options.classes.items():
        first = cls.fields[0]
        names = [cls.__name__, cls.__name__.removeprefix(options.name)]
        if first.enum is not None:
            names.append(first.enum(kind).name)
        for name in names:
            found.setdefault(_key(name), cls)
    return found


def _key(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _option(known: dict[str, Any], word: str, place: str) -> Any:
    name, *values = _split(word, ":")
    if name == "hex":
        return from_hex("".join(values), place)
    cls = known.get(_key(name))
    if cls is None:
        raise Failure(f"{place}: no option is called {name!r}{near(_key(name), known)}", USAGE)
    fields = [info for info in cls.fields if info.constant is None and info.derived is None]
    by_name = {info.name: info for info in fields}
    given: dict[str, Any] = {}
    for index, text in enumerate(values):
        key, equals, rest = text.partition("=")
        if not equals:
            if index >= len(fields):
                raise Failure(f"{place}: {name} has {_listed(fields)}", USAGE)
            key, rest = fields[index].name, text
        if key not in by_name:
            raise Failure(f"{place}: {name} has no {key!r}{near(key, by_name)}", USAGE)
        given[key] = value_of(by_name[key], rest, f"{place}.{name}.{key}")
    missing = [info for info in fields if info.required and info.name not in given]
    if missing:
        raise Failure(f"{place}: {name} needs {_listed(missing)}, as in {name}:{missing[0].name}=...", USAGE)
    try:
        return cls(**given)
    except RawprotoError as error:
        raise Failure(f"{place}: {error}", USAGE) from None


def _listed(fields: list[Any]) -> str:
    return ", ".join(info.name for info in fields) or "no values"
