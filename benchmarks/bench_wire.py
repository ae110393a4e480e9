"""Headers one by one and in batches, against scapy and dpkt in the same run.

All build and read the same packet: IPv4, UDP and 64 bytes, checksums included, objects made anew each time. dpkt has
no checksum over a whole packet of its own accord: it is given the lengths, and computes both checksums. Neither rival
verifies: their rows of verification rebuild the packet without its checksums and compare, as their users do.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.harness import Goal, Row
from rawproto.wire import (
    UDP,
    Batch,
    Datagram,
    IPv4,
    build_batch,
    checksum,
    checksums,
    parse_batch,
    verify_batch,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COUNT = 1024
PAYLOAD = os.urandom(64)
LONG = os.urandom(1500)


def microseconds(
    work: Callable[[], Any], packets: int = 1, loops: int = 20, rounds: int = 60
) -> Callable[[], float]:
    """A measurement of ``work``: the fastest of short rounds, microseconds a packet."""

    def run() -> float:
        work()
        best = float("inf")
        for _ in range(rounds):
            start = time.perf_counter_ns()
            for _ in range(loops):
                work()
            best = min(best, time.perf_counter_ns() - start)
        return best / loops / packets / 1000

    return run


def scapy_rivals() -> dict[str, Callable[[], Any]]:
    from scapy.layers.inet import IP
    from scapy.layers.inet import UDP as SUDP
    from scapy.utils import checksum as scapy_checksum

    raw = bytes(IP(src="10.0.0.1", dst="10.0.0.2") / SUDP(sport=1, dport=2) / PAYLOAD)

    def build() -> bytes:
        return bytes(IP(src="10.0.0.1", dst="10.0.0.2") / SUDP(sport=1, dport=2) / PAYLOAD)

    def parse() -> tuple[Any, ...]:
        packet = IP(raw)
        udp = packet[SUDP]
        return packet.src, packet.dst, udp.sport, udp.dport

    def verify() -> bool:
        packet = IP(raw)
        again = packet.copy()
        del again.chksum
        del again[SUDP].chksum
        return bytes(again) == raw

    return {"build": build, "parse": parse, "verify": verify, "checksum": lambda: scapy_checksum(LONG)}


def dpkt_rivals() -> dict[str, Callable[[], Any]]:
    import dpkt

    source, destination = b"\x0a\0\0\1", b"\x0a\0\0\2"

    def build() -> bytes:
        udp = dpkt.udp.UDP(sport=1, dport=2, data=PAYLOAD)
        udp.ulen = len(udp)
        packet = dpkt.ip.IP(src=source, dst=destination, p=17, data=udp)
        packet.len = len(packet)
        return bytes(packet)

    raw = build()

    def parse() -> tuple[Any, ...]:
        packet = dpkt.ip.IP(raw)
        return packet.src, packet.dst, packet.data.sport, packet.data.dport

    return {"build": build, "parse": parse}


def ours() -> dict[str, Callable[[], Any]]:
    raw = bytes(IPv4("10.0.0.1", "10.0.0.2") / UDP(1, 2) / PAYLOAD)
    template = IPv4("10.0.0.1", "10.0.0.2") / UDP(1, 2)
    payloads = np.frombuffer(os.urandom(64 * COUNT), dtype=np.uint8).reshape(COUNT, 64)
    pieces = [row.tobytes() for row in payloads]
    received = Batch.from_datagrams(list(build_batch(template, payloads)))
    ports = np.arange(COUNT)
    rows = np.frombuffer(os.urandom(1500 * 256), dtype=np.uint8).reshape(256, 1500)

    def parse() -> tuple[Any, ...]:
        ip, rest = IPv4.parse(raw)
        udp, _ = UDP.parse(rest)
        return ip.src, ip.dst, udp.sport, udp.dport

    def parse_datagram() -> tuple[Any, ...]:
        ip, udp = Datagram.parse(raw).headers
        return ip.src, ip.dst, udp.sport, udp.dport

    def read_batch() -> tuple[Any, ...]:
        ip, udp = parse_batch(received, IPv4), parse_batch(received, UDP, IPv4.size)
        return ip["src"], ip["dst"], udp["sport"], udp["dport"], verify_batch(received)

    assert all(read_batch()[-1])
    return {
        "build": lambda: bytes(IPv4("10.0.0.1", "10.0.0.2") / UDP(1, 2) / PAYLOAD),
        "parse": parse,
        "parse_datagram": parse_datagram,
        "batch": lambda: build_batch(template, payloads, sport=ports),
        "batch_list": lambda: build_batch(template, pieces, sport=ports),
        "read_batch": read_batch,
        "checksum": lambda: checksum(LONG),
        "checksums": lambda: checksums(rows),
    }


def faster(name: str, mine: Callable[[], float], **rivals: tuple[Callable[[], float], float | None]) -> Row:
    """A row of microseconds a packet; each rival with the least ratio to keep, or None."""
    return Row(
        name,
        unit="us/packet",
        better="lower",
        ours=mine,
        rivals={rival: work for rival, (work, _) in rivals.items()},
        expect={rival: ratio for rival, (_, ratio) in rivals.items() if ratio is not None},
    )


def rows() -> Iterator[Row]:
    """The rows of the wire room."""
    mine, scapy, dpkt = ours(), scapy_rivals(), dpkt_rivals()
    slow = {name: microseconds(work, loops=5) for name, work in scapy.items()}
    quick = {name: microseconds(work) for name, work in dpkt.items()}
    build, parse = microseconds(mine["build"]), microseconds(mine["parse"])
    yield faster("build one IPv4/UDP/64 B", build, scapy=(slow["build"], 100), dpkt=(quick["build"], 5))
    yield faster("parse one, header by header", parse, scapy=(slow["parse"], 40), dpkt=(quick["parse"], 2))
    parse = microseconds(mine["parse_datagram"])
    yield faster("parse one, as a Datagram", parse, scapy=(slow["parse"], None), dpkt=(quick["parse"], None))
    batch = microseconds(mine["batch"], COUNT, loops=2)
    yield faster("build 1,024, payloads as rows", batch, scapy=(slow["build"], 2_000))
    batch = microseconds(mine["batch_list"], COUNT, loops=2)
    yield faster("build 1,024, payloads as a list", batch, scapy=(slow["build"], None))
    read = microseconds(mine["read_batch"], COUNT, loops=2)
    yield faster("parse and verify 1,024", read, scapy=(slow["verify"], 2_000))
    yield faster("checksum of 1,500 B", microseconds(mine["checksum"]), scapy=(slow["checksum"], 4))
    sums = microseconds(mine["checksums"], 256, loops=5)
    yield Row(
        "checksums of 256 x 1,500 B",
        unit="GB/s",
        better="higher",
        ours=lambda: 1.5 / sums(),
        rivals={"goal of 5 GB/s": Goal(5.0)},
        expect={"goal of 5 GB/s": 1.0},
    )
