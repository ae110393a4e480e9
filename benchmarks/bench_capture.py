"""Writing captures: blocks assembled as one array against one call a packet, and against scapy's and dpkt's writers."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.harness import Row
from rawproto import PcapngReader, PcapngWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BATCH = 64
SIZE = 1_500


NOWHERE = Path("/dev/null")
"""Where all of them write: the disk is not what is measured."""


def packets_per_second(write: Callable[[], None], count: int, repeats: int) -> Callable[[], float]:
    """Rate of ``write``, which writes ``count`` packets."""

    def measure() -> float:
        began = time.perf_counter()
        for _ in range(repeats):
            write()
        return count * repeats / (time.perf_counter() - began)

    return measure


def scapy_writer(data: bytes) -> Callable[[], float]:
    from scapy.utils import RawPcapNgWriter

    writer = RawPcapNgWriter(str(NOWHERE))
    writer.write_header(None)
    return packets_per_second(lambda: writer._write_packet(data, linktype=1, sec=1), 1, 5_000)


def dpkt_writer(data: bytes) -> Callable[[], float]:
    import dpkt

    writer = dpkt.pcapng.Writer(NOWHERE.open("wb"))
    return packets_per_second(lambda: writer.writepkt(data, 1.5), 1, 5_000)


def dpkt_reader(capture: bytes, count: int) -> Callable[[], float]:
    import dpkt

    def read() -> None:
        assert sum(1 for _ in dpkt.pcapng.Reader(io.BytesIO(capture))) == count

    return packets_per_second(read, count, 2)


def rows() -> Iterator[Row]:
    """Writing one by one and in batches, and reading."""
    data = bytes(SIZE)
    batch = np.zeros((BATCH, SIZE), dtype=np.uint8)
    uneven = np.arange(BATCH, dtype=np.int64) * 20
    times = np.arange(BATCH, dtype=np.int64)
    writer = PcapngWriter(NOWHERE)
    rivals = {"scapy": scapy_writer(data), "dpkt": dpkt_writer(data)}
    yield Row(
        f"write a packet of {SIZE} bytes",
        unit="packets/s",
        better="higher",
        ours=packets_per_second(lambda: writer.write(data, 1), 1, 20_000),
        rivals=rivals,
        expect={"scapy": 2, "dpkt": 4},
    )
    yield Row(
        f"write {BATCH} packets of {SIZE} bytes at once",
        unit="packets/s",
        better="higher",
        ours=packets_per_second(lambda: writer.write_batch(batch, None, times), BATCH, 500),
        rivals=rivals,
        expect={"scapy": 4, "dpkt": 8},
    )
    yield Row(
        f"write {BATCH} packets of 0 to {20 * (BATCH - 1)} bytes at once",
        unit="packets/s",
        better="higher",
        ours=packets_per_second(lambda: writer.write_batch(batch, uneven, times), BATCH, 500),
        rivals=rivals,
        expect={"scapy": 2},
    )
    packets = [(data[: 20 * number], number, 20 * number, 0, 1) for number in range(BATCH)]
    yield Row(
        f"write {BATCH} packets of 0 to {20 * (BATCH - 1)} bytes with directions, as dump -w does",
        unit="packets/s",
        better="higher",
        ours=packets_per_second(lambda: writer.write_many(packets), BATCH, 500),
        rivals=rivals,
        expect={"scapy": 2, "dpkt": 4},
    )
    file = io.BytesIO()
    with PcapngWriter(file) as made:
        for number in range(2_000):
            made.write(data, number)
    capture = file.getvalue()

    def read() -> None:
        assert sum(1 for _ in PcapngReader(capture)) == 2_000

    yield Row(
        "read packets",
        unit="packets/s",
        better="higher",
        ours=packets_per_second(read, 2_000, 2),
        rivals={"dpkt": dpkt_reader(capture, 2_000)},
    )
