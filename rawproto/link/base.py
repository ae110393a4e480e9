"""What every link is: batches in, batches out, nothing lost in silence.

A link carries datagrams of one protocol between addresses. All links (raw IP, packet socket, UDP, in-memory) have
this one interface and pass one conformance suite, so that a protocol runs on any of them by name.
"""

from __future__ import annotations

import abc
import dataclasses
import select
from typing import TYPE_CHECKING, Any, Final

from rawproto.errors import ClosedError
from rawproto.link.busypoll import BusyPoll

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from rawproto.wire.batch import Batch, ReceivedBatch, Transmit
    from rawproto.wire.icmp_error import ICMPError

__all__ = ["BATCH", "NOTED", "Link", "LinkStats"]

BATCH: Final = 64
"""Datagrams of one call where each is a message of its own."""
NOTED: Final = 64
"""Errors of single datagrams that a link keeps for :meth:`Link.send_errors`, the newest."""


@dataclasses.dataclass(slots=True)
class LinkStats:
    """Counters of a link, all in datagrams unless the name says bytes."""

    sent: int = 0
    sent_bytes: int = 0
    send_refused: int = 0
    """Datagrams the kernel did not take (full queue, no route, link down, too large): treated as lost."""
    received: int = 0
    received_bytes: int = 0
    kernel_drops: int = 0
    """Arrived, but dropped for want of room in the socket's receive buffer (SO_MEMINFO, sock_diag(7)).

    The kernel counts what it joined as one: on a UDP link with offload a drop stands for up to 64 datagrams.
    """
    truncated: int = 0
    """Cut off for want of room in our buffers; 0 on the links here, whose buffers take the longest datagram."""
    bad_checksum: int = 0
    malformed: int = 0
    """Dropped for a broken IP or UDP header."""
    fragments: int = 0
    """Fragments that a packet link saw and, putting none together, dropped."""
    filtered: int = 0
    """Let in by a filter that was then replaced, and refused by the new one."""
    icmp_errors: int = 0
    icmp_ignored: int = 0
    """ICMP errors that quote nothing of ours, or make no sense."""


class Link(abc.ABC):
    """A bound, non-blocking carrier of datagrams.

    ``send`` and ``receive`` never block; wait on :meth:`fileno` (readable) with poll, select or an event loop. One
    thread may send while another receives.
    """

    _waiting: BusyPoll | None = None

    @property
    @abc.abstractmethod
    def network(self) -> str:
        """The link's name, as in "ip4:253" or "udp6"."""

    @property
    @abc.abstractmethod
    def local_addr(self) -> Any:
        """The address the link is bound to."""

    @property
    @abc.abstractmethod
    def max_datagram_size(self) -> int:
        """Largest datagram, in bytes above the link's own headers, that fits the link's MTU unfragmented."""

    def batch_size(self, size: int) -> int:
        """How many datagrams of ``size`` bytes are best handed over in one :meth:`send`.

        Beyond it a system call gets no cheaper for each of them, and they fit into a processor's own cache no more.
        More are sent all the same, in several system calls if need be.
        """
        return BATCH

    @abc.abstractmethod
    def send(self, transmit: Transmit) -> int:
        """Hand a batch to the kernel and return how many of its datagrams were taken, from the first on.

        Fewer than all means that the kernel's queue is full: wait for writability or treat the rest as lost. A
        datagram refused for its own sake (too large, no route, firewall) is counted in ``send_refused``, noted
        for :meth:`send_errors`, counts as taken and does not stop the rest.
        """

    def send_each(self, batch: Batch, destinations: Sequence[Any]) -> int:
        """As :meth:`send`, each datagram to a destination of its own."""
        from rawproto.wire.batch import Batch, Transmit

        for index, destination in enumerate(destinations):
            if not self.send(Transmit(Batch.single(batch.datagram(index)), destination)):
                return index
        return len(batch)

    @abc.abstractmethod
    def receive(self) -> Sequence[ReceivedBatch]:
        """The datagrams waiting now, in order of arrival; empty when there are none.

        The arrays are views over the link's buffers and good until the next call.
        """

    @abc.abstractmethod
    def errors(self) -> list[ICMPError]:
        """ICMP errors that came in since the last call."""

    @abc.abstractmethod
    def send_errors(self) -> list[OSError]:
        """Errors of single datagrams refused since the last call (bounded: the newest 64)."""

    @abc.abstractmethod
    def stats(self) -> LinkStats:
        """A copy of the counters, those of the kernel brought up to date."""

    @abc.abstractmethod
    def fileno(self) -> int:
        """Descriptor to wait on: readable when something waits in the kernel.

        When it is, ask both :meth:`receive` and :meth:`errors`: either may take in what the other one tells.
        """

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until something can be received or an error told, ``timeout`` seconds at most; False: nothing came.

        While packets come fast it looks again for a moment before it sleeps, see :mod:`rawproto.link.busypoll`: what
        poll or select on :meth:`fileno` do not do. For one thread at a time; closing the link does not end the wait.
        Raises ClosedError on a closed link.
        """
        if self.fileno() < 0:
            raise ClosedError("the link is closed", op="wait", network=self.network, local=self.local_addr)
        if self._waiting is None:
            poll = select.poll()
            poll.register(self.fileno(), select.POLLIN)
            self._waiting = BusyPoll(poll)
        return bool(self._waiting.wait(None if timeout is None else timeout * 1000))

    @abc.abstractmethod
    def close(self) -> None:
        """Give the socket back. Calling it again does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
