"""A capture file shown, or its packets written to another one."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import click

from ..packetkit.decode import Decoder
from ..packetkit.files import read_packets
from .output_file import OutputFile
from .view import JSONView

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rawproto import BPFProgram

    from ..packetkit.packet import Packet
    from .view import View

__all__ = ["read"]


def read(
    source: Path,
    view: View,
    program: BPFProgram | None,
    decoding: dict[str, Any],
    *,
    as_json: bool,
    interface: str | None,
    target: Path | None,
    count: int | None,
    **_: Any,
) -> None:
    """Show the packets of a file that the filter takes."""
    decoder = Decoder(**decoding)
    file = None if target is None else OutputFile(target)
    shown = 0
    try:
        for packet in itertools.islice(_wanted(source, program, interface), count):
            if file is not None and packet.is_ip:
                file.packet(packet)
            view.packet(decoder.decode(packet))
            shown += 1
        view.finish()
    finally:
        if file is not None:
            file.finish(None)
    if as_json:
        JSONView.summary({"packets": shown})
    elif file is not None:
        click.echo(f"{shown} packet{'' if shown == 1 else 's'} written", err=True)


def _wanted(source: Path, program: BPFProgram | None, interface: str | None) -> Iterator[Packet]:
    """The packets of one interface that the kernel would have taken."""
    for packet in read_packets(source):
        if interface is not None and packet.interface != interface:
            continue
        if program is None or (packet.is_ip and program.run(packet.data)):
            yield packet
