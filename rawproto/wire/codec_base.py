"""What the writers of a codec's source share: the layout, and the names that the source may use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rawproto.wire import runtime
from rawproto.wire.address import IP, to_ip
from rawproto.wire.field import REQUIRED, Checksum, Computed, FieldInfo, Length
from rawproto.wire.sums import ones_complement_sum

if TYPE_CHECKING:
    from rawproto.wire.layout import Layout

__all__ = ["WORDS", "Writer", "base_names", "covered", "machine_words"]

WORDS = {8: "B", 16: "H", 32: "I", 64: "Q"}


class Writer:
    """Writes a part of a class's source; ``names`` are the objects the source refers to, and it adds its own."""

    def __init__(
        self, name: str, layout: Layout, protocol: int | None, empty_next: int, names: dict[str, Any]
    ) -> None:
        self.name = name
        self.layout = layout
        self.protocol = protocol
        self.empty_next = empty_next
        self.names = names
        self.header_length = layout.by_rule(Length, "header")
        self.checksum = layout.by_rule(Checksum)

    def lines(self) -> list[str]:
        """The source."""
        raise NotImplementedError

    def length_rule(self, name: str | None) -> Length:
        """The rule of the length field ``name``."""
        rule = next(info.derived for info in self.layout.fields if info.name == name)
        assert isinstance(rule, Length)
        return rule


def base_names(name: str, layout: Layout) -> dict[str, Any]:
    """The objects every codec's source refers to, and those for each field."""
    names: dict[str, Any] = {
        "IP": IP,
        "NAME": name,
        "PACK_ERRORS": runtime.PACK_ERRORS,
        "fb": int.from_bytes,
        "ip4": runtime.ADDRESSES[4],
        "ip16": runtime.ADDRESSES[16],
        "new": object.__new__,
        "ocsum": ones_complement_sum,
        "to_ip": to_ip,
        **{key: getattr(runtime, key) for key in runtime.__all__},
    }
    # In __init__ the fields are plain local names: what it calls must not be hidden by a field called "type".
    for value in (len, type, str, bytes, locals, TypeError, ValueError):
        names[f"_{value.__name__}"] = value
    names |= {f"_{key}": names[key] for key in ("NAME", "refuse", "start_over", "to_bytes", "to_tuple")}
    names |= {
        "_known4": runtime.ADDRESSES[4].get,
        "_known16": runtime.ADDRESSES[16].get,
        "_to_ip": runtime.known_ip,
    }
    for info in (*layout.fields, *layout.views):
        names |= _field_names(info, name)
    return names


def _field_names(info: FieldInfo, header: str) -> dict[str, Any]:
    """The helper objects of one field."""
    names: dict[str, Any] = {}
    if info.kind in ("enum", "flags"):
        names[f"_M_{info.name}"] = runtime.code_map(info, header)
    elif info.kind == "list":
        names[f"_I_{info.name}"] = info
        names[f"_E_{info.name}"] = runtime.list_encoder(info)
        names[f"_L_{info.name}"] = runtime.list_decoder(info, header)
    elif info.kind == "options" and info.options is not None:
        names[f"_C_{info.name}"] = info.options.convert
        names[f"_E_{info.name}"] = info.options.encode
        names[f"_L_{info.name}"] = info.options.decode
    if isinstance(info.derived, Computed):
        names[f"_F_{info.name}"] = info.derived.function
    if info.default is not REQUIRED:
        names[f"_D_{info.name}"] = info.default
    return names


def machine_words(width: int) -> list[tuple[int, int]]:
    """``width`` bits as (shift, bits) of 64, 32, 16 and 8 bits, most significant first."""
    words, left = [], width
    for bits in (64, 32, 16, 8):
        while left >= bits:
            left -= bits
            words.append((left, bits))
    return words


def covered(fields: tuple[FieldInfo, ...], start: int, width: int) -> list[tuple[FieldInfo, int, int, int]]:
    """The fields under ``width`` bits from ``start`` on: (field, lowest bit in it, its shift in the whole, bits)."""
    found = []
    end = start + width
    for info in fields:
        if info.offset is None or info.width is None:
            continue
        first, last = max(start, info.offset), min(end, info.offset + info.width)
        if first < last:
            found.append((info, info.offset + info.width - last, end - last, last - first))
    return found
