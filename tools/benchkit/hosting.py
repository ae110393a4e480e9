"""``rawproto bench -s``: the listeners of the server, and what it prints."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import click

from rawproto import PrivilegeError, drop_privileges, join_host_port, split_host_port

from ..failure import Failure, describe
from ..output import EventLog
from ..quantity import show_rate, show_size
from ..transport import with_port
from .client import control_network
from .display import goal
from .server import Server

if TYPE_CHECKING:
    from ..transport import Transport
    from .plan import Plan

__all__ = ["host"]

EVERYWHERE = ("tcp", "rsp", "rsp6", "rsp+udp", "rsp+udp6")
"""Listening on no address in particular: tcp takes IPv4 and IPv6, rsp one of them."""
THERE = ("tcp", "rsp", "rsp+udp")


def host(
    transport: Transport,
    address: str | None,
    network: str | None,
    *,
    port: int,
    once: bool,
    wait: float,
    as_json: bool,
) -> None:
    """Listen and serve until interrupted, or with ``once`` one client.

    Args:
        transport: options of TLS and access.
        address: where, as "host:port", "host" or "port"; None for everywhere.
        network: the only network to listen on, or None for all that can be had.
        port: the port unless ``address`` has one.
        once: end after one client.
        wait: seconds after which a silent client is given up.
        as_json: print events as JSON.
    """
    name, number = _place(address, port)
    log = EventLog(as_json=as_json)
    names = (control_network(network),) if network is not None else THERE if name else EVERYWHERE
    with contextlib.ExitStack() as stack:
        listeners: list[Any] = []
        for one in names:
            listener = _listen(
                transport, one, name, number, wait, log, needed=network is not None or one == "tcp"
            )
            if listener is not None:
                listeners.append(stack.enter_context(listener))
                number = str(listener.addr.port)
        drop_privileges()
        _tell_where(log, listeners)
        server = Server(listeners, wait, functools.partial(_tell_of_client, log))
        stack.callback(server.close)
        server.serve(once=once)


def _place(address: str | None, port: int) -> tuple[str, str]:
    if address is None:
        return "", str(port)
    if address.isdigit():
        return "", address
    return split_host_port(with_port(address, port))


def _listen(
    transport: Transport, network: str, name: str, number: str, wait: float, log: EventLog, *, needed: bool
) -> Any:
    """A listener, or None where there is none to be had and it is not needed."""
    config = None
    if network.startswith("rsp"):
        from rawproto import RSPConfig

        config = RSPConfig(idle_timeout=wait)
    transport.network = network
    try:
        return transport.listen(join_host_port(name, number), config=config)
    except PrivilegeError as error:
        if needed:
            raise
        _tell_without(log, network, describe(error))
    except OSError as error:
        # A host without IPv6, say.
        if needed or not network.endswith("6"):
            raise
        _tell_without(log, network, describe(error))
    return None


def _tell_where(log: EventLog, listeners: list[Any]) -> None:
    if not listeners:
        raise Failure("there is no transport to listen on")
    networks = [listener.network for listener in listeners]
    address = str(listeners[0].addr)
    text = f"listening on {address}: {', '.join(networks)}"
    log.event("listening", text, address=address, networks=networks)


def _tell_without(log: EventLog, network: str, message: str) -> None:
    """Say which network is not there, and why."""
    if not log.as_json:
        click.echo(f"rawproto: not on {network}: {message.splitlines()[0]}", err=True)


def _tell_of_client(log: EventLog, name: str, *, peer: str, plan: Plan | None = None, **words: Any) -> None:
    text = (
        words["message"] if plan is None else goal(plan) if name == "begin" else _summary(plan, words["here"])
    )
    document = dataclasses.asdict(plan) if plan is not None else None
    log.event(name, f"{peer}: {text}", peer=peer, plan=document, **words)


def _summary(plan: Plan, here: dict[str, Any]) -> str:
    """What came and went, in words."""
    parts = []
    for word, numbers in (("received", plan.sent_by_client), ("sent", plan.sent_by_server)):
        size = sum(stream["bytes"] for stream in here["streams"] if stream["index"] in numbers)
        if numbers:
            parts.append(f"{word} {show_size(size)}, {show_rate(size * 8 / max(here['seconds'], 1e-9))}")
    return f"{'; '.join(parts)}; CPU {here['cpu']['total']:.0f}%"
