"""Source of ``_encode``: fill the derived fields that are None, check, pack once."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from rawproto.wire.codec_base import WORDS, Writer, machine_words
from rawproto.wire.field import Checksum, Computed, FieldInfo, Length, NextProtocol

if TYPE_CHECKING:
    from rawproto.wire.layout import Run

__all__ = ["EncodeWriter"]


class EncodeWriter(Writer):
    """Writes ``_encode``."""

    def lines(self) -> list[str]:
        """Source of ``_encode(self, payload, number, addresses) -> bytes``: header and payload."""
        lines = ["def _encode(self, payload, number, addresses):"]
        lines += [f"    f_{info.name} = self.{info.name}" for info in self.layout.fields]
        lines.append("    try:")
        body = [*self._encode_variable(), *self._derive(), *self._encode_checks()]
        joined = " + ".join([*self._parts(), "payload"])
        checksum = self._checksum_lines(joined)
        lines += [f"        {line}" for line in [*body, *checksum, f"return {joined}"]]
        lines += [
            "    except PACK_ERRORS as error:",
            "        raise refuse(type(self), locals(), error) from None",
        ]
        return lines

    def _encode_variable(self) -> list[str]:
        """Lines that encode the variable fields and find the header's size."""
        lines = []
        sizes = [str(self.layout.size)]
        for info in self.layout.fields:
            if not info.variable:
                continue
            name = info.name
            if info.kind == "bytes":
                lines.append(
                    f"if type(f_{name}) is not bytes: f_{name} = to_bytes(f_{name}, -1, NAME, {name!r})"
                )
                lines.append(f"v_{name} = f_{name}")
            else:
                always = info.options is not None and info.options.lead  # none at all still needs padding
                guard = "" if always else f" if f_{name} else b''"
                lines.append(f"v_{name} = _E_{name}(f_{name}){guard}")
            if info.length_by is not None:
                lines += self._length_by(info)
            sizes.append(f"len(v_{name})")
        return [*lines, f"size = {' + '.join(sizes)}"] if len(sizes) > 1 else lines

    def _length_by(self, info: FieldInfo) -> list[str]:
        """Lines that compute the length field of a variable field."""
        assert info.length_by is not None
        return self._count(info.length_by, self.length_rule(info.length_by), f"len(v_{info.name})", info.name)

    def _count(self, name: str, rule: Length, size: str, measured: str) -> list[str]:
        """Lines that set a length field that is None."""
        lines = [f"if f_{name} is None:"]
        if rule.unit > 1:
            lines.append(
                f"    if ({size}) % {rule.unit}: raise uneven(NAME, {measured!r}, {size}, {rule.unit})"
            )
        count = size if rule.unit == 1 else f"({size}) // {rule.unit}"
        lines.append(f"    f_{name} = {count}{f' + {rule.bias}' if rule.bias else ''}")
        return lines

    @property
    def _size(self) -> str:
        return "size" if any(info.variable for info in self.layout.fields) else str(self.layout.size)

    def _derive(self) -> list[str]:
        """Lines that fill the derived fields that are None, checksums excepted."""
        lines: list[str] = []
        for info in self.layout.fields:
            rule, name = info.derived, info.name
            if isinstance(rule, Length) and rule.of in ("header", "payload", "packet"):
                size = {
                    "header": self._size,
                    "payload": "len(payload)",
                    "packet": f"{self._size} + len(payload)",
                }
                lines += self._count(name, rule, size[rule.of], rule.of)
            elif isinstance(rule, NextProtocol):
                lines.append(f"if f_{name} is None:")
                unknown = f"unknown_next(NAME, {name!r}, payload, {self.empty_next})"
                lines.append(f"    f_{name} = number if number is not None else {unknown}")
            elif isinstance(rule, Computed):
                lines.append(f"if f_{name} is None: f_{name} = _F_{name}(self, payload)")
        return lines

    def _encode_checks(self) -> list[str]:
        """Lines that catch what ``struct`` would let pass: bits that spill over, bytes of another number."""
        lines: list[str] = []
        tests: list[str] = []
        widths: dict[int, list[str]] = {}
        for info in self.layout.fields:
            name = info.name
            if info.kind in ("ip4", "ip6"):
                size = 4 if info.kind == "ip4" else 16
                test = f"type(f_{name}) is not IP or len(f_{name}) != {size}"
                lines.append(f"if {test}: f_{name} = to_ip(f_{name}, {size}, NAME, {name!r})")
            elif info.kind == "bytes" and not info.variable:
                size = (info.width or 0) // 8
                test = f"type(f_{name}) is not bytes or len(f_{name}) != {size}"
                lines.append(f"if {test}: f_{name} = to_bytes(f_{name}, {size}, NAME, {name!r})")
            elif info.width is not None and info.scale != 1:
                tests.append(f"f_{name} % {info.scale} or f_{name} // {info.scale} >> {info.width}")
            elif info.width is not None and not self._struct_checks(info):
                widths.setdefault(info.width, []).append(f"f_{name}")
        for width, names in widths.items():
            tests.append(f"({' | '.join(names)}) >> {width}")
        if tests:
            lines.append(f"if {' or '.join(tests)}: raise refuse(type(self), locals())")
        return lines

    def _struct_checks(self, info: FieldInfo) -> bool:
        """Whether ``struct`` refuses a value too large: that of a lone word, or of the top bits of a word."""
        for part in self.layout.segments:
            for run in part if isinstance(part, tuple) else ():
                if run.fields[0] is info:
                    return run.size * 8 in WORDS
        return False

    def _parts(self) -> list[str]:
        """Expressions of the header's parts, in order."""
        parts = []
        for index, part in enumerate(self.layout.segments):
            if isinstance(part, FieldInfo):
                parts.append(f"v_{part.name}")
                continue
            codes, values = "", []
            for run in part:
                for code, value in self._pieces(run):
                    codes += code
                    values.append(value)
            packer = struct.Struct("!" + codes)
            self.names[f"pack{index}"] = packer.pack
            self.names[f"unpack{index}"] = packer.unpack_from
            parts.append(f"pack{index}({', '.join(values)})")
        return parts

    def _pieces(self, run: Run) -> list[tuple[str, str]]:
        """Struct codes of a run with the expressions packed into them."""
        first = run.fields[0]
        if first.kind in ("bytes", "ip4", "ip6"):
            return [(f"{run.size}s", f"f_{first.name}")]
        if first.byteorder == "little":
            return [(f"{run.size}s", f"int(f_{first.name}).to_bytes({run.size}, 'little')")]
        word = self._word(run)
        split = list(machine_words(run.size * 8))
        if len(split) == 1:
            return [(WORDS[split[0][1]], word)]
        return [(WORDS[bits], f"({word}) >> {shift} & {(1 << bits) - 1:#x}") for shift, bits in split]

    def _word(self, run: Run) -> str:
        """The run's bits as one number."""
        terms, shift = [], run.size * 8
        for info in run.fields:
            shift -= info.width or 0
            name = f"f_{info.name}" if info.scale == 1 else f"f_{info.name} // {info.scale}"
            terms.append(f"{name} << {shift}" if shift else name)
        return " | ".join(terms)

    def _checksum_lines(self, joined: str) -> list[str]:
        """Lines that compute the checksum field when it is None."""
        if self.checksum is None:
            return []
        name, rule = self.checksum.name, self.checksum.derived
        assert isinstance(rule, Checksum)
        # One-complement arithmetic has two zeros: an all-zero sum stays 0 (checksum 0xffff), any other is 0xffff.
        result = "-total % 65535 or 65535" if rule.zero == "absent" else "-total % 65535 if total else 65535"
        lines = [f"f_{name} = 0"]
        if self._summable(rule):
            lines += [f"total = {' + '.join(self._sum_terms(rule))}", *self._payload_sum(rule)]
        else:
            covered_part = f"({joined})" if rule.covers == "packet" else f"({' + '.join(self._parts())})"
            lines.append(f"total = ocsum({covered_part}{self._pseudo(rule, ', ')})")
        lines.append(f"f_{name} = {result}")
        if rule.pseudo:
            # Without an IP header around there is nothing to compute from: 0, as for "none".
            lines = [f"f_{name} = 0", "if addresses is not None:", *(f"    {line}" for line in lines)]
        return [f"if f_{name} is None:", *(f"    {line}" for line in lines)]

    def _pseudo(self, rule: Checksum, lead: str) -> str:
        if not rule.pseudo:
            return ""
        return f"{lead}fb(addresses) + {self.protocol} + {self._size} + len(payload)"

    def _summable(self, rule: Checksum) -> bool:
        """Whether every part starts at an even byte, so that its expressions can be summed in place."""
        even = True
        for part in self.layout.segments:
            if not even:
                return False
            if isinstance(part, FieldInfo):
                unit = 1
                if part.options is not None:
                    unit = part.options.pad
                elif part.element is not None:
                    unit = (getattr(part.element, "width", 8) or 8) // 8
                even = unit % 2 == 0
            else:
                even = sum(run.size for run in part) % 2 == 0
        return even or rule.covers == "header"

    def _sum_terms(self, rule: Checksum) -> list[str]:
        """The packed expressions, each shifted to its place in a 16-bit word."""
        terms = [self._pseudo(rule, "")] if rule.pseudo else []
        end = 0
        for part in self.layout.segments:
            if isinstance(part, FieldInfo):
                terms.append(f"fb(v_{part.name})")
                continue
            for run in part:
                end += run.size * 8
                if run.fields[0] is self.checksum:
                    continue
                text = self._word(run)
                if run.fields[0].byteorder == "little":
                    text = f"fb(int(f_{run.fields[0].name}).to_bytes({run.size}, 'little'))"
                elif run.fields[0].kind in ("bytes", "ip4", "ip6"):
                    text = f"fb(f_{run.fields[0].name})"
                shift = -end % 16
                terms.append(f"(({text}) << {shift})" if shift else f"({text})")
        return terms

    def _payload_sum(self, rule: Checksum) -> list[str]:
        if rule.covers != "packet":
            return []
        return [
            "if payload:",
            "    length = len(payload)",
            "    if length > 512: total += ocsum(payload)",
            "    elif length & 1: total += fb(payload) << 8",
            "    else: total += fb(payload)",
        ]
