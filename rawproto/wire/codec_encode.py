"""Source of ``_encode``: fill the derived fields that are None, check, pack once."""

from __future__ import annotations

import itertools
import struct
from typing import TYPE_CHECKING

from rawproto.wire.codec_base import WORDS, Writer, machine_words
from rawproto.wire.field import Checksum, Computed, FieldInfo, Length, NextProtocol
from rawproto.wire.layout import Run

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["EncodeWriter"]

_RAISE = "raise refuse(type(self), {**self._values(), **locals()})"


def _seldom(run: Run) -> list[FieldInfo]:
    """The bit fields of a run that are 0 unless something is said: looked at only when they are not."""
    if len(run.fields) == 1:
        return []
    return [info for info in run.fields if info.default in (0, False) and info.derived is None]


class EncodeWriter(Writer):
    """Writes ``_encode``."""

    def lines(self) -> list[str]:
        """Source of ``_encode(self, payload, number, addresses, own) -> bytes``: header and payload.

        ``number`` is that of the next header, ``addresses`` the sum of the addresses of the enclosing IP header,
        ``own`` the sum of the header's own pair of addresses where the caller has it at hand.
        """
        lines = ["def _encode(self, payload, number, addresses, own=None):"]
        seldom = {
            info.name for part in self.layout.segments for run in self._runs(part) for info in _seldom(run)
        }
        lines += [
            f"    f_{info.name} = self.{info.name}" for info in self.layout.fields if info.name not in seldom
        ]
        lines.append("    try:")
        body = ["n = len(payload)"] if self._needs_length() else []
        body += [*self._encode_variable(), *self._derive(), *self._check_bytes(), *self._words()]
        joined = " + ".join([*self._parts(), "payload"])
        body += [*self._checksum_lines(joined), *self._return(joined)]
        lines += [f"        {line}" for line in body]
        lines += [
            "    except PACK_ERRORS as error:",
            "        values = {**self._values(), **locals()}",
            "        return retry(self, payload, number, addresses, values, error)",
        ]
        return lines

    def _return(self, joined: str) -> list[str]:
        if not self._only_options or not joined.startswith("pack0(") or joined.count("pack") > 1:
            return [f"return {joined}"]
        name = next(info.name for info in self.layout.fields if info.variable)
        short = joined.replace(f" + v_{name}", "")
        return [f"if v_{name}: return {joined}", f"return {short}"]

    def _needs_length(self) -> bool:
        """Whether anything depends on the payload's length."""
        rules = [info.derived for info in self.layout.fields]
        return any(
            (isinstance(rule, Length) and rule.of in ("payload", "packet"))
            or (isinstance(rule, Checksum) and rule.covers == "packet")
            for rule in rules
        )

    def _encode_variable(self) -> list[str]:
        """Lines that encode the variable fields and find the header's size."""
        lines = []
        sizes = [str(self.layout.size)]
        for info in self.layout.fields:
            if not info.variable:
                continue
            name = info.name
            if info.kind == "bytes":
                test = f"if type(f_{name}) is not bytes"
                lines.append(f"{test}: f_{name} = to_bytes(f_{name}, -1, NAME, {name!r})")
                lines.append(f"v_{name} = f_{name}")
            else:
                always = info.options is not None and info.options.lead  # none at all still needs padding
                if not always and self._only_options:
                    return [
                        f"if f_{name}:",
                        f"    v_{name} = _E_{name}(f_{name})",
                        f"    size = {self.layout.size} + len(v_{name})",
                        "else:",
                        f"    v_{name} = b''",
                        f"    size = {self.layout.size}",
                        *(f"    {line}" for line in self._known_count()),
                    ]
                guard = "" if always else f" if f_{name} else b''"
                lines.append(f"v_{name} = _E_{name}(f_{name}){guard}")
            if info.length_by is not None:
                lines += self._length_by(info)
            sizes.append(f"len(v_{name})")
        return [*lines, f"size = {' + '.join(sizes)}"] if len(sizes) > 1 else lines

    def _known_count(self) -> list[str]:
        """Lines that set the header length of a header without options, which need not be computed."""
        if self.header_length is None:
            return []
        name, rule = self.header_length.name, self.header_length.derived
        assert isinstance(rule, Length)
        return [f"if f_{name} is None: f_{name} = {self.layout.size // rule.unit + rule.bias}"]

    @property
    def _only_options(self) -> bool:
        """Whether the header's one variable field is a list of options up to its end."""
        variable = [info for info in self.layout.fields if info.variable]
        return len(variable) == 1 and variable[0].kind == "options" and variable[0].length_by is None

    def _length_by(self, info: FieldInfo) -> list[str]:
        """Lines that compute the length field of a variable field."""
        assert info.length_by is not None
        return self._count(info.length_by, self.length_rule(info.length_by), f"len(v_{info.name})", info.name)

    def _count(self, name: str, rule: Length, size: str, measured: str) -> list[str]:
        """Lines that set a length field that is None."""
        lines = [f"if f_{name} is None:"]
        if rule.unit > 1 and not (rule.of == "header" and self._padded(rule.unit)):
            lines.append(
                f"    if ({size}) % {rule.unit}: raise uneven(NAME, {measured!r}, {size}, {rule.unit})"
            )
        count = size if rule.unit == 1 else f"({size}) // {rule.unit}"
        lines.append(f"    f_{name} = {count}{f' + {rule.bias}' if rule.bias else ''}")
        return lines

    def _padded(self, unit: int) -> bool:
        """Whether the header's size is a multiple of ``unit`` whatever its options."""
        variable = [info for info in self.layout.fields if info.variable]
        pads = [info.options.pad for info in variable if info.options is not None]
        leads = [info.options.lead for info in variable if info.options is not None]
        fixed = self.layout.size - sum(leads)
        return len(pads) == len(variable) and fixed % unit == 0 and all(pad % unit == 0 for pad in pads)

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
                    "payload": "n",
                    "packet": f"{self._size} + n",
                }
                lines += self._count(name, rule, size[rule.of], rule.of)
            elif isinstance(rule, NextProtocol):
                lines.append(f"if f_{name} is None:")
                unknown = f"unknown_next(NAME, {name!r}, payload, {self.empty_next})"
                lines.append(f"    f_{name} = number if number is not None else {unknown}")
            elif isinstance(rule, Computed):
                given = "payload" if rule.payload_only else "self, payload"
                shift = f" >> {rule.shift}" if rule.shift else ""
                lines.append(f"if f_{name} is None: f_{name} = _F_{name}({given}){shift}")
        return lines

    def _check_bytes(self) -> list[str]:
        """Lines that catch bytes of the wrong number, which ``struct`` would cut or fill."""
        lines: list[str] = []
        pairs = dict(self._address_pairs())
        seconds = set(pairs.values())
        for info in self.layout.fields:
            name = info.name
            if name in pairs:
                first, second = f"f_{name}", f"f_{pairs[name]}"
                lines += [
                    f"a_{name} = {first} + {second}",
                    f"if len(a_{name}) != 8: raise TypeError('addresses to be converted')",
                ]
            elif name in seconds:
                continue
            elif info.kind in ("ip4", "ip6"):
                size = 4 if info.kind == "ip4" else 16
                # No text of an IPv4 address has 4 characters, but some of an IPv6 address have 16.
                test = f"len(f_{name}) != {size}" + (f" or type(f_{name}) is str" if size == 16 else "")
                lines.append(f"if {test}: f_{name} = to_ip(f_{name}, {size}, NAME, {name!r})")
            elif info.kind == "bytes" and not info.variable:
                size = (info.width or 0) // 8
                test = f"type(f_{name}) is not bytes or len(f_{name}) != {size}"
                lines.append(f"if {test}: f_{name} = to_bytes(f_{name}, {size}, NAME, {name!r})")
        return lines

    def _address_pairs(self) -> list[tuple[str, str]]:
        """IPv4 addresses next to each other, which are checked, summed and packed as one."""
        pairs: list[tuple[str, str]] = []
        for part in self.layout.segments:
            runs = part if isinstance(part, tuple) else ()
            for run, after in itertools.pairwise(runs):
                first, second = run.fields[0], after.fields[0]
                if first.kind == second.kind == "ip4" and not (pairs and pairs[-1][1] == first.name):
                    pairs.append((first.name, second.name))
        return pairs

    def _words(self) -> list[str]:
        """Lines that check the fields that share words, or fill none, and put the words together."""
        lines: list[str] = []
        for part in self.layout.segments:
            for run in self._runs(part):
                if self._is_word(run):
                    lines += self._word(run)
                elif run.fields[0].scale != 1:
                    name = run.fields[0].name
                    lines += [
                        f"if {self._misfit(run.fields)}: {_RAISE}",
                        f"f_{name} //= {run.fields[0].scale}",
                    ]
        return lines

    @staticmethod
    def _runs(part: tuple[Run, ...] | FieldInfo) -> tuple[Run, ...]:
        """The runs of a fixed part, a byte of bit fields joined with the byte before it to a 16-bit word."""
        if isinstance(part, FieldInfo):
            return ()
        runs: list[Run] = []
        place = 0
        for run in part:
            before = runs[-1] if runs else None
            if before is not None and before.size == run.size == 1 and place % 2 and len(run.fields) > 1:
                runs[-1] = Run(before.fields + run.fields, 2)
            else:
                runs.append(run)
            place += run.size
        return tuple(runs)

    def _word(self, run: Run) -> list[str]:
        """Lines that make a run's word ``w_<first field>``: fields that are 0 by default cost a test when they are."""
        name = f"w_{run.fields[0].name}"
        shift = run.size * 8
        base: list[str] = []
        extra: list[str] = []
        always: list[FieldInfo] = []
        seldom = _seldom(run)
        for info in run.fields:
            shift -= info.width or 0
            value = f"f_{info.name}" if info.scale == 1 else f"f_{info.name} // {info.scale}"
            term = f"{value} << {shift}" if shift else value
            # Too large a value at the top of a machine word is refused by struct.
            checked = info is run.fields[0] and run.size in (1, 2, 4, 8) and info.scale == 1
            if info in seldom:
                extra.append(term)
            else:
                base.append(term)
                always += [] if checked else [info]
        lines = [f"if {self._misfit(always)}: {_RAISE}"] if always else []
        lines.append(f"{name} = {' | '.join(base) or '0'}")
        if extra:
            lines += [
                f"if {' or '.join(f'self.{info.name}' for info in seldom)}:",
                *(f"    f_{info.name} = self.{info.name}" for info in seldom),
                f"    if {self._misfit(seldom)}: {_RAISE}",
                f"    {name} |= {' | '.join(extra)}",
            ]
        return lines

    @staticmethod
    def _misfit(fields: Iterable[FieldInfo]) -> str:
        """Expression that is true when a value does not fit; one test for all fields of a width."""
        tests: list[str] = []
        widths: dict[int, list[str]] = {}
        for info in fields:
            if info.scale == 1:
                widths.setdefault(info.width or 0, []).append(f"f_{info.name}")
            else:
                tests.append(f"f_{info.name} % {info.scale} or f_{info.name} // {info.scale} >> {info.width}")
        for width, names in widths.items():
            tests.append(f"({' | '.join(names)}) >> {width}" if len(names) > 1 else f"{names[0]} >> {width}")
        return " or ".join(tests)

    def _parts(self) -> list[str]:
        """Expressions of the header's parts, in order."""
        parts = []
        for index, part in enumerate(self.layout.segments):
            if isinstance(part, FieldInfo):
                parts.append(f"v_{part.name}")
                continue
            pieces = [piece for run in self._runs(part) for piece in self._pieces(run)]
            packer = struct.Struct("!" + "".join(code for code, _ in pieces))
            self.names[f"pack{index}"] = packer.pack
            parts.append(f"pack{index}({', '.join(value for _, value in pieces)})")
        return parts

    def _value(self, run: Run) -> str:
        """Expression of a run as one number, or as bytes where it is no number."""
        first = run.fields[0]
        if first.byteorder == "little":
            return f"int(f_{first.name}).to_bytes({run.size}, 'little')"
        return f"w_{first.name}" if self._is_word(run) else f"f_{first.name}"

    @staticmethod
    def _is_word(run: Run) -> bool:
        """Whether the run needs a number of its own: bit fields, and numbers of 3, 5, 6 or 7 bytes."""
        plain = run.fields[0].kind not in ("bytes", "ip4", "ip6")
        return len(run.fields) > 1 or (plain and run.size not in (1, 2, 4, 8))

    def _pieces(self, run: Run) -> list[tuple[str, str]]:
        """Struct codes of a run with the expressions packed into them."""
        first, value = run.fields[0], self._value(run)
        pairs = dict(self._address_pairs())
        if first.name in pairs:
            return [("8s", f"a_{first.name}")]
        if first.name in pairs.values():
            return []
        if first.kind in ("bytes", "ip4", "ip6") or first.byteorder == "little":
            return [(f"{run.size}s", value)]
        split = machine_words(run.size * 8)
        if len(split) == 1:
            return [(WORDS[split[0][1]], value)]
        return [(WORDS[bits], f"{value} >> {shift} & {(1 << bits) - 1:#x}") for shift, bits in split]

    def _checksum_lines(self, joined: str) -> list[str]:
        """Lines that compute the checksum field when it is None."""
        if self.checksum is None:
            return []
        name, rule = self.checksum.name, self.checksum.derived
        assert isinstance(rule, Checksum)
        # One-complement arithmetic has two zeros: an all-zero sum stays 0 (checksum 0xffff), any other is 0xffff.
        result = "(total % 65535 or 65535) ^ 65535"
        if rule.zero == "absent":
            result = "total % 65535 ^ 65535"
        elif not rule.pseudo and not any(info.constant for info in self.layout.fields):
            result += " if total else 65535"
        lines = []
        if self._summable(rule):
            lines.append(f"total = {' + '.join(filter(None, self._sum_terms(rule)))}")
            if self._only_options:
                options = next(info.name for info in self.layout.fields if info.variable)
                lines.append(f"if v_{options}: total += fb(v_{options})")
            lines += self._payload_sum(rule)
        else:
            lines.append(f"f_{name} = 0")
            covered_part = f"({joined})" if rule.covers == "packet" else f"({' + '.join(self._parts())})"
            pseudo = f", {self._pseudo()}" if rule.pseudo else ""
            lines.append(f"total = ocsum({covered_part}{pseudo})")
        lines.append(f"f_{name} = {result}")
        if rule.pseudo:
            # Without an IP header around there is nothing to compute from: 0, as for "none".
            lines = [f"f_{name} = 0", "if addresses is not None:", *(f"    {line}" for line in lines)]
        return [f"if f_{name} is None:", *(f"    {line}" for line in lines)]

    def _pseudo(self) -> str:
        """The sum of the pseudo header."""
        if self._size != "size":
            return f"addresses + {(self.protocol or 0) + self.layout.size} + n"
        return f"addresses + {self.protocol} + size + n"

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
        terms = [self._pseudo()] if rule.pseudo else []
        end = 0
        pairs = dict(self._address_pairs())
        for part in self.layout.segments:
            if isinstance(part, FieldInfo):
                terms.append("" if self._only_options else f"fb(v_{part.name})")
                continue
            addresses: list[str] = []
            for run in self._runs(part):
                end += run.size * 8
                first, value = run.fields[0], self._value(run)
                if first is self.checksum:
                    continue
                if first.name in pairs:
                    terms.append(
                        f"(fb(a_{first.name}) if own is None else own)"
                        if end % 16 == 0
                        else f"(fb(a_{first.name}) << 8)"
                    )
                    continue
                if first.name in pairs.values():
                    continue
                if first.kind in ("ip4", "ip6") and end % 16 == 0:
                    addresses.append(value)  # of even size: summed together, in one conversion
                    continue
                if first.kind in ("bytes", "ip4", "ip6") or first.byteorder == "little":
                    value = f"fb({value})"
                shift = -end % 16
                terms.append(f"({value} << {shift})" if shift else value)
            if addresses:
                terms.append(f"fb({' + '.join(addresses)})")
        return terms

    @staticmethod
    def _payload_sum(rule: Checksum) -> list[str]:
        if rule.covers != "packet":
            return []
        return [
            "if n > 512: total += ocsum(payload)",
            "elif n & 1: total += fb(payload) << 8",
            "else: total += fb(payload)",
        ]
