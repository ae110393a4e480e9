"""Options as type-length-value lists: one format a protocol, one small header class an option.

An option is a :class:`Header` whose first fields are its kind and length. A protocol declares a base class with
these and a class for each kind; the class keyword fixes the kind::

    class LongOption(TCPOption): length: ...
    class MSS(LongOption, kind=2): mss: u16

:class:`OptionFormat` joins them: it finds the class of a kind, keeps what it does not know (or what does not fit its
class) as the format's raw class, and pads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rawproto.errors import DecodeError, EncodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["OptionFormat"]


class OptionFormat:
    """How the options of one protocol follow each other.

    Args:
        name: of the protocol's options, for messages.
        raw: Header class of options without a class of their own: a kind, a length and ``data``.
        single: kinds that are one byte, without length.
        unit: bytes a count of the length byte.
        bias: number on the wire = bytes / unit + bias (IPv6 does not count kind and length: -2).
        pad: the whole list fills a multiple of this many bytes...
        lead: ...together with this many bytes before it.
        filler: gives so many bytes of padding, of a form the protocol skips.
        end: kind after which nothing more is read (end of option list), or None.
        padding: kinds that only pad.
    """

    def __init__(
        self,
        name: str,
        raw: type[Any],
        *,
        single: frozenset[int] = frozenset(),
        unit: int = 1,
        bias: int = 0,
        pad: int = 4,
        lead: int = 0,
        filler: Callable[[int], bytes] = bytes,
        end: int | None = None,
        padding: frozenset[int] = frozenset(),
    ) -> None:
        self.name = name
        self.raw = raw
        self.single = single
        self.unit = unit
        self.bias = bias
        self.pad = pad
        self.lead = lead
        self.filler = filler
        self.end = end
        self.padding = padding
        self.classes: dict[int, Any] = {}

    def add(self, *classes: Any) -> None:
        """Know option classes by the kind they are fixed to."""
        for cls in classes:
            self.classes[cls.fields[0].constant] = cls

    def convert(self, value: Any, header: str, field: str) -> tuple[Any, ...]:
        """What the user gave, as the tuple a field holds: options, and bytes that are sent as they are."""
        if isinstance(value, (bytes, bytearray, memoryview)):
            return (bytes(value),) if len(value) else ()
        try:
            items = tuple(value)
        except TypeError:
            raise EncodeError(f"{value!r} is no sequence of options", header, field) from None
        for item in items:
            if not (isinstance(item, bytes) or hasattr(item, "_decode")):  # a header: its class stands above
                raise EncodeError(f"{item!r} is neither an option nor bytes", header, field)
        return items

    def encode(self, items: Iterable[Any]) -> bytes:
        """The options' bytes, each at its alignment, padded."""
        parts: list[bytes] = []
        size = self.lead
        for item in items:
            unit, remainder = getattr(item, "alignment", (1, 0))
            if gap := (remainder - size) % unit:
                parts.append(self.filler(gap))
            parts.append(bytes(item))
            size += gap + len(parts[-1])
        if gap := -size % self.pad:
            parts.append(self.filler(gap))
        return b"".join(parts)

    def decode(
        self, buffer: bytes, position: int, until: int, start: int, header: str, field: str
    ) -> tuple[Any, ...]:
        """The options in ``buffer[position:until]``; padding that a build adds by itself is left out.

        Raises:
            DecodeError: an option's length is impossible.
        """
        items: list[Any] = []
        first = position
        padded = False
        while position < until:
            kind = buffer[position]
            if kind == self.end:
                # What follows the end of the list is no option: padding, and whatever else was put there.
                items.append(self.classes[kind]._decode(buffer, position, until))
                padded = True
                break
            if kind in self.single:
                finish = position + 1
            else:
                finish = position + self._length(buffer, position, until, start, header, field)
            items.append(self._option(kind, buffer, position, finish))
            padded |= kind in self.padding
            position = finish
        if padded:
            bare = [item for item in items if self._code(item) not in {*self.padding, self.end}]
            if self.encode(bare) == buffer[first:until]:
                return tuple(bare)
        return tuple(items)

    @staticmethod
    def _code(item: Any) -> int:
        """An option's kind: its first field, whatever the protocol calls it."""
        return int(getattr(item, type(item).fields[0].name))

    def _length(self, buffer: bytes, position: int, until: int, start: int, header: str, field: str) -> int:
        """Bytes of the option at ``position``."""
        if position + 2 > until:
            reason = f"option {buffer[position]} has no length byte"
            raise DecodeError(reason, header, field, position - start)
        size = (buffer[position + 1] - self.bias) * self.unit
        if size < 2:
            reason = f"option {buffer[position]} says {size} bytes, 2 is the least"
        elif size > until - position:
            reason = f"option {buffer[position]} says {size} bytes, {until - position} are left"
        else:
            return size
        raise DecodeError(reason, header, field, position + 1 - start)

    def _option(self, kind: int, buffer: bytes, position: int, finish: int) -> Any:
        """The option as its own class, or raw when it has none or does not fit it."""
        cls = self.classes.get(kind)
        if cls is not None:
            try:
                return cls._decode(buffer, position, finish)
            except DecodeError:
                pass
        return self.raw._decode(buffer, position, finish)
