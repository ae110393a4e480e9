"""run: any protocol on any link, until something says it is enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rawproto.errors import ClosedError
from rawproto.net.poller import POLLIN, POLLOUT, Poller
from rawproto.net.rounds import LOOK, Rounds

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.link.base import Link
    from rawproto.protocol import Protocol

__all__ = ["run"]


def run(
    protocol: Protocol,
    link: Link,
    *,
    on_event: Callable[[Any], object] | None = None,
    until: Callable[[], object] | None = None,
    timeout: float | None = None,
) -> Any | None:
    """Drive ``protocol`` on ``link`` in this thread. Commands to the protocol belong into ``on_event`` or ``until``.

    It ends when the link is closed, and earlier when one of these says so:

    Args:
        protocol: a :class:`rawproto.Protocol` or :class:`rawproto.DatagramProtocol`.
        link: its link; not closed here.
        on_event: called with each event of the protocol; a true result ends the run.
        until: asked after every round; a true result ends the run.
        timeout: seconds.

    Returns:
        The event for which ``on_event`` had a true result, else None.
    """
    rounds = Rounds(protocol, link, on_event, until, timeout)
    poller = Poller(link.fileno())
    events = 0
    try:
        while rounds.go_on(events):
            poller.watch(POLLIN | POLLOUT if rounds.blocked else POLLIN)
            events = poller.wait(rounds.pause(LOOK))
    except ClosedError:
        pass
    finally:
        poller.close()
    return rounds.result
