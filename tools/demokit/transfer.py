"""The application at both ends: a file goes one way, its SHA-256 comes back.

These two functions are all of rawproto that a program needs to use: dial, listen, read, write.
"""

from __future__ import annotations

import dataclasses
import hashlib
import threading
import time
from typing import TYPE_CHECKING, Any

from rawproto import dial, drop_privileges, listen

from .result import Side

if TYPE_CHECKING:
    from rawproto import Conn, RSPConfig

    from .messages import Reporter
    from .source import Source

__all__ = ["PORT", "receive", "send"]

PORT = 4000
_DIGEST_SIZE = hashlib.sha256().digest_size
_INTERVAL = 0.1


def send(source: Source, address: str, config: RSPConfig, reporter: Reporter) -> tuple[Side, float]:
    """Send ``source`` to ``address``; gives what this side counted, and the seconds it took.

    Raises:
        OpError: the connection failed.
    """
    digest = hashlib.sha256()
    with dial("rsp", address, timeout=30, config=config) as conn:
        drop_privileges()
        over = threading.Event()
        watcher = threading.Thread(target=_watch, args=(conn, reporter, over), name="watcher")
        watcher.start()
        try:
            began = time.monotonic()
            size = 0
            for chunk in source.chunks():
                conn.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            conn.close_write()
            conn.read_exactly(_DIGEST_SIZE)
            seconds = time.monotonic() - began
            _wait_for_state(conn, "draining", "closed")
        finally:
            over.set()
            watcher.join()
        return _side(conn, digest.hexdigest(), size), seconds


def _watch(conn: Conn, reporter: Reporter, over: threading.Event) -> None:
    """Tell of retransmissions while the transfer runs: write() itself may wait for long."""
    while not over.wait(_INTERVAL):
        stats = conn.stats()
        reporter.say(retransmitted=stats.packets_retransmitted or 0, rtt=stats.rtt_smoothed or 0.0)


def receive(address: str, config: RSPConfig, reporter: Reporter) -> None:
    """Take one connection on ``address`` and report what it brought."""
    digest = hashlib.sha256()
    size = 0
    told = 0.0
    with listen("rsp", address, config=config) as listener:
        drop_privileges()
        reporter.say(ready=True)
        listener.set_deadline(60)
        with listener.accept() as conn:
            while data := conn.read(1 << 18):
                digest.update(data)
                size += len(data)
                if time.monotonic() - told > _INTERVAL:
                    told = time.monotonic()
                    reporter.say(arrived=size)
            reporter.say(arrived=size)
            conn.write(digest.digest())
            conn.close_write()
            reporter.say(side=dataclasses.asdict(_side(conn, digest.hexdigest(), size)))
            _wait_for_state(conn, "closed")


def _wait_for_state(conn: Conn, *states: str) -> None:
    """Processes of the lab end at once, without the farewell of a program: both sides must know that it is over.

    The receiver stays for as long as the last acknowledgement may have to be repeated.
    """
    while conn.stats().state not in states:
        time.sleep(_INTERVAL / 5)


def _side(conn: Conn, sha256: str, size: int) -> Side:
    stats: Any = conn.stats()
    return Side(
        sha256=sha256,
        size=size,
        packets_sent=stats.packets_sent or 0,
        retransmitted=stats.packets_retransmitted or 0,
        lost=stats.packets_lost or 0,
        duplicates=stats.duplicates_received or 0,
        corrupted=stats.corrupted_received or 0,
        kernel_drops=stats.kernel_drops or 0,
        rtt=stats.rtt_smoothed or 0.0,
        min_rtt=stats.rtt_minimum or 0.0,
    )
