"""A switch of the lab: a namespace with a bridge, whose hosts share one network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto.errors import LabError
from rawproto.lab import wiring
from rawproto.lab.host import Host

if TYPE_CHECKING:
    from rawproto.lab.children import Children

__all__ = ["Switch"]

# Interface numbers of an IPv4 network with a prefix of 24 bits.
MAX_HOSTS = 254


class Switch(Host):
    """A learning switch; made by :meth:`rawproto.Lab.switch`.

    Attributes:
        network: number of the network that its hosts get their addresses from.
    """

    BRIDGE = "bridge"

    def __init__(self, name: str, children: Children, network: int = 0) -> None:
        super().__init__(name, children)
        self.network = network
        self._given = 0
        wiring.add_bridge(self.namespace, self.BRIDGE)

    def next_number(self) -> int:
        """The number, from 1, of the next host in its network."""
        if self._given == MAX_HOSTS:
            raise LabError(f"switch {self.name} has room for {MAX_HOSTS} hosts")
        self._given += 1
        return self._given
