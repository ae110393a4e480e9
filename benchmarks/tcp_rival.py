"""The rival of bench_rsp.py in the kernel: TCP from Python, through plain blocking sockets."""

from __future__ import annotations

import hashlib
import socket
import time
from pathlib import Path

PORT = 4001


def _tune(sock: socket.socket, congestion: str | None) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if congestion is not None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())


def _accepted(host: str, ready: str, congestion: str | None) -> socket.socket:
    with socket.create_server((host, PORT)) as listener:
        _tune(listener, congestion)
        Path(ready).touch()
        sock, _ = listener.accept()
    _tune(sock, congestion)
    return sock


def _connected(host: str, congestion: str | None) -> socket.socket:
    sock = socket.socket()
    _tune(sock, congestion)
    sock.connect((host, PORT))
    return sock


def serve(host: str, ready: str, congestion: str | None = None) -> tuple[int, float]:
    """Take one connection and read it to its end: how many bytes, and seconds of CPU."""
    buffer = bytearray(1 << 20)
    total = 0
    with _accepted(host, ready, congestion) as sock:
        began = time.process_time()
        while count := sock.recv_into(buffer):
            total += count
        used = time.process_time() - began
        sock.sendall(total.to_bytes(8, "big"))
    return total, used


def send(host: str, size: int, congestion: str | None = None) -> tuple[float, float]:
    """Seconds from the first byte to the word that all of ``size`` bytes is there, and seconds of CPU."""
    data = hashlib.shake_256(b"bench").digest(1 << 20)
    with _connected(host, congestion) as sock:
        began, used = time.perf_counter(), time.process_time()
        for _ in range(size >> 20):
            sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        assert int.from_bytes(_exactly(sock, 8), "big") == size
        return time.perf_counter() - began, time.process_time() - used


def count_arrivals(host: str, port: int, ready: str, seconds: float) -> int:
    """Bytes of one connection that arrive in the ``seconds`` after its first one."""
    total = 0
    with socket.create_server((host, port)) as listener:
        Path(ready).touch()
        sock, _ = listener.accept()
        with sock:
            total += len(sock.recv(1 << 18))
            until = time.monotonic() + seconds
            while time.monotonic() < until and (data := sock.recv(1 << 18)):
                total += len(data)
    return total


def flood(host: str, port: int, seconds: float, congestion: str | None = None) -> None:
    """Write for ``seconds``, or until the peer has had enough."""
    data = bytes(1 << 16)
    until = time.monotonic() + seconds
    with socket.socket() as sock:
        _tune(sock, congestion)
        sock.connect((host, port))
        try:
            while time.monotonic() < until:
                sock.sendall(data)
        except OSError:
            pass


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def echo(host: str, ready: str, size: int) -> None:
    """Answer messages of ``size`` bytes until the peer ends."""
    with _accepted(host, ready, None) as sock:
        try:
            while True:
                sock.sendall(_exactly(sock, size))
        except EOFError:
            pass


def ask(host: str, size: int, rounds: int) -> list[float]:
    """Microseconds of each of ``rounds`` requests and responses of ``size`` bytes."""
    message = bytes(size)
    times = []
    with _connected(host, None) as sock:
        for turn in range(rounds + rounds // 10):
            began = time.perf_counter_ns()
            sock.sendall(message)
            _exactly(sock, size)
            if turn >= rounds // 10:
                times.append((time.perf_counter_ns() - began) / 1e3)
    return times
