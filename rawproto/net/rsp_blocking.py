"""dial and listen over RSP with the threaded driver."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rawproto.net.conn import Conn
from rawproto.net.failures import deadline_exceeded
from rawproto.net.listener import Listener
from rawproto.net.registry import Registry
from rawproto.net.rsp_opening import connecting, listening
from rawproto.net.rsp_stream import RSPStream
from rawproto.net.side import deadline_after
from rawproto.net.thread_driver import DriverSide, ThreadDriver

if TYPE_CHECKING:
    from rawproto.addr.endpoints import PortAddr
    from rawproto.net.plans import DialPlan, ListenPlan
    from rawproto.net.stream import Stream

__all__ = ["REGISTRY", "dial_rsp", "listen_rsp"]

REGISTRY: Registry[ThreadDriver] = Registry(ThreadDriver)


def dial_rsp(plan: DialPlan, remote: PortAddr, timeout: float | None) -> Conn:
    """Connect to ``remote``; ``timeout`` None leaves it to the configuration's handshake timeout."""
    driver, stream = connecting(REGISTRY, plan, remote)
    side = DriverSide(driver, stream.connected)
    stream.notify = lambda: driver.tell(side)
    side.deadline = deadline_after(timeout)
    try:
        while not stream.try_connect():
            if side.expired:
                raise deadline_exceeded("dial", stream.network, stream.local_addr, stream.remote_addr)
            side.wait()
    except BaseException:
        stream.abort()
        raise
    return rsp_conn(stream, driver)


def rsp_conn(stream: RSPStream, driver: ThreadDriver) -> Conn:
    """The blocking face of ``stream``."""
    reader = DriverSide(driver, stream.can_read)
    writer = DriverSide(driver, stream.can_write)
    with driver.lock:
        stream.notify = partial(driver.tell, reader, writer)
    return Conn(stream, reader, writer)


def listen_rsp(plan: ListenPlan) -> Listener:
    """Listen as planned."""
    driver, acceptor = listening(REGISTRY, plan)
    side = DriverSide(driver, acceptor.can_accept)
    acceptor.notify = lambda: driver.tell(side)

    def wrap(stream: Stream) -> Conn:
        assert isinstance(stream, RSPStream)
        return rsp_conn(stream, driver)

    return Listener(acceptor, side, wrap)
