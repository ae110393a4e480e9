"""``Header``: the base of every declared header."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, ClassVar

from rawproto.errors import EncodeError
from rawproto.wire import registry
from rawproto.wire.field import Computed, Length, NextProtocol
from rawproto.wire.flags import Flags
from rawproto.wire.meta import HeaderMeta

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from rawproto.wire.datagram import Datagram

__all__ = ["Header"]


class Header(metaclass=HeaderMeta):
    """Base of every header: a value with named fields that knows its bytes.

    Subclass it with annotated fields (:mod:`rawproto.wire.types` lists the types)::

        class Probe(Header, protocol=253):
            kind: u8
            flags: flags8("SYN", "ACK")
            check: checksum16
            seq: u32 = 0

    Fields are plain attributes. A derived field (a length, checksum or next protocol) is None for "compute when
    built", or a number that is sent as it is, even if wrong. Building never changes the header.

    A header made by :meth:`parse` has the numbers that came. Unchanged, it builds to the very bytes that came. Once
    another field is changed (by assignment or :meth:`replace`), its derived fields are computed again, for the
    payload it came with or the one it is joined to; derived fields that were themselves changed or given to
    :meth:`replace` stay as given.

    Class attributes: ``fields``, ``views``, ``size``, ``protocol_number``; see :mod:`rawproto.wire.field`.
    """

    # (buffer, start, end of header, end of payload, names pinned by replace) of a received header, else None.
    _origin: ClassVar[tuple[bytes, int, int, int, tuple[str, ...]] | None]
    # For headers that carry addresses: (header, addresses so far) -> source + final destination, for pseudo headers.
    _addresses: ClassVar[Any] = None
    # Whether, without options, these addresses are just the header's own pair, which its checksum sums too: its
    # _encode then takes the header inside, too.
    _own_pair: ClassVar[bool] = False

    # For bases that parse into one of several subclasses: which one the bytes ask for, and which takes the rest.
    _choose: ClassVar[Any] = None
    _other: ClassVar[Any] = None

    protocol_number: ClassVar[int | None]

    if TYPE_CHECKING:

        def _encode(
            self, payload: bytes, number: int | None, addresses: int | None, inner: Header | None = None
        ) -> bytes: ...

        @staticmethod
        def _decode(buffer: bytes, start: int, end: int, quoted: bool = False) -> Any: ...

    # -- bytes -------------------------------------------------------------------------------------------------

    @classmethod
    def parse(cls, buffer: Any) -> tuple[Self, bytes]:
        """The header at the start of ``buffer`` (bytes-like) and the payload behind it.

        Where the header tells its packet's length, the payload ends there.

        Raises:
            DecodeError: the bytes are no such header; names the field and its offset. Nothing else is raised.
        """
        if type(buffer) is not bytes:
            buffer = bytes(buffer)
        header: Self = cls._decode(buffer, 0, len(buffer))
        origin: Any = header._origin
        return header, buffer[origin[2] : origin[3]]

    def __bytes__(self) -> bytes:
        """The header's bytes, its options included, without payload.

        Raises:
            EncodeError: a value does not fit its field.
        """
        if self._origin is None:
            return self._encode(b"", None, None)
        buffer, start, finish, stop, _ = self._origin
        if self._untouched:
            return buffer[start:finish]
        payload = buffer[finish:stop]
        whole = self._released()._encode(payload, None, None)
        return whole[: len(whole) - len(payload)]

    def __len__(self) -> int:
        return len(bytes(self))

    @property
    def _untouched(self) -> bool:
        """Whether the header was received and no field was changed since."""
        return self._origin is not None and self._values() == self._received()._values()

    def _received(self) -> Self:
        """A fresh header decoded from the bytes this one came from."""
        assert self._origin is not None
        buffer, start, _, stop, _ = self._origin
        fresh: Self = type(self)._decode(buffer, start, stop, True)
        return fresh

    def _released(self, *, keep_next: bool = True) -> Self:
        """A copy free of the bytes it was received from: derived fields not changed since are None again.

        Args:
            keep_next: leave the next-protocol number as received, for want of a header that tells it.
        """
        values = self._values()
        if self._origin is not None:
            pinned = self._origin[4]
            came = self._received()
            for info in type(self).fields:
                name, rule = info.name, info.derived
                if rule is None or name in pinned or values[name] != getattr(came, name):
                    continue
                if isinstance(rule, NextProtocol) and keep_next:
                    continue
                if not (isinstance(rule, Computed) and rule.initial):
                    values[name] = None
        return self._with(values, None)

    def _following(self) -> Any:
        """The class of the header behind this one, as its next-protocol field tells, or None."""
        name = type(self)._next_field
        return None if name is None else registry.HEADERS[getattr(self, name)]

    def _values(self) -> dict[str, Any]:
        return {info.name: getattr(self, info.name) for info in type(self).fields}

    def _with(self, values: Mapping[str, Any], origin: Any) -> Self:
        """A header of this type with values that need no conversion."""
        copy = object.__new__(type(self))
        for name, value in values.items():
            setattr(copy, name, value)
        copy._origin = origin  # type: ignore[misc]
        return copy

    # -- values ------------------------------------------------------------------------------------------------

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed; a derived field given here is sent as given, even if wrong.

        Raises:
            TypeError: no such field.
            EncodeError: a value does not fit its field.
        """
        copy = type(self)(**{**self._values(), **changes})
        if self._origin is not None:
            buffer, start, finish, stop, pinned = self._origin
            copy._origin = (buffer, start, finish, stop, (*pinned, *changes))  # type: ignore[misc]
        return copy

    def __eq__(self, other: object) -> bool:
        """Equal type and equal fields, or equal bytes: a field to be computed equals what it will be."""
        if type(other) is not type(self):
            return NotImplemented
        if self._values() == other._values():
            return True
        try:
            return bytes(self) == bytes(other)
        except EncodeError:
            return False

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = []
        for info in type(self).fields:
            value = getattr(self, info.name)
            if value is None or (not info.required and value == info.default):
                continue
            if self._origin is not None and isinstance(info.derived, Length) and info.derived.of != "packet":
                continue  # parsing has found it consistent with what is shown
            text = str(value) if info.kind in ("enum", "flags") else repr(value)
            shown.append(f"{info.name}={text}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Flag types made by a declaration have no importable name: their values travel as numbers.
        values = [int(value) if isinstance(value, Flags) else value for value in self._values().values()]
        return _restore, (type(self), tuple(values), self._origin)

    def __truediv__(self, other: Any) -> Datagram:
        """``header / payload``: a :class:`Datagram` of the header and what follows: a header, datagram or bytes."""
        # The datagram module puts its own function in this place when it is loaded.
        from rawproto.wire.datagram import join

        return join((self,), other)

    def verify(self) -> list[str]:
        """What is wrong with the header: one sentence a derived field that is not what a build would make it.

        A header that was received is judged with the payload it came with. What only an enclosing header can tell
        (a checksum with a pseudo header) is judged by :meth:`Datagram.verify`.
        """
        from rawproto.wire.verify import verify_header

        return verify_header(self)

    # -- exports -----------------------------------------------------------------------------------------------

    @classmethod
    def codec_source(cls) -> str:
        """The Python source of the compiled codec, to look at."""
        cls._compile()
        return cls._source

    @classmethod
    def diagram(cls) -> str:
        """The header drawn as in RFCs, 32 bits a row."""
        text: str = _export("diagram", "diagram")(cls)
        return text

    @classmethod
    def wireshark_lua(cls, **choices: Any) -> str:
        """A Wireshark dissector for the header, in Lua.

        It registers for the header's IP protocol number; ``udp_port=`` and more are those of
        :func:`rawproto.wire.export.lua.dissector`.
        """
        text: str = _export("lua", "dissector")(cls, **choices)
        return text

    @classmethod
    def to_scapy(cls) -> Any:
        """A scapy ``Packet`` class with the same fields, bound to IP by the protocol number."""
        return _export("scapy_layer", "layer")(cls)

    @classmethod
    def strategy(cls) -> Any:
        """A hypothesis strategy of headers of this type."""
        return _export("strategies", "strategy")(cls)

    @classmethod
    def filter(cls, /, **fields: Any) -> Any:
        """A classic BPF program that accepts packets whose fields have the values given."""
        return _export("filters", "compile_filter")(cls, fields)


def _export(module: str, function: str) -> Any:
    """A function of the exports, which are loaded when they are first asked for."""
    return getattr(importlib.import_module(f"rawproto.wire.export.{module}"), function)


def _restore(cls: type[Header], values: tuple[Any, ...], origin: Any) -> Header:
    """Unpickle."""
    header = object.__new__(cls)
    for info, value in zip(cls.fields, values, strict=True):
        setattr(header, info.name, value if info.flags is None else info.flags(value))
    header._origin = origin  # type: ignore[misc]
    return header
