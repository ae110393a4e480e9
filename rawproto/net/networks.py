"""Network names ("tcp", "rsp+udp6", ...), taken apart."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from rawproto.addr.endpoints import PortAddr, RSPAddr, TCPAddr, UDPAddr
from rawproto.errors import UnknownNetworkError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["STREAM_NETWORKS", "UDP_NETWORKS", "Network", "StreamNetwork", "UDPNetwork", "parse_network"]

StreamNetwork: TypeAlias = Literal[
    "tcp", "tcp4", "tcp6", "rsp", "rsp4", "rsp6", "rsp+udp", "rsp+udp4", "rsp+udp6"
]
UDPNetwork: TypeAlias = Literal["udp", "udp4", "udp6"]

STREAM_NETWORKS: tuple[str, ...] = get_args(StreamNetwork)
UDP_NETWORKS: tuple[str, ...] = get_args(UDPNetwork)

_ADDR_TYPES: dict[str, type[PortAddr]] = {"tcp": TCPAddr, "udp": UDPAddr, "rsp": RSPAddr, "rsp+udp": RSPAddr}


@dataclasses.dataclass(frozen=True, slots=True)
class Network:
    """A network name taken apart.

    Attributes:
        name: as given, "rsp+udp4".
        transport: "tcp", "udp", "rsp" or "rsp+udp".
        version: 4 or 6, or 0 for either.
    """

    name: str
    transport: str
    version: int

    @property
    def addr_type(self) -> type[PortAddr]:
        """The class of the network's endpoints."""
        return _ADDR_TYPES[self.transport]

    @property
    def ip_family(self) -> str:
        """What to look a name up for: "ip", "ip4" or "ip6"."""
        return f"ip{self.version}" if self.version else "ip"


def parse_network(name: str, known: Sequence[str] = STREAM_NETWORKS) -> Network:
    """Take a network name apart.

    Raises:
        UnknownNetworkError: it is not among ``known``.
    """
    if name not in known:
        every = (*known, *UDP_NETWORKS, "ip:protocol", "ip4:protocol", "ip6:protocol")
        raise UnknownNetworkError(str(name), every if known is STREAM_NETWORKS else tuple(known))
    version = int(name[-1]) if name[-1] in "46" else 0
    return Network(name, name.rstrip("46"), version)
