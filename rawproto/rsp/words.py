"""The headers of packets that come and go alone, as one struct each: no object, no array is made for them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from rawproto.rsp.header import Ack, Data

if TYPE_CHECKING:
    from rawproto.wire import Header

__all__ = ["ACK_WORDS", "DATA_WORDS"]


def _words(header: type[Header]) -> struct.Struct:
    """The fields of ``header``, all of them machine words."""
    sizes = (header.dtype[name].itemsize for name in header.dtype.names or ())
    return struct.Struct("!" + "".join({1: "B", 2: "H", 4: "I", 8: "Q"}[size] for size in sizes))


DATA_WORDS: Final = _words(Data)
ACK_WORDS: Final = _words(Ack)
