"""The ProtoFields of a dissector: one definition a field and flag, shared where a header inherits them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rawproto.wire.field import Checksum

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rawproto.wire.field import FieldInfo, Spec

__all__ = ["FieldTable", "lua_string"]


def lua_string(text: str) -> str:
    """``text`` as a Lua literal; JSON's escapes for what a one-line text may hold are Lua's too."""
    return json.dumps(text, ensure_ascii=False)


def _table(names: Mapping[int, str]) -> str:
    """Number to name as a Lua table."""
    return (
        "{ " + ", ".join(f"[{number}] = {lua_string(name)}" for number, name in sorted(names.items())) + " }"
    )


class FieldTable:
    """Collects definitions; a name that is taken by another definition gets its class's name in front.

    Args:
        abbreviation: the protocol's filter name, first part of every field's.
    """

    def __init__(self, abbreviation: str) -> None:
        self.abbreviation = abbreviation
        self._definitions: dict[str, str] = {}

    def lines(self) -> list[str]:
        """The Lua table ``f`` of all fields."""
        made = [f"f[{lua_string(name)}] = {text}" for name, text in self._definitions.items()]
        return ["local f = {}", *made, "proto.fields = f"]

    def _add(self, group: str, owner: str, name: str, make: str, arguments: list[str]) -> str:
        """Lua expression of the field, defined when it is new."""
        parts = [part for part in (self.abbreviation, group, name.lower()) if part]
        for abbreviation in (".".join(parts), ".".join([*parts[:-1], owner.lower(), parts[-1]])):
            text = f"ProtoField.{make}({', '.join([lua_string(abbreviation), *arguments])})"
            if self._definitions.setdefault(abbreviation, text) == text:
                return f"f[{lua_string(abbreviation)}]"
        raise AssertionError(f"{owner}.{name} is defined twice")

    def number(self, group: str, owner: str, info: FieldInfo, size: int, mask: int | None) -> str:
        """A number, flag set or enumeration in ``size`` bytes; ``mask`` picks its bits, None when they are all."""
        magic = info.kind == "uint" and info.constant is not None
        hexadecimal = info.kind == "flags" or isinstance(info.derived, Checksum) or magic
        names = _table(info.names) if info.kind == "enum" and (info.width or 0) <= 32 else "nil"
        shown = "nil" if mask is None else f"{mask:#x}"
        arguments = [
            lua_string(info.name),
            "base.HEX" if hexadecimal else "base.DEC",
            names,
            shown,
            lua_string(info.doc or info.name),
        ]
        return self._add(group, owner, info.name, _integer(size), arguments)

    def switch(self, group: str, owner: str, name: str, size: int, mask: int | None) -> str:
        """One bit."""
        arguments = [lua_string(name)]
        if mask is not None:
            arguments += [str(8 * size), '{ "set", "not set" }', f"{mask:#x}"]
        return self._add(group, owner, name, "bool", arguments)

    def plain(self, group: str, owner: str, info: FieldInfo, spec: Spec | FieldInfo) -> str:
        """Bytes, an address, or the elements of a list of numbers."""
        make = {"ip4": "ipv4", "ip6": "ipv6"}.get(spec.kind, "bytes")
        if spec.kind in ("uint", "enum", "flags"):
            names = _table({int(m): m.name for m in spec.enum}) if spec.enum is not None else "nil"
            arguments = [lua_string(info.name), "base.DEC", names]
            return self._add(group, owner, info.name, _integer((spec.width or 8) // 8), arguments)
        return self._add(group, owner, info.name, make, [lua_string(info.name)])


def _integer(size: int) -> str:
    """The ProtoField type for an integer of ``size`` bytes."""
    return {1: "uint8", 2: "uint16", 3: "uint24", 4: "uint32"}.get(size, "uint64")
