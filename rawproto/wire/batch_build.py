"""Building batches: a template header, payloads, and the fields that differ, a whole column at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rawproto.errors import EncodeError
from rawproto.wire.address import to_ip
from rawproto.wire.batch import Batch
from rawproto.wire.batch_sums import as_rows, complement, native_sum, row_sums, swap_halves
from rawproto.wire.datagram import Datagram
from rawproto.wire.dtype import column_of
from rawproto.wire.field import Checksum, Computed, Length, NextProtocol
from rawproto.wire.runtime import check_value, unbound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rawproto.wire.field import FieldInfo
    from rawproto.wire.header import Header

__all__ = ["build_batch"]


def build_batch(header: Header | Datagram, payloads: Any, **columns: Any) -> Batch:
    """Datagrams that differ in payload and in some fields, built whole arrays at a time.

    Args:
        header: a header, or several as in ``IPv4(...) / UDP(...)``: the values all datagrams share.
        payloads: a sequence of bytes-likes, or a uint8 array (n, w) of rows, which is not copied.
        columns: field name to a value for each datagram: an integer array (n,), or for addresses a sequence of
            them or a uint8 array (n, 4 or 16). Where two headers have the field, the innermost is meant; any is
            by its class as prefix: ``ipv4_checksum``. Only fields before the header's first variable field.

    Returns:
        A batch whose heads are the headers and whose tails are the payloads. Derived fields that are None are
        computed for each datagram as ``bytes(header / payload)`` does, except that ``ident`` of IPv4 counts up from
        the first datagram's.

    Raises:
        EncodeError: a value does not fit its field, or a column has not one value a payload.
    """
    stack = header.headers if isinstance(header, Datagram) else (header,)
    if isinstance(header, Datagram) and header.payload:
        raise EncodeError("a template has no payload of its own; pass it in payloads", "Datagram", "payload")
    tail, starts, lengths, size = _flat(payloads)
    plan = _Plan(stack, tail, starts, lengths, size)
    given = plan.fill(columns)
    plan.derive(given)
    return Batch(plan.rows, None, tail, starts, lengths)


def _flat(payloads: Any) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64], int | None]:
    """Payloads as one flat buffer with starts and lengths, and the length of all where they have but one."""
    if isinstance(payloads, np.ndarray):
        if payloads.ndim != 2 or payloads.dtype != np.uint8:
            raise EncodeError(f"an array of payloads is uint8 (n, w), not {payloads.dtype} {payloads.shape}")
        count, width = payloads.shape
        flat = np.ascontiguousarray(payloads).reshape(-1)
        return flat, *_even(count, width), width
    try:
        flat = np.frombuffer(b"".join(payloads), dtype=np.uint8)
        sizes = list(map(len, payloads))
        count = len(sizes)
        # The commonest list has one size throughout: counting it is faster than an array of all sizes.
        if count and sizes.count(sizes[0]) == count and sizes[0] * count == len(flat):
            return flat, *_even(count, sizes[0]), sizes[0]
        if sum(sizes) != len(flat):  # a view of items wider than a byte has another len
            sizes = [memoryview(payload).nbytes for payload in payloads]
    except TypeError:
        raise EncodeError("payloads are a sequence of bytes-likes or a uint8 array (n, w)") from None
    lengths = np.array(sizes, dtype=np.int64)
    same = bool(sizes) and min(sizes) == max(sizes)
    return flat, np.cumsum(lengths) - lengths, lengths, sizes[0] if same else None


def _even(count: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and lengths of ``count`` payloads of one size."""
    return np.arange(count, dtype=np.int64) * size, np.full(count, size, dtype=np.int64)


class _Plan:
    """The rows of a batch under construction.

    Attributes:
        rows: uint8 (n, h), the headers of each datagram.
        headers: (header, first byte in the row, byte behind it, class of the next), outermost first.
    """

    def __init__(
        self,
        stack: Sequence[Header],
        tail: NDArray[np.uint8],
        starts: NDArray[np.int64],
        lengths: NDArray[np.int64],
        size: int | None,
    ) -> None:
        self.tail, self.starts, self.lengths = tail, starts, lengths
        # With payloads of one size, what follows from it is one number for all rows.
        self.sizes: Any = lengths if size is None else size
        count = len(lengths)
        self.stack: list[Any] = [
            item._released(keep_next=True) if item._origin is not None else item for item in stack
        ]
        parts, place = [], 0
        self.spans: list[tuple[int, int]] = []
        self.addresses: list[bytes | None] = []
        known: bytes | None = None
        # Whose fields hold the addresses of the pseudo header, and whether a source route replaced one of them.
        self.carriers: list[tuple[int, bool]] = []
        carrier = (-1, False)
        for index, item in enumerate(self.stack):
            number = self.stack[index + 1].protocol_number if index + 1 < len(self.stack) else None
            self.addresses.append(known)
            self.carriers.append(carrier)
            parts.append(_template(item, number))
            self.spans.append((place, place + len(parts[-1])))
            place += len(parts[-1])
            if item._addresses is not None:
                before, known = known, item._addresses(item, known)
                own = "src" in item._values()
                plain = item.src + item.dst if own else before
                carrier = (index if own else carrier[0], known != plain or (carrier[1] and not own))
        self.rows = np.frombuffer(bytearray(b"".join(parts) * count), dtype=np.uint8).reshape(count, place)

    def fill(self, columns: dict[str, Any]) -> set[tuple[int, str]]:
        """Write the columns; returns (header index, field) of each."""
        written = set()
        for name, values in columns.items():
            index, field = self._find(name)
            self.write(index, field, values)
            written.add((index, field))
        return written

    def _find(self, name: str) -> tuple[int, str]:
        """Which header's field a column name means."""
        for index in reversed(range(len(self.stack))):
            prefix = type(self.stack[index]).__name__.lower() + "_"
            for field in type(self.stack[index]).fields:
                if name in (field.name, prefix + field.name):
                    return index, field.name
        raise EncodeError("no header of the template has this field", "build_batch", name)

    def column(self, index: int, field: str) -> tuple[NDArray[Any], int, FieldInfo]:
        """The column that holds a field, the shift in it, and the field."""
        header: Any = type(self.stack[index])
        place, shift, info = column_of(header, field)
        if info.offset is None:
            raise EncodeError("lies behind a variable field and cannot be a column", header.__name__, field)
        dtype, offset = header.dtype.fields[place][:2]
        start = self.spans[index][0] + offset
        part = self.rows[:, start : start + dtype.itemsize]
        return part if dtype.subdtype is not None else part.view(dtype)[:, 0], shift, info

    def write(self, index: int, field: str, values: Any) -> None:
        """Set a field of every row, checked."""
        column, shift, info = self.column(index, field)
        header = type(self.stack[index]).__name__
        if info.kind in ("ip4", "ip6", "bytes"):
            column[:] = _byte_rows(values, info, header, len(self.rows))
            return
        if type(values) is int:
            check_value(info, values, header)
            numbers: Any = values // info.scale
        else:
            numbers = self._numbers(values, info, header)
        if column.ndim == 2:
            self._write_bytes(column, numbers, shift, info)
        elif info.mask == (1 << 8 * column.dtype.itemsize) - 1:
            column[:] = numbers
        else:
            keep = ((1 << 8 * column.dtype.itemsize) - 1) ^ (info.mask << shift)
            wide = column.astype(np.uint64) & np.uint64(keep)
            column[:] = wide | np.asarray(numbers, dtype=np.uint64) << np.uint64(shift)

    def _numbers(self, values: Any, info: FieldInfo, header: str) -> NDArray[Any]:
        """A column of numbers as they stand on the wire, checked."""
        numbers = np.asarray(values)
        if numbers.dtype.kind not in "uib" or numbers.shape not in ((), (len(self.rows),)):
            raise EncodeError(
                f"needs one whole number a datagram, {len(self.rows)} in all", header, info.name
            )
        always_fits = numbers.dtype.kind == "u" and 8 * numbers.dtype.itemsize <= (info.width or 0)
        if numbers.size and not always_fits:
            low, high = int(numbers.min()), int(numbers.max())
            if low < 0 or high // info.scale > info.mask:
                wrong = low if low < 0 else high
                raise EncodeError(f"{wrong} does not fit in {info.width} bits", header, info.name)
        if info.scale != 1:
            if (numbers % info.scale).any():
                raise EncodeError(f"is no multiple of {info.scale}", header, info.name)
            numbers = numbers // info.scale
        return numbers

    @staticmethod
    def _write_bytes(column: NDArray[Any], numbers: Any, shift: int, info: FieldInfo) -> None:
        """Set a field within a run of 3, 5, 6 or 7 bytes."""
        width = column.shape[1]
        padded = np.zeros((len(column), 8), dtype=np.uint8)
        padded[:, 8 - width :] = column
        words = padded.view(">u8")[:, 0]
        keep = ((1 << 64) - 1) ^ (info.mask << shift)
        bits = np.asarray(numbers, dtype=np.uint64) << np.uint64(shift)
        words[:] = (words.astype(np.uint64) & np.uint64(keep)) | bits
        column[:] = padded[:, 8 - width :]

    def derive(self, given: set[tuple[int, str]]) -> None:
        """Compute derived fields that are None and no column: lengths first, then checksums from the inside out."""
        tails: NDArray[np.uint64] | None = None
        wanted = [
            (index, info)
            for index, item in enumerate(self.stack)
            for info in type(item).fields
            if info.derived is not None
            and (index, info.name) not in given
            and getattr(item, info.name) is None
        ]
        for index, info in wanted:
            rule = info.derived
            if isinstance(rule, Length) and rule.of in ("packet", "payload"):
                place = self.spans[index][0 if rule.of == "packet" else 1]
                sizes = self.sizes + (self.rows.shape[1] - place)
                self.write(index, info.name, sizes // rule.unit + rule.bias)
            elif isinstance(rule, Computed) and info.kind == "uint" and rule.counts:
                self._count(index, info, rule)
        for index, info in reversed(wanted):
            if isinstance(info.derived, Checksum):
                if tails is None and info.derived.covers == "packet":
                    tails = self._tail_sums()
                self._checksum(index, info, info.derived, tails, given)

    def _tail_sums(self) -> NDArray[np.uint64]:
        """Native sums of the payloads."""
        if isinstance(self.sizes, int):
            return row_sums(self.tail.reshape(len(self.rows), self.sizes))
        return row_sums(as_rows(self.tail, self.starts, self.lengths), self.lengths)

    def _count(self, index: int, info: FieldInfo, rule: Computed) -> None:
        """A computed number that must differ from datagram to datagram counts up from the first one's."""
        if not len(self.rows):
            return
        behind = self.rows[0, self.spans[index][1] :].tobytes()
        end = int(self.starts[0] + self.lengths[0])
        first = rule(self.stack[index], behind + self.tail[int(self.starts[0]) : end].tobytes())
        numbers = (first + np.arange(len(self.rows))) & info.mask
        self.write(index, info.name, numbers.astype(np.min_scalar_type(info.mask)))

    def _checksum(
        self,
        index: int,
        info: FieldInfo,
        rule: Checksum,
        tails: NDArray[np.uint64] | None,
        given: set[tuple[int, str]],
    ) -> None:
        """The Internet checksum of every row."""
        column, _, _ = self.column(index, info.name)
        start, end = self.spans[index]
        column[:] = 0
        stop = end if rule.covers == "header" else self.rows.shape[1]
        sums = row_sums(self.rows[:, start:stop])
        if rule.covers == "packet" and tails is not None:
            sums = sums + (tails if (stop - start) % 2 == 0 else swap_halves(tails))
        if rule.pseudo:
            if self.addresses[index] is None:
                return
            sums = sums + self._pseudo(index, info.name, stop - start, given)
        result = complement(sums)
        if rule.zero == "absent":
            result[result == 0] = 0xFFFF
        column.view(np.uint16)[:] = result

    def _pseudo(self, index: int, name: str, size: int, given: set[tuple[int, str]]) -> Any:
        """Native sum of the pseudo header: one number, or one a row where addresses differ."""
        addresses, (carrier, routed) = self.addresses[index], self.carriers[index]
        assert addresses is not None
        header = type(self.stack[index])
        if header.protocol_number is None:
            raise unbound(header.__name__, name)
        if (carrier, "src") in given or (carrier, "dst") in given:
            if routed:
                raise EncodeError("addresses cannot be columns behind a source route", "build_batch", "src")
            half = len(addresses) // 2
            start = self.spans[carrier][0] + (12 if half == 4 else 8)
            total: Any = row_sums(self.rows[:, start : start + 2 * half])
        else:
            total = native_sum(addresses)
        total += native_sum(header.protocol_number.to_bytes(4, "big"))
        if isinstance(self.sizes, int):
            return total + native_sum((self.sizes + size).to_bytes(4, "big"))
        lengths = (self.sizes + size).astype(">u4").view(np.uint16).reshape(-1, 2)
        return total + lengths[:, 0] + lengths[:, 1]


def _template(header: Header, number: int | None) -> bytes:
    """A header's bytes with what is computed for each row left at 0."""
    values = header._values()
    for info in type(header).fields:
        rule = info.derived
        if rule is None:
            continue
        if values[info.name] is None and (
            isinstance(rule, (Checksum, Computed))
            or (isinstance(rule, Length) and rule.of in ("packet", "payload"))
        ):
            values[info.name] = 0 if not isinstance(rule, Computed) or rule.counts else None
        if isinstance(rule, NextProtocol) and values[info.name] is None and number is None:
            raise EncodeError(
                "nothing tells the protocol of the payload: give the number", type(header).__name__, info.name
            )
    return header._with(values, None)._encode(b"", number, None)


def _byte_rows(values: Any, info: FieldInfo, header: str, count: int) -> Any:
    """A column of bytes or addresses, uint8 (n, w) or (w,)."""
    width = (info.width or 0) // 8
    if (
        isinstance(values, np.ndarray)
        and values.dtype == np.uint8
        and values.shape in ((count, width), (width,))
    ):
        return values
    if isinstance(values, (str, bytes)):
        values = [values] * count
    if info.kind == "bytes":
        data = b"".join(bytes(value) for value in values)
    else:
        data = b"".join(to_ip(value, width, header, info.name) for value in values)
    if len(data) != count * width:
        raise EncodeError(f"needs {count} values of {width} bytes", header, info.name)
    return np.frombuffer(data, dtype=np.uint8).reshape(count, width)
