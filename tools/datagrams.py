"""Datagrams for ``rawproto cat``: one for each line or chunk of input, on UDP or straight on IP."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from rawproto import DeadlineExceeded, drop_privileges

from .waiting import has_more

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["exchange"]

_LARGEST = 65507 - 65507 % 1024
_AFTERGLOW = 1.0
"""Seconds to wait for answers after the input has ended, unless told otherwise."""


def exchange(
    network: str,
    target: str,
    *,
    listening: bool,
    wait: float | None,
    sink: Callable[[bytes], Any],
    note: Callable[[str], None],
) -> dict[str, Any]:
    """Send the input to ``target`` in datagrams and hand what arrives to ``sink``.

    It ends with the input and ``wait`` seconds of silence (`_AFTERGLOW` unless told); without an end of the input,
    never. A listener sends to whoever was heard last, and without ``wait`` it stays until somebody was heard: an empty
    input, as of a service, is no reason to go.
    """
    with _open(network, target, listening=listening) as socket:
        drop_privileges()
        note(f"{'listening on' if listening else 'sending from'} {socket.local_addr}, {network}")
        talk = _Talk(socket, wait)
        feeder = threading.Thread(target=talk.feed, name="feeder", daemon=True)
        feeder.start()
        talk.listen(sink, note)
        return {
            "network": network,
            "local": str(socket.local_addr),
            "remote": str(talk.peer) if talk.peer is not None else None,
            "sent": talk.sent,
            "received": talk.received,
        }


class _Talk:
    """The two directions, and what they know of one another."""

    def __init__(self, socket: Any, wait: float | None) -> None:
        self.socket = socket
        self.wait = wait
        self.peer = socket.remote_addr
        self.heard = threading.Event()
        self.silence: float | None = None
        self.sent = self.received = 0
        if self.peer is not None:
            self.heard.set()

    def feed(self) -> None:
        """Send the input; a listener waits until there is somebody to send to."""
        while data := os.read(sys.stdin.fileno(), _LARGEST):
            self.heard.wait()
            if self.socket.remote_addr is not None:
                self.socket.write(data)
            else:
                self.socket.write_to(data, self.peer)
            self.sent += len(data)
        if self.wait is None:
            self.heard.wait()
        self.silence = _AFTERGLOW if self.wait is None else self.wait
        self.socket.set_read_deadline(self.silence)

    def listen(self, sink: Callable[[bytes], Any], note: Callable[[str], None]) -> None:
        """Hand on what arrives until, after the input, nothing has come for `silence` seconds."""
        while True:
            try:
                data, source = self.socket.read_from()
            except DeadlineExceeded:
                if not has_more(self.socket):
                    return
                self.socket.set_read_deadline(_AFTERGLOW)
                continue
            if source != self.peer:
                self.peer = source
                note(f"datagrams from {source}")
            self.heard.set()
            self.received += len(data)
            if self.silence is not None:
                self.socket.set_read_deadline(self.silence)
            sink(data)


def _open(network: str, target: str, *, listening: bool) -> Any:
    if network.startswith("udp"):
        from rawproto import dial_udp, listen_udp

        return listen_udp(network, target) if listening else dial_udp(network, None, target)
    from rawproto import dial_ip, listen_ip, resolve_ip_addr

    # A protocol says nothing about the host; a version in front of it does.
    family = network.partition(":")[0]
    address = resolve_ip_addr(family, target)
    return listen_ip(network, address) if listening else dial_ip(network, None, address)
