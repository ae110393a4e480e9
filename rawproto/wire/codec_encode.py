"""Source of ``_encode``: fill the derived fields that are None, check, pack once."""

from __future__ import annotations

from rawproto.wire.codec_pack import seldom_set
from rawproto.wire.codec_sum import SumWriter
from rawproto.wire.field import Checksum, Computed, FieldInfo, Length, NextProtocol

__all__ = ["EncodeWriter"]


class EncodeWriter(SumWriter):
    """Writes ``_encode``."""

    def lines(self) -> list[str]:
        """Source of ``_encode(self, payload, number, addresses, inner) -> bytes``: header and payload.

        ``number`` is that of the next header, ``addresses`` the sum of the addresses of the enclosing IP header.
        Headers with a pair of addresses also take the one header inside, whose payload it then is: the sum of the
        pair is made once for both. They return None where only the general way will do.
        """
        lines = ["def _encode(self, payload, number, addresses, inner=None):"]
        seldom = {
            info.name for part in self.layout.segments for run in self._runs(part) for info in seldom_set(run)
        }
        lines += [
            f"    f_{info.name} = self.{info.name}" for info in self.layout.fields if info.name not in seldom
        ]
        lines.append("    try:")
        body = self._encode_inner()
        body += ["n = len(payload)"] if self._needs_length() else []
        body += [*self._encode_variable(), *self._derive(), *self._check_bytes(), *self._words()]
        joined = " + ".join([*self._parts(), "payload"])
        body += [*self._checksum_lines(joined), *self._return(joined)]
        lines += [f"        {line}" for line in body]
        lines += [
            "    except PACK_ERRORS as error:",
            *(["        if inner is not None: return None"] if self._address_pairs() else []),
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
