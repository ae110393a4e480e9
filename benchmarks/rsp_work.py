"""What the two processes of bench_rsp.py do on our side."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from rawproto import RSPConfig, dial, listen

PORT = 4000


def serve(network: str, host: str, ready: str, config: RSPConfig | None = None) -> tuple[int, float]:
    """Take one connection and read it to its end: bytes, and seconds of CPU; ``ready`` is made when listening."""
    buffer = bytearray(1 << 20)
    total = 0
    with listen(network, f"{host}:{PORT}", config=config) as listener:
        Path(ready).touch()
        with listener.accept() as conn:
            began = time.process_time()
            while count := conn.readinto(buffer):
                total += count
            used = time.process_time() - began
            conn.write(total.to_bytes(8, "big"))
            conn.close_write()
            linger(conn)
    return total, used


def send(network: str, host: str, size: int, config: RSPConfig | None = None) -> tuple[float, float]:
    """Seconds from the first write to the word that all of ``size`` bytes is there, and seconds of CPU."""
    data = hashlib.shake_256(b"bench").digest(1 << 20)
    with dial(network, f"{host}:{PORT}", timeout=10, config=config) as conn:
        began, used = time.perf_counter(), time.process_time()
        for _ in range(size >> 20):
            conn.write(data)
        conn.close_write()
        assert int.from_bytes(conn.read_exactly(8), "big") == size
        seconds, used = time.perf_counter() - began, time.process_time() - used
        linger(conn)
    return seconds, used


def count_arrivals(network: str, host: str, port: int, ready: str, seconds: float) -> int:
    """Bytes of one connection that arrive in the ``seconds`` after its first one."""
    buffer = bytearray(1 << 18)
    total = 0
    with listen(network, f"{host}:{port}") as listener:
        Path(ready).touch()
        with listener.accept() as conn:
            total += conn.readinto(buffer)
            until = time.monotonic() + seconds
            while time.monotonic() < until and (count := conn.readinto(buffer)):
                total += count
            conn.abort()
    return total


def flood(network: str, host: str, port: int, seconds: float) -> None:
    """Write for ``seconds``, or until the peer has had enough."""
    data = bytes(1 << 16)
    until = time.monotonic() + seconds
    with dial(network, f"{host}:{port}", timeout=10) as conn:
        try:
            while time.monotonic() < until:
                conn.write(data)
        except OSError:
            pass
        conn.abort()


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


def ask(network: str, host: str, size: int, rounds: int) -> list[float]:
    """Microseconds of each of ``rounds`` requests and responses of ``size`` bytes."""
    message = bytes(size)
    times = []
    with dial(network, f"{host}:{PORT}", timeout=10) as conn:
        for turn in range(rounds + rounds // 10):
            began = time.perf_counter_ns()
            conn.write(message)
            conn.read_exactly(size)
            if turn >= rounds // 10:
                times.append((time.perf_counter_ns() - began) / 1e3)
        conn.close_write()
        linger(conn)
    return times


def linger(conn) -> None:
    """Processes of the lab end at once: wait until the peer knows that it is over, too."""
    while conn.stats().state not in (None, "draining", "closed"):
        time.sleep(0.002)
