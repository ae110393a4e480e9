"""A codec of its own for every header class: straight-line source, written once at class creation and compiled.

What ``dataclasses`` does for ``__init__`` is done here for encoder and decoder too: no loop over fields is left to
run a packet. ``Header.codec_source()`` shows the text; tracebacks show its lines.

- fields that are whole machine words go straight into one ``struct.Struct``; runs of bit fields are joined by shifts
  into a word first;
- a computed Internet checksum is the sum of the very expressions that are packed, each shifted to its place within a
  16-bit word, so that a header is packed once. Where a variable field may shift what follows by a byte, the header is
  packed with a zero first, summed and packed again;
- off the fast path (an error, an option, an odd type) the code calls :mod:`rawproto.wire.runtime`.
"""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING, Any

from rawproto.wire.codec_base import base_names
from rawproto.wire.codec_decode import DecodeWriter
from rawproto.wire.codec_encode import EncodeWriter
from rawproto.wire.codec_init import InitWriter

if TYPE_CHECKING:
    from rawproto.wire.layout import Layout

__all__ = ["compile_codec"]


def compile_codec(
    name: str, layout: Layout, protocol: int | None, empty_next: int
) -> tuple[dict[str, Any], str]:
    """The functions ``__init__``, ``_encode`` and ``_decode`` of a header class, and their source.

    Where ``__init__`` has a short way, ``_init_all`` is the one with all parameters.

    Args:
        name: the class's name.
        layout: its fields.
        protocol: the protocol number it is bound to, for pseudo headers.
        empty_next: the next-protocol number when nothing follows.
    """
    names = base_names(name, layout)
    lines: list[str] = []
    for writer in (InitWriter, EncodeWriter, DecodeWriter):
        lines += [*writer(name, layout, protocol, empty_next, names).lines(), "", ""]
    source = "\n".join(lines)
    file = f"<rawproto codec of {name} {id(layout):x}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec"), names)  # noqa: S102 - our own text, as in dataclasses
    keys = ("__init__", "_init_all", "_encode", "_decode")
    functions = {key: names[key] for key in keys if key in names}
    return {**functions, "_names": names}, source
