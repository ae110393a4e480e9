"""Source of ``_decode``: unpack, check lengths and constants, make the header."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from rawproto.wire.codec_base import WORDS, Writer, machine_words
from rawproto.wire.field import FieldInfo, Length

if TYPE_CHECKING:
    from rawproto.wire.layout import Run

__all__ = ["DecodeWriter"]


class DecodeWriter(Writer):
    """Writes ``_decode``."""

    def lines(self) -> list[str]:
        """Source of ``_decode(buffer, start, end, quoted) -> header``; its ``_origin`` tells where it ends."""
        # Fields whose variable holds what the attribute will be.
        self.finished: set[str] = set()
        lines = ["def _decode(buffer, start, end, quoted=False):"]
        body = [f"if end - start < {self.layout.size}: raise short(cls, buffer, start, end)"]
        place, known = "start", True
        for index, part in enumerate(self.layout.segments):
            if isinstance(part, FieldInfo):
                if known:
                    body += [*self._header_end(), f"position = {place}"]
                    known = False
                body += self._decode_variable(part, index)
                continue
            size = sum(run.size for run in part)
            if not known:
                body.append(f"if limit - position < {size}: raise short(cls, buffer, start, limit)")
                place = "position"
            body += self._unpack(index, part, place)
            if known:
                place = f"start + {size}"
            else:
                body.append(f"position += {size}")
        if self.header_length is not None:
            body += self._header_end() if known else []
            body += ["finish = limit", *self._exact_end(place if known else "position")]
        else:
            body.append(f"finish = {place if known else 'position'}")
        body += self._packet_end()
        body += [
            "self = new(cls)",
            *(f"self.{info.name} = {self._read_back(info)}" for info in self.layout.fields),
        ]
        body += ["self._origin = (buffer, start, finish, stop, ())", "return self"]
        return [*lines, *(f"    {line}" for line in body)]

    def _unpack(self, index: int, part: tuple[Run, ...], place: str) -> list[str]:
        """Lines that read a fixed part into ``f_`` variables."""
        targets, after = [], []
        codes = ""
        for number, run in enumerate(part):
            first = run.fields[0]
            single = len(run.fields) == 1
            if first.kind in ("bytes", "ip4", "ip6"):
                targets.append(f"f_{first.name}")
                codes += f"{run.size}s"
            elif first.byteorder == "little":
                targets.append(f"f_{first.name}")
                codes += f"{run.size}s"
                after.append(f"f_{first.name} = fb(f_{first.name}, 'little')")
            else:
                split = machine_words(run.size * 8)
                codes += "".join(WORDS[bits] for _, bits in split)
                word = f"f_{first.name}" if single else f"w{index}_{number}"
                if len(split) == 1:
                    targets.append(word)
                else:
                    pieces = [f"p{index}_{number}_{item}" for item in range(len(split))]
                    targets += pieces
                    terms = [f"{p} << {s}" if s else p for p, (s, _) in zip(pieces, split, strict=True)]
                    after.append(f"{word} = {' | '.join(terms)}")
                if not single:
                    after += self._extract(run, word)
        self.names[f"unpack{index}"] = struct.Struct("!" + codes).unpack_from
        lines = [
            f"{', '.join(targets)}{',' if len(targets) == 1 else ''} = unpack{index}(buffer, {place})",
            *after,
        ]
        for run in part:
            for info in run.fields:
                if info.constant is not None:
                    test = f"if f_{info.name} != {info.constant}: "
                    lines.append(
                        f"{test}raise bad_constant(cls, {info.name!r}, f_{info.name}, {info.constant})"
                    )
        return lines

    def _extract(self, run: Run, word: str) -> list[str]:
        """Lines that take a run's fields out of its word."""
        lines, shift = [], run.size * 8
        rare = all(_is_rare(info) for info in run.fields)
        for position, info in enumerate(run.fields):
            shift -= info.width or 0
            text = f"{word} >> {shift}" if shift else word
            if position:
                text = f"{text} & {info.mask:#x}"
            if rare:
                text = f"{text} == 1" if info.kind == "bool" else _scaled(f"({text})", info)
            lines.append(f"f_{info.name} = {text}")
        if not rare:
            return lines
        zeros = [
            f"    {' = '.join(f'f_{info.name}' for info in run.fields if info.kind == kind)} = {zero}"
            for kind, zero in (("bool", "False"), ("uint", "0"))
            if any(info.kind == kind for info in run.fields)
        ]
        self.finished |= {info.name for info in run.fields}
        return [f"if {word}:", *(f"    {line}" for line in lines), "else:", *zeros]

    def _header_end(self) -> list[str]:
        """Lines that set ``limit``, where the variable fields of the header must end."""
        if self.header_length is None:
            return ["limit = end"]
        name, rule = self.header_length.name, self.header_length.derived
        assert isinstance(rule, Length)
        size = self._bytes(name, rule)
        return [
            f"limit = start + {size}",
            f"if limit > end or limit < start + {self.layout.size}:",
            f"    raise bad_length(cls, {name!r}, f_{name}, {size}, {self.layout.size}, end - start)",
        ]

    def _exact_end(self, place: str) -> list[str]:
        """Lines that refuse a header length beyond the fields, where no field takes what is left."""
        if self.header_length is None or any(i.variable and i.length_by is None for i in self.layout.fields):
            return []
        name, rule = self.header_length.name, self.header_length.derived
        assert isinstance(rule, Length)
        size = self._bytes(name, rule)
        return [
            f"if limit != {place}:",
            f"    raise bad_length(cls, {name!r}, f_{name}, {size}, {place} - start, {place} - start)",
        ]

    def _bytes(self, name: str, rule: Length) -> str:
        """Expression of the bytes that a length field says."""
        count = f"(f_{name} - {rule.bias})" if rule.bias else f"f_{name}"
        return f"{count} * {rule.unit}" if rule.unit > 1 else count

    def _decode_variable(self, info: FieldInfo, index: int) -> list[str]:
        """Lines that read one variable field."""
        rest = self.layout.segments[index + 1 :]
        behind = sum(run.size for part in rest if isinstance(part, tuple) for run in part)
        lines = []
        if info.length_by is not None:
            size = self._bytes(info.length_by, self.length_rule(info.length_by))
            lines += [
                f"until = position + {size}",
                f"if until < position or until > limit - {behind}:",
                f"    most = limit - {behind} - position",
                f"    raise bad_length(cls, {info.length_by!r}, f_{info.length_by}, {size}, 0, most)",
            ]
        else:
            later = [part for part in rest if isinstance(part, FieldInfo)]
            lines.append(f"until = limit - {behind}" if behind else "until = limit")
            if later:
                lines[-1] = self._until_before(later, behind)
            if later or behind or self.header_length is None:
                lines.append("if until < position: raise short(cls, buffer, start, limit)")
        if info.kind == "bytes":
            lines.append(f"f_{info.name} = buffer[position:until]")
        else:
            empty = f"if until == position: f_{info.name} = ()"
            extra = f", NAME, {info.name!r}" if info.kind == "options" else ""
            lines += [empty, f"else: f_{info.name} = _L_{info.name}(buffer, position, until, start{extra})"]
        lines.append("position = until")
        return lines

    def _until_before(self, later: list[FieldInfo], behind: int) -> str:
        """Expression of the end of an open field with length-delimited fields behind it."""
        sizes = []
        for info in later:
            assert info.length_by is not None
            sizes.append(self._bytes(info.length_by, self.length_rule(info.length_by)))
        return f"until = limit - {behind} - {' - '.join(sizes)}"

    def _packet_end(self) -> list[str]:
        """Lines that set ``stop``, where the payload ends."""
        packet, payload = self.layout.by_rule(Length, "packet"), self.layout.by_rule(Length, "payload")
        info = packet or payload
        if info is None or not isinstance(info.derived, Length):
            return ["stop = end"]
        size = self._bytes(info.name, info.derived)
        base = "start" if packet is not None else "finish"
        high = "end - start" if packet is not None else "end - finish"
        low = "finish - start" if packet is not None else "0"
        return [
            f"stop = {base} + {size}",
            "if stop > end or stop < finish:",
            "    if stop < finish or not quoted:",
            f"        raise bad_length(cls, {info.name!r}, f_{info.name}, {size}, {low}, {high})",
            "    stop = end",
        ]

    def _read_back(self, info: FieldInfo) -> str:
        """Expression of the attribute made of a decoded number."""
        name = f"f_{info.name}"
        if info.name in self.finished:
            return name
        if info.kind in ("enum", "flags"):
            return f"_M_{info.name}[{name}]"
        if info.kind == "bool":
            return f"{name} == 1"
        if info.kind in ("ip4", "ip6"):
            return f"ip{4 if info.kind == 'ip4' else 16}[{name}]"
        return _scaled(name, info)


def _scaled(text: str, info: FieldInfo) -> str:
    return f"{text} * {info.scale}" if info.scale != 1 else text


def _is_rare(info: FieldInfo) -> bool:
    """Whether a bit field is a plain number or flag that is 0 in most packets: a word of these is tested as one."""
    plain = info.kind in ("uint", "bool") and info.derived is None and info.constant is None
    return plain and info.default in (0, False)
