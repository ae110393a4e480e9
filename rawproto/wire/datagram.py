"""``Datagram``: headers one inside the other, and the payload of the innermost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from rawproto.errors import DecodeError
from rawproto.wire.header import Header, _export
from rawproto.wire.meta import HeaderMeta
from rawproto.wire.registry import HEADERS, is_declared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from rawproto.wire.icmp_extensions import ICMPExtensions

__all__ = ["Datagram"]

H = TypeVar("H", bound=Header)

# More headers than this in one packet are taken as payload: bounds the work for packets of tunnels in tunnels.
MAX_HEADERS = 64

_new = object.__new__
_from_bytes = int.from_bytes


class Datagram:
    """Headers from the outermost in, and a payload: ``IPv4(...) / UDP(...) / b"data"``.

    Attributes:
        headers: tuple of headers.
        payload: bytes behind the innermost header.
    """

    __slots__ = ("_received", "headers", "payload")

    def __init__(self, headers: tuple[Header, ...] = (), payload: bytes = b"") -> None:
        self.headers = headers
        self.payload = payload
        # What came: buffer, offset and end of the first header in it, end of its payload; as in Header._origin.
        self._received: tuple[bytes, int, int, int, tuple[str, ...]] | None = None

    def __truediv__(self, other: Any) -> Datagram:
        """``datagram / payload``; TypeError behind a payload of bytes, which nothing can follow."""
        if self.payload:
            raise TypeError("nothing can follow a payload of bytes")
        if type(other) is bytes:
            joined = _new(Datagram)
            joined.headers, joined.payload, joined._received = self.headers, other, None
            return joined
        return join(self.headers, other)

    # -- building ----------------------------------------------------------------------------------------------

    def __bytes__(self) -> bytes:
        """The datagram with every derived field that is None computed.

        A received datagram of which nothing was changed gives the very bytes that came.

        Raises:
            EncodeError: a value does not fit its field.
        """
        headers = self.headers
        if self._received is not None and all(header._untouched for header in headers):
            return self._received[0][: self._received[3]]
        if len(headers) == 2:
            # The common case, without the bookkeeping; what it cannot do, the general way does or refuses.
            outer, inner = headers
            simple = outer._origin is None and inner._origin is None and outer._own_pair
            if simple and not outer.options:  # type: ignore[attr-defined]
                whole: bytes | None = outer._encode(self.payload, None, None, inner)
                if whole is not None:
                    return whole
        return self._build()

    def _build(self) -> bytes:
        """Header by header, from the inside out."""
        addresses: bytes | None = None
        contexts = []
        for header in self.headers:
            contexts.append(addresses)
            rule = header._addresses
            if rule is not None:
                before = addresses
                try:
                    addresses = rule(header, before)
                except TypeError:
                    addresses = None
                if not isinstance(addresses, bytes):
                    # Addresses that were assigned as text: take them as the constructor would.
                    addresses = rule(header.replace(), before)
        data = self.payload
        number: int | None = None
        for header in reversed(self.headers):
            if header._origin is not None:
                header = header._released(keep_next=number is None)
            known = contexts.pop()
            data = header._encode(data, number, None if known is None else _from_bytes(known))
            number = header.protocol_number
        return data

    def __len__(self) -> int:
        return len(bytes(self))

    # -- parsing -----------------------------------------------------------------------------------------------

    @classmethod
    def parse(cls, buffer: Any, first: type[Header] | None = None, *, quoted: bool = False) -> Self:
        """The headers of an IP datagram, as far as they are known, and the payload.

        Args:
            buffer: bytes-like, starting at the IP header.
            first: type of the first header; by default IPv4 or IPv6, as the version tells.
                A header declared with ``protocol=`` is read where its number stands, unless the bytes do not fit it:
                numbers for experiments are shared, so these are then left as payload.
            quoted: the datagram may be cut off, as those quoted in ICMP errors are.

        Raises:
            DecodeError: a header is broken; names it, the field, and the offset in that header.
        """
        data = buffer if type(buffer) is bytes else bytes(buffer)
        if first is None:
            first = HEADERS[4] if data and data[0] >> 4 == 4 else _ip_header(data)
        header = first._decode(data, 0, len(data), quoted)
        whole = _new(cls)
        whole._received = _, _, start, end, _ = header._origin
        following = header._following
        kind = None if following is None else following()
        # The second header is read here and not in the loop: most packets have two, and need no list.
        if kind is not None:
            try:
                inner = kind._decode(data, start, end, quoted)
            except DecodeError:
                if not quoted and not is_declared(kind):
                    raise
            else:
                _, _, start, end, _ = inner._origin
                whole.headers = (header, inner)
                if inner._following is not None:
                    start, end = whole._read_on(data, inner, quoted)
                whole.payload = data[start:end]
                return whole
        whole.headers = (header,)
        whole.payload = data[start:end]
        return whole

    def _read_on(self, data: bytes, header: Any, quoted: bool) -> tuple[int, int]:
        """Add the headers behind ``header``, the last so far; returns where the payload starts and ends."""
        headers = list(self.headers)
        _, _, start, end, _ = header._origin
        while header._following is not None and len(headers) < MAX_HEADERS:
            kind = header._following()
            if kind is None:
                break
            try:
                header = kind._decode(data, start, end, quoted)
            except DecodeError:
                if quoted or is_declared(kind):
                    break
                raise
            _, _, start, end, _ = header._origin
            headers.append(header)
        self.headers = tuple(headers)
        return start, end

    @property
    def trailer(self) -> bytes:
        """Bytes behind the end of a received datagram, such as Ethernet padding; not part of it."""
        return b"" if self._received is None else self._received[0][self._received[3] :]

    # -- access ------------------------------------------------------------------------------------------------

    @overload
    def __getitem__(self, key: type[H]) -> H: ...
    @overload
    def __getitem__(self, key: int) -> Header: ...
    def __getitem__(self, key: Any) -> Any:
        """The first header of a type, or the header at an index; KeyError or IndexError when there is none."""
        for header in self.headers:
            if type(header) is key:
                return header
        if isinstance(key, int):
            return self.headers[key]
        for header in self.headers:
            if isinstance(header, key):
                return header
        names = " / ".join(type(header).__name__ for header in self.headers)
        raise KeyError(f"no {getattr(key, '__name__', key)} in {names or 'an empty datagram'}")

    def get(self, key: type[H]) -> H | None:
        """The first header of a type, or None."""
        return next((header for header in self.headers if isinstance(header, key)), None)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, type) and any(isinstance(header, key) for header in self.headers)

    def __iter__(self) -> Iterator[Header]:
        return iter(self.headers)

    def replace(self, *headers: Header, payload: bytes | None = None) -> Datagram:
        """A copy in which each of ``headers`` takes the place of the first one of its type.

        Raises:
            KeyError: there is no header of that type.
        """
        stack = list(self.headers)
        for new in headers:
            stack[self.headers.index(self[type(new)])] = new
        return Datagram(tuple(stack), self.payload if payload is None else payload)

    @property
    def quoted(self) -> Datagram | None:
        """The datagram that an ICMP error quotes, as far as it was quoted; None when there is none to read.

        It may be cut off anywhere: headers that are not whole are left in its payload.
        """
        from rawproto.wire.icmp_extensions import quote_of

        quote: Datagram | None = quote_of(self)
        return quote

    @property
    def extensions(self) -> ICMPExtensions | None:
        """The extensions of an ICMP error, such as MPLS labels (RFC 4884), or None."""
        from rawproto.wire.icmp_extensions import extensions_of

        return extensions_of(self)

    def verify(self) -> list[str]:
        """What is wrong: one sentence a derived field that is not what a build would make it."""
        from rawproto.wire.verify import verify_datagram

        return verify_datagram(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Datagram):
            return NotImplemented
        return self.headers == other.headers and self.payload == other.payload

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        parts = [repr(header) for header in self.headers]
        if self.payload:
            parts.append(repr(self.payload))
        return " / ".join(parts) or "Datagram()"

    def to_scapy(self) -> Any:
        """The same datagram as a scapy packet (scapy must be installed)."""
        return _export("scapy_layer", "datagram_to_scapy")(self)

    @classmethod
    def from_scapy(cls, packet: Any) -> Self:
        """The datagram of a scapy packet whose first layer is IP or IPv6 (or holds one)."""
        return cls.parse(_export("scapy_layer", "ip_bytes")(packet))


def join(headers: tuple[Header, ...], other: Any) -> Datagram:
    """``headers`` with a header, a datagram or bytes behind them.

    Raises:
        TypeError: ``other`` is none of these.
    """
    joined = _new(Datagram)
    joined._received = None
    if type(other) is bytes:
        joined.headers, joined.payload = headers, other
    elif type(type(other)) is HeaderMeta:
        joined.headers, joined.payload = (*headers, other), b""
    elif isinstance(other, Datagram):
        joined.headers, joined.payload = headers + other.headers, other.payload
    elif isinstance(other, (bytearray, memoryview)):
        joined.headers, joined.payload = headers, bytes(other)
    else:
        raise TypeError(f"a header, a datagram or bytes can follow a header, not {type(other).__name__}")
    return joined


def _over(header: Header, other: Any) -> Datagram:
    """:func:`join` of one header, its two common cases without a further call."""
    if type(other) is bytes:
        joined = _new(Datagram)
        joined.headers, joined.payload = (header,), other
    elif type(type(other)) is HeaderMeta:
        joined = _new(Datagram)
        joined.headers, joined.payload = (header, other), b""
    else:
        return join((header,), other)
    joined._received = None
    return joined


Header.__truediv__ = _over  # type: ignore[method-assign]


def _ip_header(data: bytes) -> Any:
    """The IP header class that the first byte asks for, where it is not IPv4."""
    version = data[0] >> 4 if data else 0
    if version == 6:
        return HEADERS[41]
    reason = "the datagram is empty" if not data else f"is {version}, must be 4 or 6"
    raise DecodeError(reason, "Datagram", "version", 0)
