"""``rawproto bench -s``: the listeners of the server, and what it prints."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from typing import TYPE_CHECKING, Any

import click

from rawproto import PrivilegeError, drop_privileges, join_host_port, split_host_port

from ..failure import Failure, describe
from ..output import emit_json
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
    log = _Log(as_json=as_json)
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
        log.listening(listeners)
        server = Server(listeners, wait, log.event)
        stack.callback(server.close)
        server.serve(once=once)


def _place(address: str | None, port: int) -> tuple[str, str]:
    if address is None:
        return "", str(port)
    if address.isdigit():
        return "", address
    return split_host_port(with_port(address, port))


def _listen(
    transport: Transport, network: str, name: str, number: str, wait: float, log: _Log, *, needed: bool
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
        log.without(network, describe(error))
    except OSError as error:
        # A host without IPv6, say.
        if needed or not network.endswith("6"):
            raise
        log.without(network, describe(error))
    return None


class _Log:
    """What the server prints: lines for people, an object each for programs."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._lock = threading.Lock()

    def listening(self, listeners: list[Any]) -> None:
        """Say where."""
        if not listeners:
            raise Failure("there is no transport to listen on")
        networks = [listener.network for listener in listeners]
        address = str(listeners[0].addr)
        self._print(
            {"event": "listening", "address": address, "networks": networks},
            f"listening on {address}: {', '.join(networks)}",
        )

    def without(self, network: str, message: str) -> None:
        """Say which network is not there, and why."""
        if not self._as_json:
            click.echo(f"rawproto: not on {network}: {message.splitlines()[0]}", err=True)

    def event(self, name: str, **words: Any) -> None:
        """Tell of a client."""
        plan: Plan | None = words.get("plan")
        document = {"event": name, **words, "plan": dataclasses.asdict(plan) if plan else None}
        if plan is not None and name == "begin":
            text = goal(plan)
        elif plan is not None:
            text = _summary(plan, words["here"])
        else:
            text = words["message"]
        self._print(document, f"{words['peer']}: {text}")

    def _print(self, document: dict[str, Any], text: str) -> None:
        with self._lock:
            if self._as_json:
                emit_json(document)
            else:
                click.echo(text)


def _summary(plan: Plan, here: dict[str, Any]) -> str:
    """What came and went, in words."""
    parts = []
    for word, numbers in (("received", plan.sent_by_client), ("sent", plan.sent_by_server)):
        size = sum(stream["bytes"] for stream in here["streams"] if stream["index"] in numbers)
        if numbers:
            parts.append(f"{word} {show_size(size)}, {show_rate(size * 8 / max(here['seconds'], 1e-9))}")
    return f"{'; '.join(parts)}; CPU {here['cpu']['total']:.0f}%"
