"""What ``_encode`` packs: bit fields joined to machine words, checked, and the expressions given to ``struct``."""

from __future__ import annotations

import itertools
import struct
from typing import TYPE_CHECKING

from rawproto.wire.codec_base import WORDS, Writer, machine_words
from rawproto.wire.field import FieldInfo
from rawproto.wire.layout import Run

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["PackWriter", "seldom_set"]

_RAISE = "raise refuse(type(self), {**self._values(), **locals()})"


def seldom_set(run: Run) -> list[FieldInfo]:
    """The bit fields of a run that are 0 unless something is said: looked at only when they are not."""
    if len(run.fields) == 1:
        return []
    return [info for info in run.fields if info.default in (0, False) and info.derived is None]


class PackWriter(Writer):
    """Writes the lines that check fields and put words together, and the calls that pack them."""

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

    def _word(self, run: Run) -> list[str]:
        """Lines that make a run's word ``w_<first field>``: fields that are 0 by default cost a test when they are."""
        name = f"w_{run.fields[0].name}"
        shift = run.size * 8
        base: list[str] = []
        extra: list[str] = []
        always: list[FieldInfo] = []
        seldom = seldom_set(run)
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

    def _check_bytes(self) -> list[str]:
        """Lines that catch bytes of the wrong number, which ``struct`` would cut or fill."""
        lines: list[str] = []
        pairs = dict(self._address_pairs())
        seconds = set(pairs.values())
        for info in self.layout.fields:
            name = info.name
            if name in pairs:
                lines += [] if self._summed_early == name else self._join_pair(name, pairs[name])
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

    @staticmethod
    def _join_pair(first: str, second: str) -> list[str]:
        """Lines that make one piece of bytes of a pair of addresses."""
        return [
            f"a_{first} = f_{first} + f_{second}",
            f"if len(a_{first}) != 8: raise TypeError('addresses to be converted')",
        ]

    @property
    def _only_options(self) -> bool:
        """Whether the header's one variable field is a list of options up to its end."""
        variable = [info for info in self.layout.fields if info.variable]
        return len(variable) == 1 and variable[0].kind == "options" and variable[0].length_by is None

    @property
    def _size(self) -> str:
        return "size" if any(info.variable for info in self.layout.fields) else str(self.layout.size)

    @property
    def _summed_early(self) -> str | None:
        """The first address of the pair whose sum serves the header inside too; None for headers without."""
        first = next((first for first, _ in self._address_pairs()), None)
        place = next((info.offset for info in self.layout.fields if info.name == first), None)
        return first if place is not None and place % 16 == 0 else None
