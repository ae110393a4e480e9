"""Links in memory: for tests, simulators and protocols that talk to themselves."""

from __future__ import annotations

import copy
import errno
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rawproto.addr import IP, IPAddr
from rawproto.errors import AddrError, ClosedError, OpError
from rawproto.link.base import BATCH, NOTED, Link, LinkStats
from rawproto.wire.batch import ReceivedBatch
from rawproto.wire.icmp_error import ICMPError, ICMPErrorKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rawproto.wire.batch import Transmit

__all__ = ["MemoryLink", "MemoryNetwork"]

_QUEUE: Final = 4096
_SIZE: Final = 1480
_QUOTE: Final = 556  # RFC 1812 section 4.3.2.3: an ICMP error is at most 576 bytes with its IP header


class MemoryNetwork:
    """Links that reach one another by address, without loss, in order, at once.

    What is sent to an address that never had a link vanishes, as on the wire; a link that was closed answers as a
    host without that protocol does.
    """

    def __init__(self) -> None:
        self._links: dict[Any, MemoryLink] = {}
        self._lock = threading.Lock()

    def link(self, local: Any, *, max_datagram_size: int = _SIZE, queue: int = _QUEUE) -> MemoryLink:
        """A link bound to ``local``; raises OpError (EADDRINUSE) when an open one has that address."""
        with self._lock:
            holder = self._links.get(local)
            if holder is not None and holder.fileno() >= 0:
                raise OpError(
                    os.strerror(errno.EADDRINUSE),
                    op="bind",
                    network="memory",
                    local=local,
                    errno=errno.EADDRINUSE,
                )
            made = MemoryLink(self, local, max_datagram_size=max_datagram_size, queue=queue)
            self._links[local] = made
            return made

    def find(self, address: Any) -> MemoryLink | None:
        """The link, open or closed, that has or had ``address``."""
        return self._links.get(address)


class MemoryLink(Link):
    """One end in a :class:`MemoryNetwork`; two that know one another come from :meth:`pair`.

    The receive queue is bounded: what comes while it is full is dropped and counted in ``kernel_drops``.
    """

    def __init__(self, network: MemoryNetwork, local: Any, *, max_datagram_size: int, queue: int) -> None:
        self._peers = network
        self._local_addr = local
        self._max_datagram_size = max_datagram_size
        self._limit = queue
        self._stats = LinkStats()
        self._lock = threading.Lock()
        self._arrived: deque[tuple[bytes, Any, int, int]] = deque()
        self._errors: deque[ICMPError] = deque(maxlen=NOTED)
        self._noted: deque[OSError] = deque(maxlen=NOTED)
        # The counter is above zero, and so the descriptor readable, while something is queued.
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    @classmethod
    def pair(
        cls, one: Any = None, other: Any = None, *, max_datagram_size: int = _SIZE, queue: int = _QUEUE
    ) -> tuple[MemoryLink, MemoryLink]:
        """Two links on a network of their own, with addresses 192.0.2.1 and 192.0.2.2 unless others are given."""
        network = MemoryNetwork()
        return (
            network.link(one or IPAddr(IP("192.0.2.1")), max_datagram_size=max_datagram_size, queue=queue),
            network.link(other or IPAddr(IP("192.0.2.2")), max_datagram_size=max_datagram_size, queue=queue),
        )

    @property
    def network(self) -> str:
        """Always "memory"."""
        return "memory"

    @property
    def local_addr(self) -> Any:
        """The address given at construction."""
        return self._local_addr

    @property
    def max_datagram_size(self) -> int:
        """As given at construction."""
        return self._max_datagram_size

    def send(self, transmit: Transmit) -> int:
        """See :meth:`Link.send`; takes everything, a full queue being the receiver's loss."""
        if self._fd < 0:
            raise self._closed("send")
        if transmit.destination is None:
            raise AddrError("an address without an IP cannot be a destination", "")
        peer = self._peers.find(transmit.destination)
        for datagram in transmit.batch:
            if len(datagram) > self._max_datagram_size:
                self._refuse(transmit.destination)
                continue
            self._stats.sent += 1
            self._stats.sent_bytes += len(datagram)
            if peer is not None and not peer.deliver(datagram, self._local_addr, transmit.ecn):
                self._unreachable(transmit.destination, datagram)
        return len(transmit.batch)

    def deliver(self, datagram: bytes, source: Any, ecn: int) -> bool:
        """Queue a datagram that arrived; False when the link is closed."""
        with self._lock:
            if self._fd < 0:
                return False
            if len(self._arrived) >= self._limit:
                self._stats.kernel_drops += 1
            else:
                self._signal()  # first: what is queued untold would wait for the next one
                self._arrived.append((datagram, source, ecn, time.time_ns()))
            return True

    def receive(self) -> Sequence[ReceivedBatch]:
        """See :meth:`Link.receive`."""
        with self._lock:
            if self._fd < 0:
                raise self._closed("receive")
            count = min(len(self._arrived), BATCH)
            taken = [self._arrived.popleft() for _ in range(count)]
            self._settle()
        if not taken:
            return ()
        batch = ReceivedBatch.from_arrivals(
            [(datagram, source) for datagram, source, _, _ in taken],
            destination=self._local_addr,
            ecn=[ecn for _, _, ecn, _ in taken],
        )
        batch.timestamps = np.array([stamp for *_, stamp in taken], dtype=np.int64)
        self._stats.received += len(taken)
        self._stats.received_bytes += sum(len(datagram) for datagram, *_ in taken)
        return (batch,)

    def errors(self) -> list[ICMPError]:
        """See :meth:`Link.errors`."""
        with self._lock:
            taken = list(self._errors)
            self._errors.clear()
            if self._fd >= 0:
                self._settle()
        return taken

    def send_errors(self) -> list[OSError]:
        """See :meth:`Link.send_errors`."""
        taken = list(self._noted)
        self._noted.clear()
        return taken

    def stats(self) -> LinkStats:
        """See :meth:`Link.stats`."""
        return copy.copy(self._stats)

    def fileno(self) -> int:
        """See :meth:`Link.fileno`; -1 once closed."""
        return self._fd

    def close(self) -> None:
        """See :meth:`Link.close`."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def _refuse(self, destination: Any) -> None:
        number = errno.EMSGSIZE
        self._stats.send_refused += 1
        self._noted.append(
            OpError(os.strerror(number), op="send", network="memory", remote=destination, errno=number)
        )

    def _unreachable(self, destination: Any, datagram: bytes) -> None:
        """The peer was closed: the answer a host gives that does not speak the protocol (RFC 792)."""
        ip = getattr(destination, "ip", None)
        version = 6 if ip is not None and len(ip) == 16 else 4
        error = ICMPError(
            kind=ICMPErrorKind.PROTOCOL_UNREACHABLE,
            type=3 if version == 4 else 4,
            code=2 if version == 4 else 1,
            version=version,
            reporter=destination,
            destination=destination,
            quoted=datagram[:_QUOTE],
        )
        with self._lock:
            self._stats.icmp_errors += 1
            if self._fd >= 0:
                self._signal()
            self._errors.append(error)

    def _signal(self) -> None:
        os.eventfd_write(self._fd, 1)

    def _settle(self) -> None:
        """Make the descriptor unreadable when nothing is queued any more."""
        if not self._arrived and not self._errors:
            try:
                os.eventfd_read(self._fd)
            except BlockingIOError:  # it was so already
                pass

    def _closed(self, operation: str) -> OpError:
        return ClosedError("the link is closed", op=operation, network="memory", local=self._local_addr)
