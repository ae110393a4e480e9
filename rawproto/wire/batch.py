"""Batches: many datagrams as a few arrays, the unit in which rawproto moves packets.

A datagram of a batch has two parts, so that payload need not be copied to be sent:

- its *head*: the first bytes, one row of a two-dimensional array of bytes (``head``). Rows may be longer than what
  is used of them (``head_lengths``) and may be a strided view over a receive buffer;
- its *tail*: a slice of one flat buffer (``tail``), usually the very bytes the application wrote. None on arrival,
  where the whole datagram lies in its row.

Shapes: n datagrams, rows of w bytes: ``head`` is uint8 (n, w), ``head_lengths``, ``tail_starts`` and
``tail_lengths`` are int64 (n,), ``tail`` is uint8 (m,).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["Batch", "Keyed", "ReceivedBatch", "Transmit"]


class Batch:
    """n datagrams, each a row of ``head`` followed by a slice of ``tail``.

    A batch of one datagram can also be made of its bytes (:meth:`single`): ``data`` then has them, and the arrays are
    made when somebody asks for them. For a lone packet that is a tenth of the price. ``data`` is None otherwise.
    """

    __slots__ = ("data", "head", "head_lengths", "tail", "tail_lengths", "tail_starts")

    def __init__(
        self,
        head: NDArray[np.uint8],
        head_lengths: NDArray[np.int64] | None = None,
        tail: NDArray[np.uint8] | None = None,
        tail_starts: NDArray[np.int64] | None = None,
        tail_lengths: NDArray[np.int64] | None = None,
    ) -> None:
        self.data: bytes | None = None
        self.head = head
        self.head_lengths = (
            np.full(len(head), head.shape[1], dtype=np.int64) if head_lengths is None else head_lengths
        )
        self.tail = tail
        self.tail_starts = tail_starts
        self.tail_lengths = tail_lengths

    @classmethod
    def from_datagrams(cls, datagrams: Sequence[bytes]) -> Batch:
        """A batch holding copies of ``datagrams``, whole in their rows."""
        return cls(*pack_rows(datagrams))

    @classmethod
    def single(cls, data: bytes) -> Batch:
        """A batch of the one datagram ``data``."""
        batch = cls.__new__(cls)
        batch.data = data
        return batch

    def __getattr__(self, name: str) -> Any:
        # Only asked for what is not there: the arrays of a batch made of bytes.
        data = self.data if name in Batch.__slots__ and name != "data" else None
        if data is None:
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self
            )
        self.head = np.frombuffer(data, dtype=np.uint8).reshape(1, -1)
        self.head_lengths = np.array([len(data)], dtype=np.int64)
        self.tail = self.tail_starts = self.tail_lengths = None
        return getattr(self, name)

    def __len__(self) -> int:
        return len(self.head) if self.data is None else 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Length in bytes of each datagram, int64 (n,)."""
        if self.tail_lengths is None:
            return self.head_lengths
        return self.head_lengths + self.tail_lengths

    def datagram(self, index: int) -> bytes:
        """A copy of datagram ``index``, head and tail joined."""
        if self.data is not None:
            return (self.data,)[index]
        front = self.head[index, : self.head_lengths[index]].tobytes()
        if self.tail is None or self.tail_starts is None or self.tail_lengths is None:
            return front
        start = int(self.tail_starts[index])
        return front + self.tail[start : start + int(self.tail_lengths[index])].tobytes()

    def __iter__(self) -> Iterator[bytes]:
        return (self.datagram(index) for index in range(len(self)))


def pack_rows(datagrams: Sequence[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Copies of ``datagrams`` as zero-padded rows, uint8 (n, longest), and their lengths, int64 (n,)."""
    lengths = np.fromiter((len(item) for item in datagrams), dtype=np.int64, count=len(datagrams))
    width = int(lengths.max(initial=0))
    rows = np.zeros((len(datagrams), width), dtype=np.uint8)
    for row, item in zip(rows, datagrams, strict=True):
        row[: len(item)] = np.frombuffer(item, dtype=np.uint8)
    return rows, lengths


class Transmit:
    """A batch on its way out: all its datagrams go to one destination with one ECN mark.

    Attributes:
        batch: the datagrams. Its arrays belong to the protocol again at the next ``poll_transmit``: a driver
            sends (or copies) before it polls again.
        destination: address of the peer; whatever address type the link carries.
        ecn: ECN codepoint of the IP header, 0 to 3 (RFC 3168 section 5).
        destinations: a destination for each datagram, where they have several; ``destination`` then means nothing.
            A protocol makes such batches only for a driver that said it takes them.
    """

    __slots__ = ("batch", "destination", "destinations", "ecn")

    def __init__(
        self, batch: Batch, destination: Any, ecn: int = 0, *, destinations: Sequence[Any] | None = None
    ) -> None:
        self.batch = batch
        self.destination = destination
        self.ecn = ecn
        self.destinations = destinations


@runtime_checkable
class Keyed(Protocol):
    """Senders that a link knows by their bytes and makes address objects of only when asked."""

    def take(self, indexes: Sequence[int]) -> Sequence[Any]:
        """Some of them, as copies."""

    def keys(self) -> list[bytes]:
        """For each its IP address packed, its port (2 bytes, 0 where the link has none) and its zone."""


class ReceivedBatch(Batch):
    """Datagrams that arrived, whole in their rows, each with where it came from.

    The rows are a view over the link's buffers: they are good until the link receives again. What must outlive
    that is copied by whoever keeps it.

    Attributes:
        source: the sender of all datagrams, or None when they have several (ask :meth:`source_of`).
        destination: the local address they were sent to, or None where the link cannot tell.
        ecn: ECN codepoint of each datagram, uint8 (n,), or None where the link cannot tell.
        timestamps: kernel arrival time of each datagram, int64 (n,) nanoseconds since the epoch, or None.
        mark: ECN codepoint of the only datagram of a batch made by :meth:`arrival`, or None; others have ``ecn``.
    """

    __slots__ = ("_sources", "destination", "ecn", "mark", "source", "timestamps")

    def __init__(
        self,
        head: NDArray[np.uint8],
        head_lengths: NDArray[np.int64] | None = None,
        *,
        source: Any = None,
        sources: Sequence[Any] | None = None,
        destination: Any = None,
        ecn: NDArray[np.uint8] | None = None,
        timestamps: NDArray[np.int64] | None = None,
    ) -> None:
        super().__init__(head, head_lengths)
        self.mark: int | None = None
        self.source = source
        self._sources = sources
        self.destination = destination
        self.ecn = ecn
        self.timestamps = timestamps

    @classmethod
    def arrival(
        cls, data: bytes, source: Any, *, mark: int | None = None, destination: Any = None
    ) -> ReceivedBatch:
        """A batch of the one datagram ``data``, without arrays until somebody asks for them."""
        batch = cls.__new__(cls)
        batch.data = data
        batch.source = source
        batch.destination = destination
        batch.mark = mark
        batch._sources = batch.timestamps = None
        return batch

    def __getattr__(self, name: str) -> Any:
        if name != "ecn":
            return super().__getattr__(name)
        self.ecn = None if self.mark is None else np.array([self.mark], dtype=np.uint8)
        return self.ecn

    @classmethod
    def from_arrivals(
        cls,
        arrivals: Iterable[tuple[bytes, Any]],
        *,
        destination: Any = None,
        ecn: Sequence[int] | None = None,
    ) -> ReceivedBatch:
        """A batch of copies of (datagram, source) pairs, for in-memory links, simulators and tests."""
        pairs = list(arrivals)
        if len(pairs) == 1:
            mark = None if ecn is None else int(ecn[0])
            return cls.arrival(*pairs[0], mark=mark, destination=destination)
        rows, lengths = pack_rows([datagram for datagram, _ in pairs])
        sources = [source for _, source in pairs]
        same = bool(sources) and all(source == sources[0] for source in sources)
        return cls(
            rows,
            lengths,
            source=sources[0] if same else None,
            sources=sources,
            destination=destination,
            ecn=None if ecn is None else np.asarray(ecn, dtype=np.uint8),
        )

    def take(self, indexes: Sequence[int]) -> ReceivedBatch:
        """A batch of some of the datagrams; the rows are copies."""
        rows = list(indexes)
        return ReceivedBatch(
            self.head[rows],
            self.head_lengths[rows],
            source=self.source,
            sources=None if self.source is not None else self.sources_of(rows),
            destination=self.destination,
            ecn=None if self.ecn is None else self.ecn[rows],
            timestamps=None if self.timestamps is None else self.timestamps[rows],
        )

    def sources_of(self, indexes: Sequence[int]) -> Sequence[Any]:
        """The senders of some of the datagrams; good for as long as one likes."""
        if self.source is not None or self._sources is None:
            return [self.source] * len(indexes)
        if isinstance(self._sources, Keyed):
            return self._sources.take(indexes)
        return [self._sources[index] for index in indexes]

    def source_of(self, index: int) -> Any:
        """The sender of datagram ``index``."""
        if self.source is not None or self._sources is None:
            return self.source
        return self._sources[index]
