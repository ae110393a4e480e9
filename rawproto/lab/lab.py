"""The lab: hosts in network namespaces of one machine, joined by cables and by links that lose and delay.

Nothing in a lab has a name outside this process: namespaces are held by descriptors alone, interfaces live inside
them. So teardown is complete whatever happens: at the end of the ``with`` block, also by an exception or
KeyboardInterrupt, :meth:`Lab.close` ends every process that runs in the lab and lets the namespaces go; if this
process is killed, the kernel takes the namespaces apart and the undertaker (:mod:`rawproto.lab.reaper`) ends the
processes.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rawproto.errors import LabError
from rawproto.lab import plan
from rawproto.lab.between import BetweenLink
from rawproto.lab.children import Children
from rawproto.lab.host import Host
from rawproto.lab.links import LabLink, PlainLink
from rawproto.lab.router import Router, set_routes
from rawproto.lab.switch import Switch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

__all__ = ["Lab"]

H = TypeVar("H", bound=Host)


class Lab:
    """A network of hosts on this machine.

    Needs the right to make network namespaces: root, or a user namespace (:mod:`rawproto.lab.userns`).

    Args:
        name: for people.
        captures: a folder; each link with the relay in it writes a pcapng file there from its first packet on.
        capture_limit: bytes of packets after which such a file gets no more; None for no limit.

    Attributes:
        name: for people.
    """

    def __init__(
        self,
        name: str = "lab",
        *,
        captures: str | os.PathLike[str] | None = None,
        capture_limit: int | None = None,
    ) -> None:
        self.name = name
        self._captures = None if captures is None else Path(captures)
        self._capture_limit = capture_limit
        self._owner = os.getpid()
        self._children = Children()
        self._hosts: dict[str, Host] = {}
        self._links: list[LabLink] = []
        self._closed = False

    def host(self, name: str) -> Host:
        """The host called ``name``; made when it is asked for the first time.

        Raises:
            PrivilegeError: this process may not make network namespaces; the message gives the ways out.
        """
        return self._made(name, Host)

    def hosts(self, *names: str) -> list[Host]:
        """Several hosts by name."""
        return [self.host(name) for name in names]

    def router(self, name: str) -> Router:
        """A host that passes on what is not for it; hosts behind it find the way by routes that the lab keeps."""
        return self._made(name, Router)

    def switch(self, name: str) -> Switch:
        """A switch: hosts linked to it stand in one network, 10.*k*.0/24 and fd00:0:0:*k*::/64, and see one another."""
        if self._closed:
            raise LabError(f"{self.name} is closed")
        if name not in self._hosts:
            self._hosts[name] = Switch(name, self._children, plan.FIRST_SWITCH + len(self._hosts))
        return self._made(name, Switch)

    def _made(self, name: str, kind: type[H]) -> H:
        if self._closed:
            raise LabError(f"{self.name} is closed")
        if name not in self._hosts:
            self._hosts[name] = kind(name, self._children)
        host = self._hosts[name]
        if not isinstance(host, kind):
            raise LabError(f"{name} is there already, and no {kind.__name__.lower()}")
        return host

    def link(
        self,
        a: Host,
        b: Host,
        *,
        a_addresses: Sequence[str] | None = None,
        b_addresses: Sequence[str] | None = None,
        device_mtu: int | None = None,
        seed: int | None = None,
        relay: bool | None = None,
        forward: Mapping[str, Any] | None = None,
        backward: Mapping[str, Any] | None = None,
        **impairments: Any,
    ) -> LabLink:
        """Join two hosts by a link of their own.

        Args:
            a: one end.
            b: the other end.
            a_addresses: addresses of ``a``'s end, in CIDR form; by default one IPv4 and one IPv6 address of a
                network of the link's own.
            b_addresses: the same for ``b``'s end.
            device_mtu: MTU of the two interfaces in bytes; by default 1500, or ``mtu`` where that is more.
            seed: of all chance on this link; equal seeds make the same decisions. A new one when not given.
            relay: True puts the relay between the two, False never does. By default it is there when it is needed:
                without an impairment and a seed a bare veth pair suffices, and for ``rate``, ``limit`` and ``up`` alone
                the kernel's token bucket, where this kernel has it and the lab captures nothing. What is asked later
                and needs the relay brings it in. ``link.means`` says which it is: "veth", "tbf" or "relay".
            forward: impairments of the packets from ``a`` to ``b`` only.
            backward: impairments of the packets from ``b`` to ``a`` only.
            impairments: of both directions: ``delay``, ``loss``, ``rate`` and the other words of
                :mod:`rawproto.lab.spec`.

        Raises:
            ConfigError: an unknown impairment, or a value out of range.
            LabError: ``relay=False``, and the kernel alone cannot do what is asked; or it refuses
                the MTU or an address.
        """
        if self._closed:
            raise LabError(f"{self.name} is closed")
        mtu = max(1500, impairments.get("mtu") or 0) if device_mtu is None else device_mtu
        number = len(self._links)
        link: LabLink
        ends: dict[str, Any] = {"a_addresses": a_addresses, "b_addresses": b_addresses, "device_mtu": mtu}
        if not relay and seed is None and not (impairments or forward or backward):
            link = PlainLink(number, a, b, **ends)
        else:
            link = BetweenLink(
                number,
                a,
                b,
                seed=seed,
                relay=True if relay is None and self._captures is not None else relay,
                words=impairments,
                forward=forward,
                backward=backward,
                children=self._children,
                **ends,
            )
        self._links.append(link)
        if self._captures is not None and link.means == "relay":
            path = self._captures / f"{len(self._links)}-{a.name}-{b.name}.pcapng"
            link.capture(path, limit=self._capture_limit)
        if any(isinstance(host, Router) for host in self._hosts.values()):
            set_routes(list(self._hosts.values()), self._links)
        return link

    @property
    def links(self) -> tuple[LabLink, ...]:
        """All links, in the order in which they were made."""
        return tuple(self._links)

    @property
    def namespaces(self) -> list[int]:
        """Inode numbers of the lab's network namespaces, as ``readlink /proc/*/ns/net`` shows them."""
        hosts = [host.namespace.ident for host in self._hosts.values()]
        return hosts + [ident for link in self._links for ident in link.namespaces]

    def close(self) -> None:
        """End everything that runs in the lab and take it apart. Harmless when called again."""
        # A fork that inherited the lab does not own it.
        if self._closed or os.getpid() != self._owner:
            return
        self._closed = True
        with contextlib.ExitStack() as stack:
            for host in self._hosts.values():
                stack.callback(host.namespace.close)
            # Called from the last to the first, each whatever the others did: the relays end by themselves, so that
            # captures are whole; then everything else is ended.
            stack.callback(self._children.end)
            for link in self._links:
                stack.callback(link.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
