"""The fixed part of a header as a numpy structured dtype, so that one array is the headers of a whole batch.

Numbers of 8, 16, 32 and 64 bits are columns of their own name, big-endian (or little where declared so). A run of bit
fields is one column that joins their names with ``_`` (IPv4: ``version_ihl``), to be taken apart by
:func:`column_of`. Bytes, addresses and numbers of other widths are columns of ``uint8`` (n,).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rawproto.wire.field import FieldInfo
    from rawproto.wire.layout import Run

__all__ = ["column_of", "dtype_of", "runs_of"]


@functools.cache
def dtype_of(header: Any) -> np.dtype[Any]:
    """The dtype of ``header``'s fixed part; ``itemsize`` is ``header.size``."""
    names, formats, offsets = [], [], []
    for offset, run in runs_of(header):
        names.append(column_name(run))
        formats.append(_format(run))
        offsets.append(offset)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": header.size})


def runs_of(header: Any) -> Iterator[tuple[int, Run]]:
    """The runs of the fixed part with their byte offsets, variable fields taken as empty."""
    offset = 0
    for part in header._layout.segments:
        for run in part if isinstance(part, tuple) else ():
            yield offset, run
            offset += run.size


def column_name(run: Run) -> str:
    """Name of the column that holds a run."""
    return "_".join(info.name for info in run.fields)


def _format(run: Run) -> Any:
    first = run.fields[0]
    plain = first.kind not in ("bytes", "ip4", "ip6")
    if plain and run.size in (1, 2, 4, 8):
        return f"{'<' if first.byteorder == 'little' else '>'}u{run.size}"
    return ("u1", (run.size,))


@functools.cache
def column_of(header: Any, field: str) -> tuple[str, int, FieldInfo]:
    """Where a field lives: name of its column, how far it is shifted in it, and the field.

    Raises:
        KeyError: no such field in the fixed part.
    """
    for _, run in runs_of(header):
        shift = run.size * 8
        for info in run.fields:
            shift -= info.width or 0
            if info.name == field:
                return column_name(run), shift, info
    raise KeyError(field)
