"""Names of the routers, looked up while the trace goes on."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from typing import Final

from rawproto import AddrError, DNSError, Resolver

__all__ = ["Names"]

PATIENCE: Final = 2.0
"""Seconds a name may take; the trace itself does not wait for it."""


class Names:
    """Addresses to names, each asked for once; without ``wanted`` every name is ""."""

    def __init__(self, *, wanted: bool) -> None:
        self._resolver = Resolver(timeout=PATIENCE) if wanted else None
        self._pool = ThreadPoolExecutor(16, thread_name_prefix="names") if wanted else None
        self._asked: dict[str, Future[str]] = {}

    def ask(self, address: str) -> None:
        """Begin to look ``address`` up."""
        if self._pool is not None and address not in self._asked:
            self._asked[address] = self._pool.submit(self._look_up, address)

    def of(self, address: str) -> str:
        """The name of ``address``, or "" when it has none."""
        self.ask(address)
        if address not in self._asked:
            return ""
        try:
            return self._asked[address].result(2 * PATIENCE)
        except TooLate:
            return ""

    def _look_up(self, address: str) -> str:
        assert self._resolver is not None
        try:
            found = self._resolver.lookup_addr(address)
        except (DNSError, AddrError, OSError):
            return ""
        return found[0].removesuffix(".") if found else ""

    def close(self) -> None:
        """Wait for nothing any more."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
