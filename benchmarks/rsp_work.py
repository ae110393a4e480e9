"""What the two processes of bench_rsp.py do on our side."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from rawproto import RSPConfig, dial, listen

PORT = 4000


def serve(network: str, host: str, ready: str, config: RSPConfig | None = None) -> int:
    """Take one connection, read it to its end, and say how much that was; ``ready`` is made when listening."""
    buffer = bytearray(1 << 20)
    total = 0
    with listen(network, f"{host}:{PORT}", config=config) as listener:
        Path(ready).touch()
        with listener.accept() as conn:
            while count := conn.readinto(buffer):
                total += count
            conn.write(total.to_bytes(8, "big"))
            conn.close_write()
            linger(conn)
    return total


def send(network: str, host: str, size: int, config: RSPConfig | None = None) -> float:
    """Seconds from the first write to the word that all of ``size`` bytes is there."""
    data = hashlib.shake_256(b"bench").digest(1 << 20)
    with dial(network, f"{host}:{PORT}", timeout=10, config=config) as conn:
        began = time.perf_counter()
        for _ in range(size >> 20):
            conn.write(data)
        conn.close_write()
        assert int.from_bytes(conn.read_exactly(8), "big") == size
        seconds = time.perf_counter() - began
        linger(conn)
    return seconds


def echo(network: str, host: str, ready: str, size: int) -> None:
    """Answer messages of ``size`` bytes until the peer ends."""
    with listen(network, f"{host}:{PORT}") as listener:
        Path(ready).touch()
        with listener.accept() as conn:
            try:
                while True:
                    conn.write(conn.read_exactly(size))
            except EOFError:
                conn.close_write()
                linger(conn)


def ask(network: str, host: str, size: int, rounds: int) -> float:
    """Median microseconds of a request and its response of ``size`` bytes each."""
    message = bytes(size)
    times = []
    with dial(network, f"{host}:{PORT}", timeout=10) as conn:
        for _ in range(rounds):
            began = time.perf_counter_ns()
            conn.write(message)
            conn.read_exactly(size)
            times.append(time.perf_counter_ns() - began)
        conn.close_write()
        linger(conn)
    return sorted(times)[rounds // 2] / 1e3


def linger(conn) -> None:
    """Processes of the lab end at once: wait until the peer knows that it is over, too."""
    while conn.stats().state not in (None, "draining", "closed"):
        time.sleep(0.002)
