"""Where a script stands: in a simulation, on a host of the lab, or anywhere with a raw socket."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from rawproto.addr import IP, IPAddr
from rawproto.errors import DeadlineExceeded, LabError
from rawproto.protocol import DatagramProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.lab.host import Host
    from rawproto.lab.simhost import SimHost
    from rawproto.link import RawSocket

__all__ = ["Stand", "stand_on"]

Heard = list[tuple[int, bytes, Any]]


class Stand(Protocol):
    """What a script needs of its place.

    Attributes:
        address: where the protocol under test finds the script.
        heard: (time, bytes, source) of what came and was not looked at yet.
        tolerance: how far from its time a packet may come here unless the script says otherwise.
    """

    address: Any
    heard: Heard
    tolerance: str | float

    def now(self) -> int:
        """The time, nanoseconds."""

    def send(self, data: bytes, to: Any) -> None:
        """Send a packet."""

    def wait(self, until: Callable[[], bool], end: int) -> bool:
        """Let time pass until a condition holds (true) or ``end`` has come (false)."""

    def how_to_replay(self) -> str:
        """What to say with a failure."""

    def close(self) -> None:
        """Leave."""


class _Ear(DatagramProtocol):
    """Keeps what it hears, and says nothing of itself."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: Heard = []

    def datagram_received(self, data: bytes, source: Any, now: int) -> None:
        self.heard.append((now, data, source))


class SimulatedStand:
    """On a host of the simulator, in virtual time."""

    tolerance: str | float = "1ms"

    def __init__(self, host: SimHost, channel: Any) -> None:
        self._host = host
        self._node = host.run(_Ear(), channel=channel)
        self.address = self._node.address
        self.heard = self._node.protocol.heard

    def now(self) -> int:
        """The simulation's time."""
        return self._host.simulation.now

    def send(self, data: bytes, to: Any) -> None:
        """Send as the node."""
        self._node.do(lambda ear, _: ear.send(data, to))

    def wait(self, until: Callable[[], bool], end: int) -> bool:
        """Run the simulation."""
        left = max(end - self.now(), 0)
        return self._host.simulation.run(until, deadline=left / 1e9)

    def how_to_replay(self) -> str:
        """The seed."""
        return self._host.simulation.how_to_replay()

    def close(self) -> None:
        """Take the node away."""
        self._host.stop(self._node)


class SocketStand:
    """Behind a raw socket, in real time; the kernel tells when each packet came."""

    tolerance: str | float = "20ms"

    def __init__(self, socket: RawSocket, address: Any, *, owned: bool) -> None:
        self._socket = socket
        self._owned = owned
        self.address = address
        self.heard: Heard = []

    def now(self) -> int:
        """The monotonic clock."""
        return time.monotonic_ns()

    def send(self, data: bytes, to: Any) -> None:
        """Send by the socket."""
        self._socket.send(data, to if isinstance(to, IPAddr) else IPAddr(IP(to)))

    def wait(self, until: Callable[[], bool], end: int) -> bool:
        """Receive."""
        from rawproto.lab.ports import day_minus_monotonic

        while not until():
            left = end - self.now()
            if left <= 0:
                return False
            self._socket.set_read_deadline(left / 1e9)
            try:
                came = self._socket.receive()
            except DeadlineExceeded:
                return until()
            stamp = self.now() if came.timestamp is None else came.timestamp - day_minus_monotonic()
            self.heard.append((min(stamp, self.now()), came.payload, came.source))
        return True

    def how_to_replay(self) -> str:
        """Real time has no seed."""
        return f"on {self._socket!r}"

    def close(self) -> None:
        """Close the socket when it was made here."""
        if self._owned:
            self._socket.close()


def stand_on(place: SimHost | Host | RawSocket, channel: Any, version: int) -> Stand:
    """Where a script stands that was given this place.

    Raises:
        LabError: a script cannot stand there.
        PrivilegeError: raw sockets are not permitted.
    """
    from rawproto.lab.host import Host
    from rawproto.lab.simhost import SimHost
    from rawproto.link import RawSocket

    if isinstance(place, SimHost):
        return SimulatedStand(place, channel)
    if isinstance(place, Host):
        with place:
            socket = RawSocket(channel, version=version)
        return SocketStand(socket, IPAddr(IP(place.address(version))), owned=True)
    if isinstance(place, RawSocket):
        return SocketStand(place, place.local_addr, owned=False)
    raise LabError(f"a script stands on a host or behind a RawSocket, not on {place!r}")
