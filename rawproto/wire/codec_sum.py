"""The checksum in ``_encode``: the sum of the expressions that are packed, each shifted to its place in a word."""

from __future__ import annotations

from rawproto.wire.codec_pack import PackWriter
from rawproto.wire.field import Checksum, FieldInfo, Spec

__all__ = ["SumWriter"]


class SumWriter(PackWriter):
    """Writes the lines that compute the Internet checksum, and the sum of addresses that two headers share."""

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
        if rule.pseudo and self.protocol is None:
            lines.append(f"raise unbound(NAME, {name!r})")
        elif self._summable(rule):
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
        assert self.protocol is not None
        if self._size != "size":
            return f"{self.protocol + self.layout.size} + n + addresses"
        return f"{self.protocol} + size + n + addresses"

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
                elif isinstance(part.element, Spec):
                    unit = (part.element.width or 8) // 8
                even = unit % 2 == 0
            else:
                even = sum(run.size for run in part) % 2 == 0
        return even or rule.covers == "header"

    def _sum_terms(self, rule: Checksum) -> list[str]:
        """The packed expressions, each shifted to its place in a 16-bit word; what is long comes last."""
        terms: list[str] = []
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
                        "pair"
                        if first.name == self._summed_early
                        else f"fb(a_{first.name})"
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
        return [*terms, self._pseudo()] if rule.pseudo else terms

    @staticmethod
    def _payload_sum(rule: Checksum) -> list[str]:
        if rule.covers != "packet":
            return []
        return [
            "if n <= 512 and not n & 1: total += fb(payload)",
            "elif n > 512: total += ocsum(payload)",
            "else: total += fb(payload) << 8",
        ]

    def _encode_inner(self) -> list[str]:
        """Lines that put the header inside before the payload."""
        first = self._summed_early
        if first is None:
            return []
        return [
            *self._join_pair(first, dict(self._address_pairs())[first]),
            f"pair = fb(a_{first})",
            "if inner is not None:",
            "    payload = inner._encode(payload, None, pair)",
            "    number = inner.protocol_number",
        ]
