"""The lab: what the relay carries and how true it is to what was asked, and how fast virtual time goes."""

from __future__ import annotations

import mmap
import os
import socket
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.harness import Goal, Row
from rawproto import DatagramProtocol, Lab, Simulation
from rawproto.lab.impair import Direction
from rawproto.lab.spec import Impairments
from rawproto.link.linux import recvmmsg, sendmmsg
from rawproto.link.tables import ReceiveTable, SendTable
from rawproto.wire import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator

PORT = 5000
SIZE = 1400
PACKETS = 80_000
LOSS = 0.01
# Packets on their way at once: more than 10 ms hold at 200,000 a second, fewer than the kernel's queues have room for.
WINDOW = 2_000
GOAL = 100_000
PINGS = 40


def _source(address: str, seen: mmap.mmap, packets: int, loss: float) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((address, PORT))
        table = SendTable(64)
        batch = Batch(np.zeros((64, SIZE), np.uint8))
        table.load(batch)
        sent = missing = last = 0
        moved = time.monotonic()
        while sent < packets:
            got = int.from_bytes(seen[:8], "little")
            if got != last:
                last, moved = got, time.monotonic()
            elif time.monotonic() - moved > 0.05:
                missing = sent - got  # lost beyond what was asked for; the figure shows it
                moved = time.monotonic()
            if sent * (1 - loss) - missing - got < WINDOW:
                sent += max(sendmmsg(sender.fileno(), table.message(0), 64, 0), 0)
            else:
                time.sleep(0.0002)


def _sink(address: str, seen: mmap.mmap, packets: int, ready: int) -> float:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        receiver.settimeout(0.5)
        receiver.bind((address, PORT))
        os.write(ready, b"r")
        table = ReceiveTable(64, 2048, 0, 0, limit=2048)
        first = last = 0.0
        got = 0
        while got < packets:
            came = recvmmsg(receiver.fileno(), table.address, 64, socket.MSG_DONTWAIT)
            if came > 0:
                table.reset(came)
                got += came
                seen[:8] = got.to_bytes(8, "little")
                last = time.monotonic()
                first = first or last
            elif last and time.monotonic() - last > 0.3:
                break
            else:
                time.sleep(0.0002)
        return got / (last - first)


def packets_a_second(a: Any, b: Any, loss: float) -> float:
    """Packets a second that arrive at ``b``, with as many on their way as the window allows."""
    with mmap.mmap(-1, 8) as seen:
        is_ready, ready = os.pipe()
        arriving = b.start(_sink, b.address(), seen, int(PACKETS * (1 - loss) * 0.99), ready)
        os.read(is_ready, 1)
        sending = a.start(_source, b.address(), seen, PACKETS, loss)
        rate: float = arriving.result(timeout=60)
        sending.kill()
        sending.wait()
        os.close(is_ready)
        os.close(ready)
        return rate


def relay_rate(link: Any, a: Any, b: Any) -> float:
    """Packets for each second of the relay's own processor time: what it would carry with a processor to itself."""
    before, used = link.stats(toward=b).received, _processor_time(link.process_id)
    packets_a_second(a, b, LOSS)
    return (link.stats(toward=b).received - before) / (_processor_time(link.process_id) - used)


def _processor_time(process: int) -> float:
    """Seconds that a process has spent on a processor (proc(5): utime and stime)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def echo_time(a: Any, b: Any) -> float:
    """Median of the kernel's answers to ICMP echo, in milliseconds."""
    with a:
        ping = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    ping.settimeout(5)
    times = []
    with ping:
        for number in range(PINGS):
            # Type 8, code 0, identifier and number (RFC 792), the checksum of these words.
            words = (0x0800, 0x4C42, number)
            check = ~sum(words) & 0xFFFF if sum(words) < 0x10000 else ~(sum(words) - 0xFFFF) & 0xFFFF
            packet = b"".join(word.to_bytes(2, "big") for word in (0x0800, check, *words[1:]))
            begin = time.perf_counter()
            ping.sendto(packet, (b.address(), 0))
            while ping.recv(2048)[20] != 0:
                pass
            times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1000


def tcp_rate(a: Any, b: Any, size: int) -> float:
    """Mbit/s, in IP packets, of one kernel TCP stream."""
    with b:
        listener = socket.create_server((b.address(), 0))
    with listener:
        sending = a.start(_stream, listener.getsockname(), size)
        connection, _ = listener.accept()
        with connection:
            buffer = bytearray(1 << 18)
            got = connection.recv_into(buffer)
            begin = time.perf_counter()
            first = got
            while count := connection.recv_into(buffer):
                got += count
            elapsed = time.perf_counter() - begin
        sending.result(timeout=30)
    # 52 bytes of IP and TCP headers with timestamps for each 1448 of payload.
    return (got - first) * 8 / elapsed / 1e6 * 1500 / 1448


def _stream(address: Any, size: int) -> None:
    with socket.create_connection(address) as connection:
        connection.sendall(bytes(size))


def relay_rows() -> Iterator[Row]:
    """What the relay carries, and how true it is."""
    with Lab("bench") as lab:
        a, b, c, d = lab.hosts("a", "b", "c", "d")
        link = lab.link(a, b, delay="10ms", loss=LOSS, seed=7)
        lab.link(c, d)
        yield Row(
            "packets of 1400 bytes through the relay, 10 ms and 1 % loss",
            "packets/s",
            "higher",
            lambda: packets_a_second(a, b, LOSS),
            {"the goal": Goal(GOAL), "a bare veth": lambda: packets_a_second(c, d, 0)},
            {"the goal": 1.0},
        )
        yield Row(
            "packets for each second of the relay's processor time",
            "packets/s",
            "higher",
            lambda: relay_rate(link, a, b),
            {"the goal": Goal(GOAL)},
            {"the goal": 1.0},
            rounds=3,
        )
        yield Row(
            "loss of 1 %, as it came out",
            "%",
            "lower",
            lambda: lost_share(link, b),
            {"asked": Goal(LOSS * 100)},
            {"asked": 0.95},
            rounds=1,
        )
        link.set(loss=0)
        yield Row(
            "kernel ICMP echo over 10 ms each way",
            "ms",
            "lower",
            lambda: echo_time(a, b),
            {"asked": Goal(20)},
            {"asked": 0.95},
            rounds=3,
        )
        link.set(rate="50mbit", delay="2ms")
        yield Row(
            "kernel TCP over 50 Mbit/s",
            "Mbit/s",
            "higher",
            lambda: tcp_rate(a, b, 10_000_000),
            {"asked": Goal(50)},
            {"asked": 0.95},
            rounds=3,
        )


def kernel_rows() -> Iterator[Row]:
    """What the kernel keeps of a rate, beside the relay."""
    with Lab("bench") as lab:
        a, b, c, d = lab.hosts("a", "b", "c", "d")
        words = {"rate": "200mbit", "limit": 300}
        kernel = lab.link(a, b, **words)
        lab.link(c, d, **words, relay=True)
        yield Row(
            f"kernel TCP over 200 Mbit/s, by {kernel.means}",
            "Mbit/s",
            "higher",
            lambda: tcp_rate(a, b, 20_000_000),
            {"asked": Goal(200), "the relay": lambda: tcp_rate(c, d, 20_000_000)},
            {"asked": 0.95},
            rounds=3,
        )


def lost_share(link: Any, toward: Any) -> float:
    """Share of the packets so far that were lost by chance, in percent."""
    stats = link.stats(toward=toward)
    return 100 * float(stats.lost) / float(stats.received)


class Echo(DatagramProtocol):
    """Sends back what comes, so many times."""

    def __init__(self, turns: int) -> None:
        super().__init__()
        self.turns = turns

    def datagram_received(self, data: bytes, source: Any, now: int) -> None:
        """Send it back."""
        if self.turns:
            self.turns -= 1
            self.send(data, source)


def simulated_round_trips(count: int) -> float:
    """Packets a second of a simulation with two endpoints and a bad link."""
    simulation = Simulation(1)
    a, b = simulation.hosts("a", "b")
    simulation.link(a, b, delay="10ms", jitter="1ms", rate="1gbit")
    near, far = a.run(Echo(count)), b.run(Echo(count))
    begin = time.perf_counter()
    near.do(lambda protocol, now: protocol.send(bytes(1000), far.address))
    simulation.run()
    return 2 * count / (time.perf_counter() - begin)


def engine_rate(batch: int) -> float:
    """Packets a second that the impairment engine alone decides on."""
    words = {"delay": "10ms", "loss": 0.01, "reorder": 0.02, "duplicate": 0.01, "corrupt": 0.005}
    engine = Direction(Impairments.of(**words, rate="10gbit"), 1, "forward")
    sizes = [1500] * batch
    count = 50_000 // batch
    begin = time.perf_counter()
    for turn in range(count):
        engine.admit(sizes, turn * batch * 2000)
    return count * batch / (time.perf_counter() - begin)


def rows() -> Iterator[Row]:
    """All rows of the room."""
    yield from relay_rows()
    yield from kernel_rows()
    yield Row(
        "decisions of the impairment engine, 64 packets a call",
        "packets/s",
        "higher",
        lambda: engine_rate(64),
        {"one packet a call": lambda: engine_rate(1)},
    )
    yield Row(
        "simulated packets, two endpoints",
        "packets/s",
        "higher",
        lambda: simulated_round_trips(10_000),
        {"the planning figure (40 us a packet)": Goal(25_000)},
        {"the planning figure (40 us a packet)": 0.5},
    )
