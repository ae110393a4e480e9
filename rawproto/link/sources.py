"""Who sent a received batch: nearly always one sender, found by one comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rawproto.link.sockaddr import AddressCodec
    from rawproto.link.tables import ReceiveTable

__all__ = ["SourceList", "Sources"]


class SourceList(Sequence[Any]):
    """The senders of a batch, each decoded when it is asked for."""

    def __init__(self, names: NDArray[np.uint8], codec: AddressCodec) -> None:
        self._names = names
        self._codec = codec

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self._codec.decode(row.tobytes()) for row in self._names[index]]
        return self._codec.decode(self._names[index].tobytes())

    def take(self, indexes: Sequence[int]) -> SourceList:
        """Some of them, as copies."""
        return SourceList(self._names[list(indexes)], self._codec)

    def keys(self) -> list[bytes]:
        """See :class:`rawproto.wire.batch.Keyed`."""
        return self._codec.keys(self._names)

    @property
    def names(self) -> NDArray[np.uint8]:
        """Their socket addresses, uint8 (n, size)."""
        return self._names


class Sources:
    """Reads the name column of a receive table."""

    def __init__(self, table: ReceiveTable, codec: AddressCodec) -> None:
        self._names = table.names
        self._words = table.names.view(np.uint32)
        self._codec = codec

    def one(self, index: int) -> Any:
        """The sender of datagram ``index``."""
        return self._codec.decode(self._names[index].tobytes())

    def read(self, count: int) -> tuple[Any, Sequence[Any] | None]:
        """The one sender of the first ``count`` datagrams, or None and the sequence of all."""
        words = self._words
        if count == 1 or (words[1:count] == words[0]).all():
            return self._codec.decode(self._names[0].tobytes()), None
        return None, SourceList(self._names[:count], self._codec)
