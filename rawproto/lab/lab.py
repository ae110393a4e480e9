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
from typing import TYPE_CHECKING

from rawproto.errors import LabError
from rawproto.lab.children import Children
from rawproto.lab.host import Host
from rawproto.lab.links import PlainLink

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

__all__ = ["Lab"]


class Lab:
    """A network of hosts on this machine.

    Needs the right to make network namespaces: root, or a user namespace (:mod:`rawproto.lab.userns`).

    Attributes:
        name: for people.
    """

    def __init__(self, name: str = "lab") -> None:
        self.name = name
        self._owner = os.getpid()
        self._children = Children()
        self._hosts: dict[str, Host] = {}
        self._links: list[PlainLink] = []
        self._closed = False

    def host(self, name: str) -> Host:
        """The host called ``name``; made when it is asked for the first time.

        Raises:
            PrivilegeError: this process may not make network namespaces; the message gives the ways out.
        """
        if self._closed:
            raise LabError(f"{self.name} is closed")
        if name not in self._hosts:
            self._hosts[name] = Host(name, self._children)
        return self._hosts[name]

    def hosts(self, *names: str) -> list[Host]:
        """Several hosts by name."""
        return [self.host(name) for name in names]

    def link(
        self,
        a: Host,
        b: Host,
        *,
        a_addresses: Sequence[str] | None = None,
        b_addresses: Sequence[str] | None = None,
        device_mtu: int = 1500,
    ) -> PlainLink:
        """Join two hosts by a link of their own.

        Args:
            a: one end.
            b: the other end.
            a_addresses: addresses of ``a``'s end, in CIDR form; by default one IPv4 and one IPv6 address of a
                network of the link's own.
            b_addresses: the same for ``b``'s end.
            device_mtu: MTU of the two interfaces, in bytes.
        """
        link = PlainLink(len(self._links), a, b, a_addresses, b_addresses, device_mtu)
        self._links.append(link)
        return link

    @property
    def namespaces(self) -> list[int]:
        """Inode numbers of the lab's network namespaces, as ``readlink /proc/*/ns/net`` shows them."""
        return [host.namespace.ident for host in self._hosts.values()]

    def close(self) -> None:
        """End everything that runs in the lab and take it apart. Harmless when called again."""
        # A fork that inherited the lab does not own it.
        if self._closed or os.getpid() != self._owner:
            return
        self._closed = True
        with contextlib.ExitStack() as stack:
            for host in self._hosts.values():
                stack.callback(host.namespace.close)
            for link in self._links:
                stack.callback(link.close)
            # First of all, and whatever fails after it.
            stack.callback(self._children.end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
