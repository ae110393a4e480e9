"""What the two processes of soak_net.py do: transfers with checked hashes, and a look at their own resources."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import gc
import hashlib
import random
import struct
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rawproto
from rawproto import RSPConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CARRIERS", "ask_for_hours", "limit_heaps", "serve_for_hours"]

CARRIERS = {"rsp4": 4001, "rsp6": 4002, "rsp+udp4": 4003}
"""Networks and the port of each."""
CONFIG = RSPConfig(integrity="xxh3", idle_timeout=120.0, keepalive=15.0, linger=60.0, handshake_timeout=60.0)
"""Damage on the link is what UDP's sum of 16 bits may miss; the link is down for seconds now and then; and a peer whose
RESET was lost is only missed by one who asks whether it is there."""
ARENAS = 1
"""Heaps of malloc in each process. By default glibc has up to eight a processor for the threads, and what lies free in
one serves no thread of another: resident memory then rises for hours towards the sum of what each heap once needed,
though nothing more is held. With one heap it follows what is held, and a leak shows."""
_M_ARENA_MAX = -8  # malloc.h
ORDER = struct.Struct("!QQQ")
"""What a client asks for: bytes to come, bytes wanted, seed."""
MOST = 2 << 20
STEP = 64 * 1024
SAMPLE_EVERY = 5.0
PATIENCE = 300.0
"""Seconds that one operation may take before the soak calls it a failure."""
END_WAIT = 90.0


def chunks(seed: int, size: int) -> Iterator[bytes]:
    """``size`` bytes of ``seed``, the same at both ends."""
    source = random.Random(seed)
    while size:
        step = min(size, STEP)
        yield source.randbytes(step)
        size -= step


def digest_of(seed: int, size: int) -> bytes:
    """SHA-256 of what :func:`chunks` gives."""
    digest = hashlib.sha256()
    for chunk in chunks(seed, size):
        digest.update(chunk)
    return digest.digest()


def take(conn: Any, size: int) -> bytes:
    """SHA-256 of the next ``size`` bytes."""
    digest = hashlib.sha256()
    while size:
        data = conn.read(min(size, STEP))
        if not data:
            raise EOFError(f"{size} bytes are missing")
        digest.update(data)
        size -= len(data)
    return digest.digest()


@dataclasses.dataclass
class Tally:
    """What a process did and how it fared."""

    transfers: int = 0
    bytes: int = 0
    aborted: list[str] = dataclasses.field(default_factory=list)
    """Network and address of each connection that the client aborted on purpose."""
    cut: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    """Likewise of each that ended for the server with an error, and the error."""
    failures: list[str] = dataclasses.field(default_factory=list)
    samples: list[dict[str, float]] = dataclasses.field(default_factory=list)
    before: dict[str, float] = dataclasses.field(default_factory=dict)
    after: dict[str, float] = dataclasses.field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return dataclasses.asdict(self)


def resources() -> dict[str, float]:
    """Resident bytes, blocks that Python's allocator has given out, descriptors and threads of this process."""
    status = dict(
        line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line
    )
    return {
        "at": time.monotonic(),
        "resident": int(status["VmRSS"].split()[0]) * 1024,
        "blocks": sys.getallocatedblocks(),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "threads": int(status["Threads"]),
    }


def watch(tally: Tally, over: threading.Event) -> None:
    """Take a sample now and then."""
    while not over.wait(SAMPLE_EVERY):
        tally.samples.append(resources())


def settle(tally: Tally) -> None:
    """Wait until what was closed has gone; the drivers end by themselves."""
    stop = time.monotonic() + END_WAIT
    while time.monotonic() < stop:
        gc.collect()
        tally.after = resources()
        if all(tally.after[name] <= tally.before[name] for name in ("descriptors", "threads")):
            return
        time.sleep(0.5)


# ---- the server -----------------------------------------------------------------------------------------------


def serve_for_hours(addresses: dict[str, str], ready: str, stop: str) -> dict[str, Any]:
    """Answer on every carrier until the file ``stop`` exists; ``ready`` is made when all are listening."""
    tally = Tally()
    warm_up()
    tally.before = resources()
    over = threading.Event()
    workers: set[threading.Thread] = set()
    with contextlib.ExitStack() as stack:
        for network, port in CARRIERS.items():
            listener = stack.enter_context(
                rawproto.listen(
                    network, rawproto.join_host_port(addresses[network], str(port)), config=CONFIG
                )
            )
            acceptor = threading.Thread(target=accept_all, args=(listener, tally, workers))
            acceptor.start()
            stack.callback(acceptor.join)
            stack.callback(listener.close)
        watcher = threading.Thread(target=watch, args=(tally, over))
        watcher.start()
        Path(ready).touch()
        while not Path(stop).exists():
            time.sleep(0.2)
        over.set()
        watcher.join()
    for worker in list(workers):
        worker.join(PATIENCE)
    settle(tally)
    return tally.document()


def accept_all(listener: Any, tally: Tally, workers: set[threading.Thread]) -> None:
    """A thread for each connection."""
    for conn in listener:
        worker = threading.Thread(target=attend, args=(conn, tally, workers))
        workers.add(worker)
        worker.start()


def attend(conn: Any, tally: Tally, workers: set[threading.Thread]) -> None:
    """Serve one client. Some clients are meant to go in the middle: whether this one was, the client's tally tells."""
    try:
        with conn:
            conn.set_deadline(PATIENCE)
            while order := conn.read(ORDER.size):
                order += conn.read_exactly(ORDER.size - len(order))
                up, down, seed = ORDER.unpack(order)
                conn.write(take(conn, up))
                for chunk in chunks(~seed & 0xFFFF_FFFF, down):
                    conn.write(chunk)
                tally.transfers += 1
                tally.bytes += up + down
    except (OSError, EOFError) as error:
        tally.cut.append((f"{conn.network} {conn.remote_addr}", repr(error)))
    finally:
        workers.discard(threading.current_thread())


# ---- the client -----------------------------------------------------------------------------------------------


def ask_for_hours(addresses: dict[str, str], seconds: float, seed: int, at_once: int) -> dict[str, Any]:
    """Run transfers, ``at_once`` of them at a time, for so long."""
    tally = Tally()
    warm_up()
    tally.before = resources()
    over = threading.Event()
    end = time.monotonic() + seconds
    workers = [
        threading.Thread(target=work, args=(addresses, end, random.Random(seed + index), tally))
        for index in range(at_once)
    ]
    workers.append(threading.Thread(target=watch, args=(tally, over)))
    for worker in workers:
        worker.start()
    for worker in workers[:-1]:
        worker.join()
    over.set()
    workers[-1].join()
    settle(tally)
    return tally.document()


def work(addresses: dict[str, str], end: float, rng: random.Random, tally: Tally) -> None:
    """One connection after the other until ``end``."""
    while time.monotonic() < end:
        network = rng.choice(list(CARRIERS))
        try:
            converse(network, addresses[network], rng, tally)
        except Exception as error:  # whatever it is, the soak wants to know
            tally.failures.append(f"client, {network}: {error!r}")


def converse(network: str, address: str, rng: random.Random, tally: Tally) -> None:
    """One connection: some transfers both ways with checked hashes, and an end of one kind or another."""
    where = rawproto.join_host_port(address, str(CARRIERS[network]))
    with rawproto.dial(network, where, timeout=60, config=CONFIG) as conn:
        for _ in range(rng.randrange(1, 5)):
            conn.set_deadline(PATIENCE)
            up, down = (int(MOST ** rng.random()) for _ in range(2))
            seed = rng.getrandbits(32)
            conn.write(ORDER.pack(up, down, seed))
            for chunk in chunks(seed, up):
                conn.write(chunk)
            if rng.random() < 0.05:
                tally.aborted.append(f"{network} {conn.local_addr}")
                conn.abort()
                return
            if conn.read_exactly(32) != digest_of(seed, up):
                raise AssertionError(f"what went up is not what arrived (seed {seed}, {up} bytes)")
            if take(conn, down) != digest_of(~seed & 0xFFFF_FFFF, down):
                raise AssertionError(f"what came down is not what was sent (seed {seed}, {down} bytes)")
            tally.transfers += 1
            tally.bytes += up + down
        if rng.random() < 0.5:
            conn.close_write()
            if conn.read():
                raise AssertionError("bytes behind the end")


def limit_heaps() -> None:
    """Leave this process and its children :data:`ARENAS` heaps; called before any thread starts and gets one."""
    with contextlib.suppress(AttributeError):  # not every libc has it
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS)


def warm_up() -> None:
    """Load and start once what stays: numpy, the drivers' modules, the thread of the registry."""
    config = RSPConfig(handshake_timeout=5.0)
    with (
        rawproto.listen("rsp+udp4", "127.0.0.1:0", config=config) as listener,
        rawproto.dial("rsp+udp4", listener.addr, timeout=5, config=config) as conn,
        listener.accept() as accepted,
    ):
        conn.write(b"warm")
        accepted.read()
    time.sleep(2)
