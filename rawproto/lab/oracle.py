"""Who watches a protocol in the simulator.

An oracle sees each packet of its node, in and out, and how the node stands when it has nothing more to do, and raises
:class:`rawproto.errors.InvariantError` when a rule is broken that holds whatever the network does. Every simulation
has one for each protocol named here; ``Simulation(checks=False)`` has none.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rawproto.lab.datagram import Datagram
    from rawproto.lab.node import Node

__all__ = ["ORACLES", "Oracle", "oracle_for"]

ORACLES = {"rawproto.rsp.endpoint:Endpoint": "rawproto.lab.rsp_oracle:RSPOracle"}
"""Which class watches which protocol, by name, so that neither is loaded for the other's sake."""


class Oracle(Protocol):
    """What a node calls; see the module's text."""

    def arrived(self, datagrams: Sequence[Datagram], now: int) -> None:
        """The protocol has just been handed these datagrams."""

    def sending(self, datagrams: Sequence[Datagram], now: int) -> None:
        """The protocol has just given these datagrams to be sent."""

    def settled(self, due: int | None, now: int, *, woken: bool) -> None:
        """The protocol has nothing more to send or tell, and wants to be woken at ``due``.

        ``woken`` says that it has been since it last told a time: what comes at the same moment goes before timers, so
        that one that is due may wait for its turn.
        """


def oracle_for(node: Node[Any]) -> Oracle | None:
    """A new oracle for the protocol of a node; None when there is none for its kind."""
    for kind in type(node.protocol).__mro__:
        found = ORACLES.get(f"{kind.__module__}:{kind.__qualname__}")
        if found is not None:
            module, _, name = found.partition(":")
            oracle: Oracle = getattr(importlib.import_module(module), name)(node)
            return oracle
    return None
