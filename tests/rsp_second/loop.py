"""A host on a UDP socket of loopback: the only place here that knows sockets and the clock."""

from __future__ import annotations

import random
import select
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from .host import Host
from .sending import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 100 * SECOND  # until a test that hangs is given up


class Loop:
    """Runs a host in the calling thread; `loss` of the datagrams of both directions vanish, by a seed."""

    def __init__(self, *, loss: float = 0.0, seed: int = 1, **settings: Any) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.host = Host(self.port, seed, **settings)
        self.loss, self.chance = loss, random.Random(seed)

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def now(self) -> int:
        return time.monotonic_ns()

    def beside(self, function: Callable[[], Any], each: Callable[[], Any] = lambda: None) -> Any:
        """What `function` gives, which blocks in a thread of its own while the host runs here."""
        with ThreadPoolExecutor(1) as thread:
            future = thread.submit(function)
            self.until(future.done, each)
            return future.result()

    def until(self, true: Callable[[], Any], each: Callable[[], Any] = lambda: None) -> None:
        """Run until something is true, calling `each` again and again."""
        deadline = self.now + PATIENCE
        while not true():
            assert self.now < deadline, "it did not come to pass"
            self._step()
            each()
        self._send()

    def _step(self) -> None:
        self._send()
        due = self.host.due
        wait = 0.01 if due is None else min(max(0, due - self.now) / SECOND, 0.01)
        if select.select([self.socket], [], [], wait)[0]:
            self._receive()
        self.host.on_time(self.now)

    def _lost(self) -> bool:
        return self.chance.random() < self.loss

    def _receive(self) -> None:
        for _ in range(64):
            try:
                data, address = self.socket.recvfrom(65_535)
            except BlockingIOError:
                return
            except ConnectionRefusedError:
                continue
            if not self._lost():
                self.host.on_datagram(data, address, self.now)

    def _send(self) -> None:
        for data, address in self.host.poll(self.now):
            if self._lost():
                continue
            try:
                self.socket.sendto(data, address)
            except (BlockingIOError, ConnectionRefusedError):
                pass  # lost, as on any network

    def close(self) -> None:
        self.socket.close()
