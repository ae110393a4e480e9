"""What dial and listen are to do once their options are checked and their names looked up; the faces do it."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from typing import TYPE_CHECKING, Any, TypeVar

from rawproto.errors import ConfigError, DeadlineExceeded
from rawproto.net.candidates import candidates, folded, local_endpoint
from rawproto.net.failures import raise_op_error
from rawproto.net.networks import parse_network
from rawproto.net.tcp import TCPAcceptor, listening_socket

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from rawproto.addr import ACL
    from rawproto.addr.endpoints import PortAddr
    from rawproto.net.aio_conn import AsyncConn
    from rawproto.net.conn import Conn
    from rawproto.net.lookups import Lookups
    from rawproto.net.networks import Network
    from rawproto.rsp.config import RSPConfig

__all__ = ["DialPlan", "ListenPlan", "dial_plan", "listen_plan"]

FAIR_SHARE = 2.0
"""Seconds of a dial's timeout that an address gets at least while others are left to try, as in Go."""

C = TypeVar("C", "Conn", "AsyncConn")
L = TypeVar("L")


@dataclasses.dataclass(frozen=True, slots=True)
class DialPlan:
    """Where to connect to, from where, and until when.

    Attributes:
        network: the network.
        source: the local endpoint, None for the system's choice.
        targets: the endpoints to try, one after the other.
        stop: when the time is up (``time.monotonic``), or None.
        tls: a client context, True for the default one, None for no TLS.
        hostname: the name to ask for in TLS.
        config: of RSP; None is the default one.
    """

    network: Network
    source: PortAddr | None
    targets: list[PortAddr]
    stop: float | None
    tls: ssl.SSLContext | bool | None
    hostname: str
    config: RSPConfig | None

    def share(self, index: int) -> float | None:
        """Seconds for target ``index``, as Go divides a dial's timeout among those that are left.

        Raises:
            DeadlineExceeded: the time is up.
        """
        if self.stop is None:
            return None
        remaining = self.stop - time.monotonic()
        if remaining <= 0:
            raise DeadlineExceeded("deadline exceeded")
        return min(remaining, max(remaining / (len(self.targets) - index), FAIR_SHARE))

    def failed(self, index: int, error: OSError) -> None:
        """Target ``index`` failed with ``error``: raise it if that was the last one."""
        if index == len(self.targets) - 1:
            raise_op_error(error, "dial", self.network.name, self.source, self.targets[index])

    @contextlib.contextmanager
    def securing(self, conn: C) -> Iterator[C]:
        """``conn`` with TLS, to run the handshake on within the plan's time; aborted when that fails."""
        from rawproto.net.tls import client_stream

        context = self.tls or True
        try:
            secured = conn.over(lambda below: client_stream(below, context, self.hostname))
            if self.stop is not None:
                secured.set_deadline(self.stop - time.monotonic())
            yield secured
            secured.set_deadline(None)
        except BaseException:
            conn.abort()
            raise


def dial_plan(
    network: str,
    address: str | PortAddr,
    local: str | PortAddr | None,
    timeout: float | None,
    tls: ssl.SSLContext | bool | None,
    server_hostname: str | None,
    config: Any,
) -> Lookups[DialPlan]:
    """The plan of a dial to ``address``; arguments and errors as of :func:`rawproto.dial`."""
    net = parse_network(network)
    _check_options(net, None if isinstance(tls, bool) else tls, config)
    stop = None if timeout is None else time.monotonic() + timeout
    targets = yield from candidates(net, address)
    source = yield from local_endpoint(net, local)
    return DialPlan(net, source, targets, stop, tls or None, server_hostname or _host_of(address), config)


@dataclasses.dataclass(frozen=True, slots=True)
class ListenPlan:
    """Where to listen, and whom to let in.

    Attributes:
        network: the network.
        local: the endpoint to listen on.
        backlog: connections that may wait to be accepted.
        permits: asked about each peer's endpoint; None when everybody may come.
        tls: a server context, or None.
        config: of RSP; None is the default one.
    """

    network: Network
    local: PortAddr
    backlog: int
    permits: Callable[[Any], bool] | None
    tls: ssl.SSLContext | None
    config: RSPConfig | None

    def opened(self, over_tcp: Callable[[TCPAcceptor], L], over_rsp: Callable[[ListenPlan], L]) -> L:
        """The listener that ``over_tcp`` makes of an acceptor, or ``over_rsp`` of this plan."""
        name = self.network.name
        try:
            if self.network.transport != "tcp":
                return over_rsp(self)
            return over_tcp(
                TCPAcceptor(listening_socket(self.network, self.local, self.backlog), name, self.permits)
            )
        except OSError as error:
            raise_op_error(error, "listen", name, self.local)


def listen_plan(
    network: str,
    address: str | PortAddr | None,
    *,
    backlog: int,
    tls: ssl.SSLContext | None,
    acl: ACL | None,
    config: Any,
) -> Lookups[ListenPlan]:
    """The plan of a listener on ``address``; arguments and errors as of :func:`rawproto.listen`."""
    net = parse_network(network)
    _check_options(net, tls, config)
    local = (yield from candidates(net, address, passive=True))[0]
    return ListenPlan(net, local, backlog, _admission(acl), tls, config)


def _check_options(network: Network, tls: object | None, config: Any) -> None:
    """Refuse, before anything is looked up, what cannot be a TLS context or a configuration here."""
    if config is not None:
        from rawproto.rsp.config import RSPConfig

        if network.transport == "tcp":
            raise ConfigError(f"config is for RSP: {network.name} has nothing to configure")
        if not isinstance(config, RSPConfig):
            raise ConfigError(f"config is an RSPConfig, not {type(config).__name__}")
    if tls is not None:
        from rawproto.net.tls import checked_context

        checked_context(tls)


def _admission(acl: ACL | None) -> Callable[[Any], bool] | None:
    """The question that a transport asks about a peer's endpoint; None when everybody may come."""
    if acl is None:
        return None
    return lambda address: address.ip is not None and acl.permits(folded(address).ip)


def _host_of(address: str | PortAddr) -> str:
    """The host of "host:port", without a zone: what a TLS certificate is asked for."""
    from rawproto.addr.hostport import split_host_port

    return split_host_port(str(address))[0].partition("%")[0]
