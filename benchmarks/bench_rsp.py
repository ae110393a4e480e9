"""RSP between two hosts, against rivals in C, Python and the kernel: rates, loss, fairness, latency, CPU.

"Clean" is a bare veth pair, on which the kernel passes super-packets of up to 64 KiB; "segmented" has the offloads off,
so that every packet on the wire has at most 1,500 bytes. With ``--full`` the long rows run, too.
"""

from __future__ import annotations

import tempfile
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import Goal, Row, is_full
from benchmarks.rsp_hosts import MIB, Transfers, losing, segmented
from rawproto.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RAW_SIZE = 64 * MIB
UDP_SIZE = 512 * MIB
SLOW_PATH = {"rate": "100mbit", "delay": "50ms", "loss": 0.01, "limit": "1250kib", "seed": 7}
"""50 ms each way, 1 % loss of all packets, and a queue of one bandwidth-delay product."""
SLOW_SIZE = 24 * MIB
SHARED_PATH = {"rate": "100mbit", "delay": "10ms", "limit": "250kib", "seed": 8}
SHARE_SECONDS = 6.0


def rows() -> Iterator[Row]:
    """The rows, see :mod:`benchmarks.harness`."""
    with tempfile.TemporaryDirectory() as folder, Lab() as lab:
        bench = Transfers(lab, Path(folder))
        yield from raw_rows(bench)
        yield from udp_rows(bench)
        yield from check_rows(bench)
        yield from loss_rows(bench)
        yield from latency_rows(bench)
        yield from cpu_rows(bench)
    yield from path_rows()


def _rate(
    name: str, ours: Callable[[], float], rivals: dict[str, Callable[[], float]], expect: dict[str, float]
) -> Row:
    return Row(name, unit="Mbit/s", better="higher", ours=ours, rivals=rivals, expect=expect, rounds=3)


def raw_rows(bench: Transfers) -> Iterator[Row]:
    """Speed 1."""
    yield _rate(
        "one stream on raw IP",
        lambda: bench.rate("rsp", RAW_SIZE),
        {
            "C sendmmsg/recvmmsg": bench.c_rate_of_payload,
            "usrsctp": bench.sctp_rate,
            "aioquic": bench.quic_rate,
        },
        {"C sendmmsg/recvmmsg": 0.8, "usrsctp": 3, "aioquic": 8},
    )
    yield _rate(
        "one stream over an exclusive packet link",
        lambda: bench.rate("rsp", RAW_SIZE, link="exclusive"),
        {
            "RSP on a raw socket": lambda: bench.rate("rsp", RAW_SIZE),
            "RSP on a packet link beside the IP stack": lambda: bench.rate("rsp", RAW_SIZE, link="packet"),
            "ngtcp2": bench.ngtcp2_rate,
        },
        {"RSP on a raw socket": 1.3, "ngtcp2": 1},
    )


def udp_rows(bench: Transfers) -> Iterator[Row]:
    """Speed 2."""
    yield _rate(
        "one stream inside UDP, clean",
        lambda: bench.rate("rsp+udp", UDP_SIZE),
        {
            "kernel TCP": lambda: bench.tcp_rate(UDP_SIZE),
            "ngtcp2": bench.ngtcp2_rate,
            "aioquic": bench.quic_rate,
        },
        {"kernel TCP": 0.4, "ngtcp2": 4, "aioquic": 8},
    )
    with segmented(bench):
        yield _rate(
            "one stream inside UDP, segmented",
            lambda: bench.rate("rsp+udp", UDP_SIZE // 2),
            {"kernel TCP": lambda: bench.tcp_rate(UDP_SIZE // 2), "ngtcp2": bench.ngtcp2_rate},
            {"kernel TCP": 0.8},
        )


def check_rows(bench: Transfers) -> Iterator[Row]:
    """Speed 3: what the integrity check costs; the ratio is what is left with it."""
    for (network, size), check in product((("rsp", RAW_SIZE), ("rsp+udp", UDP_SIZE)), ("xxh3", "crc32")):
        carrier = "on raw IP" if network == "rsp" else "inside UDP"
        yield _rate(
            f"one stream {carrier} with {check}, and without a check",
            lambda network=network, size=size, check=check: bench.rate(network, size, integrity=check),
            {
                "no check": lambda network=network, size=size: bench.rate(network, size, integrity="none"),
            },
            {},
        )


def loss_rows(bench: Transfers) -> Iterator[Row]:
    """Speed 2 and 4, at 1 % random loss."""

    def lossy(take: Callable[[], float]) -> Callable[[], float]:
        def taken() -> float:
            with losing(bench):
                return take()

        return taken

    yield _rate(
        "one stream on raw IP at 1 % loss, against itself without",
        lossy(lambda: bench.rate("rsp", RAW_SIZE)),
        {"no loss": lambda: bench.rate("rsp", RAW_SIZE)},
        {"no loss": 0.7},
    )
    yield _rate(
        "one stream inside UDP at 1 % loss",
        lossy(lambda: bench.rate("rsp+udp", UDP_SIZE // 4)),
        {
            "kernel TCP": lossy(lambda: bench.tcp_rate(UDP_SIZE // 4)),
            "ngtcp2": lossy(lambda: bench.ngtcp2_rate(32 * MIB)),
            "usrsctp": lossy(lambda: bench.sctp_rate(16 * MIB)),
            "aioquic": lossy(lambda: bench.quic_rate(2 * MIB)),
        },
        {"ngtcp2": 1, "usrsctp": 1, "aioquic": 1},
    )


def latency_rows(bench: Transfers) -> Iterator[Row]:
    """Speed 5."""
    for place, answering in (("both ends on one core", 0), ("a core each", 1)):
        for network, carrier in (("rsp+udp", "inside UDP"), ("rsp", "on raw IP")):
            for name, part, allowed in (("median", 0.5, 0.5), ("99th percentile", 0.99, 1 / 3)):

                def ping(network: str, answering: int = answering, part: float = part) -> float:
                    times = bench.pings(network, answering)
                    return times[int(part * len(times))]

                yield Row(
                    f"request and response of 64 bytes {carrier}, {place}, {name}",
                    unit="us",
                    better="lower",
                    ours=lambda network=network, ping=ping: ping(network),
                    rivals={"kernel TCP": lambda ping=ping: ping("tcp")},
                    expect={"kernel TCP": allowed},
                    rounds=3,
                )


def cpu_rows(bench: Transfers) -> Iterator[Row]:
    """Speed 8: the ratio is by how much a long transfer is cheaper a gigabyte; 1 is linear."""
    long = 20_000 * MIB if is_full() else 1_000 * MIB
    for network, carrier in (("rsp+udp", "inside UDP"), ("rsp", "on raw IP")):
        size = long if network == "rsp+udp" else long // 4
        yield Row(
            f"CPU of both ends a gigabyte over {size // MIB:,} MiB {carrier}, against 100 MiB",
            unit="s",
            better="lower",
            ours=lambda network=network, size=size: bench.cpu(network, size),
            rivals={"100 MiB": lambda network=network: bench.cpu(network, 100 * MIB)},
            expect={"100 MiB": 0.9},
            rounds=1 if is_full() else 2,
        )


def path_rows() -> Iterator[Row]:
    """Speed 4: a long path that loses, and two streams on one bottleneck."""
    with tempfile.TemporaryDirectory() as folder, Lab() as lab:
        bench = Transfers(lab, Path(folder), **SLOW_PATH)
        yield Row(
            "one stream over 50 ms each way, 100 Mbit/s, 1 % loss",
            unit="Mbit/s",
            better="higher",
            ours=lambda: bench.rate("rsp", SLOW_SIZE),
            rivals={"kernel TCP, BBR": lambda: bench.tcp_rate(SLOW_SIZE, "bbr")},
            expect={"kernel TCP, BBR": 0.9},
            rounds=3 if is_full() else 1,
        )
    with tempfile.TemporaryDirectory() as folder, Lab() as lab:
        bench = Transfers(lab, Path(folder), **SHARED_PATH)
        seconds = 5 * SHARE_SECONDS if is_full() else SHARE_SECONDS

        def fairness(network: str) -> float:
            first, second = bench.shares((network, network), seconds)
            return (first + second) ** 2 / (2 * (first**2 + second**2))

        def larger_share() -> float:
            first, second = bench.shares(("rsp", "tcp"), seconds)
            return max(first, second) / (first + second)

        yield Row(
            "Jain's index of two streams on one bottleneck",
            unit="",
            better="higher",
            ours=lambda: fairness("rsp"),
            rivals={"0.95": Goal(0.95), "two of kernel TCP": lambda: fairness("tcp")},
            expect={"0.95": 1},
            rounds=3,
        )
        yield Row(
            "the larger share of a stream and one of kernel TCP with CUBIC",
            unit="",
            better="lower",
            ours=larger_share,
            rivals={"0.75": Goal(0.75)},
            expect={"0.75": 1},
            rounds=3,
        )
