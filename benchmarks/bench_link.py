"""Links against C: one way in batches over a veth pair, and a request with its response."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import link_work
from benchmarks.harness import Row, Unavailable
from rawproto.errors import RawprotoError
from rawproto.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


SOURCE = Path(__file__).with_name("link_rival.c")
RAW_PACKETS = 64 * 800
UDP_CALLS = 12_000
ROUNDS = 4000


class Bench:
    """Two hosts on a veth pair, and the rival compiled into a folder of its own."""

    def __init__(self, lab: Lab, folder: Path, **impairments: Any) -> None:
        self.sender, self.receiver = lab.hosts("sender", "receiver")
        lab.link(self.sender, self.receiver, **impairments)
        self.folder = folder
        self.rival = folder / "link_rival"
        self._compiler = shutil.which("cc")
        self._files = 0

    def compiled(self) -> str:
        """Path of the rival; raises Unavailable."""
        if self._compiler is None:
            raise Unavailable("there is no C compiler (cc) here")
        if not self.rival.exists():
            command = [self._compiler, "-O2", "-o", str(self.rival), str(SOURCE)]
            built = subprocess.run(command, capture_output=True, text=True, check=False)
            if built.returncode:
                raise Unavailable(f"cc does not compile the rival: {built.stderr.strip()[:200]}")
        return str(self.rival)

    def c_rate(self, mode: str, count: int) -> float:
        """Packets a second that arrive when two C programs exchange them."""
        program = self.compiled()
        with self.receiver.popen(
            [program, f"{mode}-recv"], stdout=subprocess.PIPE, text=True, env=on_processor(1)
        ) as receiving:
            assert receiving.stdout is not None
            receiving.stdout.readline()
            destination = self.receiver.address(4)
            sending = [program, f"{mode}-send", destination, str(count)]
            self.sender.run(sending, check=True, timeout=60, env=on_processor(0))
            answer = receiving.stdout.read().split()
        return int(answer[0]) / float(answer[1])

    def our_rate(
        self, send: Callable[..., Any], receive: Callable[..., Any], count: int, *args: Any
    ) -> float:
        """The same with ours."""
        self._files += 1
        ready = self.folder / f"ready{self._files}"
        receiving = self.receiver.start(pinned, 1, receive, str(ready), *args[:1])
        wait_for(ready, receiving)
        self.sender.call(pinned, 0, send, self.receiver.address(4), count, *args[1:], timeout=60)
        packets, seconds, _ = receiving.result(30)
        return float(packets / seconds)

    def raw_rate(self) -> float:
        """Packets a second over two raw links."""
        return self.our_rate(link_work.send_raw, link_work.receive_raw, RAW_PACKETS)

    def packet_rate(self, receive: Callable[..., Any] = link_work.receive_packet) -> float:
        """Packets a second over two packet links."""
        ends = self.receiver.address(4), self.sender.address(4)
        return self.our_rate(link_work.send_packet, receive, RAW_PACKETS, *ends)

    def exclusive_rate(self) -> float:
        """As :meth:`packet_rate`, the receiver's IP stack being kept out of it."""
        return self.packet_rate(link_work.receive_exclusive)

    def c_ping(self) -> float:
        """Microseconds of one request and response between C programs."""
        run = self.sender.run(
            [self.compiled(), "ping", self.receiver.address(4), str(ROUNDS)],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
            env=on_processor(0),
        )
        return float(run.stdout) * 1e6

    def our_ping(self) -> float:
        """The same with the asking side in Python."""
        return (
            float(self.sender.call(pinned, 0, link_work.ping, self.receiver.address(4), ROUNDS, timeout=60))
            * 1e6
        )


def nft() -> str:
    """Path of the nftables command; raises Unavailable."""
    found = shutil.which("nft") or shutil.which("nft", path="/usr/sbin:/sbin")
    if found is None:
        raise Unavailable("nft is not installed")
    return found


# Sender and receiver stay on a processor each: where the scheduler puts a woken receiver is worth a factor of two.
PROCESSORS = sorted(os.sched_getaffinity(0))


def on_processor(which: int) -> dict[str, str]:
    return {**os.environ, "BENCH_CPU": str(PROCESSORS[which % len(PROCESSORS)])}


def pinned(which: int, function: Callable[..., Any], *args: Any) -> Any:
    os.sched_setaffinity(0, {PROCESSORS[which % len(PROCESSORS)]})
    return function(*args)


def wait_for(path: Path, receiving: Any) -> None:
    """Until the receiver has opened its link, which it says by making a file."""
    while not path.exists():
        if receiving.poll() is not None:
            receiving.result(1)
            raise RuntimeError("the receiver ended before it began")
        time.sleep(0.005)


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder, Lab() as lab:
        bench = Bench(lab, Path(folder))
        yield Row(
            "raw IP, 1480 bytes x 64, one way",
            unit="packets/s",
            better="higher",
            ours=bench.raw_rate,
            rivals={"C sendmmsg/recvmmsg": lambda: bench.c_rate("raw", RAW_PACKETS)},
            expect={"C sendmmsg/recvmmsg": 0.95},
        )
        yield from packet_rows(bench)
        yield Row(
            "UDP with segmentation offload, 1472 bytes x 44, one way",
            unit="packets/s",
            better="higher",
            ours=lambda: bench.our_rate(link_work.send_udp, link_work.receive_udp, UDP_CALLS),
            rivals={"C UDP_SEGMENT/UDP_GRO": lambda: bench.c_rate("udp", UDP_CALLS)},
            expect={"C UDP_SEGMENT/UDP_GRO": 0.85},
        )
        yield from ping_rows(bench, lab)


def packet_rows(bench: Bench) -> Iterator[Row]:
    """The packet link against the raw link.

    A packet socket gets a copy of each packet, and the receiver's IP stack still works on the packet itself. The first
    row is of an exclusive link, whose rule at ingress drops it behind the copy; the second of one without.
    """
    try:
        bench.receiver.call(link_work.open_exclusive, bench.receiver.address(4), timeout=60)
    except RawprotoError as reason:
        print(f"\nlink: packet link, the IP stack spared: not measured, {reason}")
    else:
        yield Row(
            "packet link, the IP stack spared by a rule at ingress, 1480 bytes x 64, one way",
            unit="packets/s",
            better="higher",
            ours=bench.exclusive_rate,
            rivals={"raw link": bench.raw_rate},
            expect={"raw link": 1.3},
        )
    yield Row(
        "packet link, no rule, 1480 bytes x 64, one way",
        unit="packets/s",
        better="higher",
        ours=bench.packet_rate,
        rivals={"raw link": bench.raw_rate},
    )


def ping_rows(bench: Bench, lab: Lab) -> Iterator[Row]:
    """The responder is the same C program for both."""
    try:
        program = bench.compiled()
    except Unavailable as reason:
        print(f"\nlink: request and response: not measured, {reason}")
        return
    with bench.receiver.popen(
        [program, "echo"], stdout=subprocess.PIPE, text=True, env=on_processor(1)
    ) as echoing:
        assert echoing.stdout is not None
        echoing.stdout.readline()
        yield Row(
            "request and response of 64 bytes, raw IP",
            unit="us",
            better="lower",
            ours=bench.our_ping,
            rivals={"C sendto/recv": bench.c_ping},
            expect={"C sendto/recv": 1 / 1.3},
        )
        echoing.kill()
