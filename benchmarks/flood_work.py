"""A flood of forged SYNs, the server that stands in it, and an honest dialer beside it."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

import numpy as np

import rawproto
from benchmarks.net_work import PORT, resident
from rawproto import IPAddr
from rawproto.errors import OpError
from rawproto.rsp.handshake import Terms, hello_packet
from rawproto.rsp.header import Kind
from rawproto.wire import IPv4
from rawproto.wire.batch import Batch, Transmit

__all__ = ["dial_honestly", "flood", "stand"]

BATCH = 64
VARIANTS = 64
RSP = 253
KEPT = 64
"""Accepted connections kept open at a time."""
FORGED = range(20, 100)
"""First octets of forged sources: ordinary addresses, which a default route leads to."""


def flood(target: str, rate: float, seconds: float) -> float:
    """Send SYNs from forged sources, ``rate`` a second for so long; how many a second that were."""
    rng, source_rng = random.Random(1), np.random.default_rng(1)
    link = rawproto.RawLink(RSP, header_included=True, local=None)
    batches = [_forged(target, rng) for _ in range(VARIANTS)]
    destination = IPAddr(rawproto.IP(target))
    began = time.perf_counter()
    sent = turn = 0
    with link:
        while (now := time.perf_counter() - began) < seconds:
            if sent >= now * rate:
                time.sleep(0.0005)
                continue
            batch = batches[turn % VARIANTS]
            turn += 1
            batch.head[:, 12] = source_rng.integers(FORGED.start, FORGED.stop, len(batch))
            batch.head[:, 13:16] = source_rng.integers(1, 255, (len(batch), 3))
            sent += link.send(Transmit(batch, destination))
    return sent / (time.perf_counter() - began)


def _forged(target: str, rng: random.Random) -> Batch:
    """SYNs with IP headers; the sources are filled in for each sending."""
    packets = []
    for _ in range(BATCH):
        terms = Terms(rng.randrange(1024, 65536), PORT, rng.getrandbits(64), 1 << 18, 1480, 3)
        packets.append(
            bytes(IPv4(src="20.0.0.1", dst=target, protocol=RSP) / hello_packet(Kind.SYN, terms, 0))
        )
    batch = Batch.from_datagrams(packets)
    batch.head[:, 10:12] = 0  # the kernel computes the header checksum
    return batch


def stand(host: str, ready: str, stop: str) -> dict[str, float]:
    """Listen and accept until ``stop`` is there; memory before and during the flood, and what it cost."""
    kept: list[Any] = []
    with rawproto.listen("rsp4", f"{host}:{PORT}", backlog=1024) as listener:
        listener.set_deadline(0.5)
        Path(ready).touch()
        memory: list[int] = []
        used, began = time.process_time(), time.perf_counter()
        while not Path(stop).exists():
            try:
                kept.append(listener.accept())
            except TimeoutError:
                pass
            listener.set_deadline(0.5)
            if len(kept) > KEPT:
                kept.pop(0).abort()
            if not memory or time.perf_counter() - began > len(memory):
                memory.append(resident())
        used = (time.process_time() - used) / (time.perf_counter() - began)
        drops = kept[-1].stats().kernel_drops if kept else 0
        for conn in kept:
            conn.abort()
        quarter = max(len(memory) // 4, 1)
        return {
            "grown": float(max(memory[-quarter:]) - max(memory[: 2 * quarter])),
            "resident": float(memory[-1]),
            "processor": used,
            "kernel_drops": float(drops or 0),
        }


def dial_honestly(host: str, seconds: float, pause: float) -> dict[str, Any]:
    """Dial again and again; how many came through, and how long each took."""
    times, failures = [], []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        try:
            conn = rawproto.dial("rsp4", f"{host}:{PORT}", timeout=10)
        except OpError as error:
            failures.append(repr(error))
        else:
            times.append(time.perf_counter() - began)
            conn.abort()
        time.sleep(pause)
    return {"times": times, "failures": failures, "pid": os.getpid()}
