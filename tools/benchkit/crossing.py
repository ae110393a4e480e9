"""The server's socket for datagrams: all streams of a run on one port, told apart by their headers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from rawproto import UDPAddr, listen_udp

from .datagrams import DATA, HEADER, HELLO, PROBE, DatagramReceiver, DatagramSender, make_room

if TYPE_CHECKING:
    from .plan import Plan
    from .stream import Stream

__all__ = ["Crossing"]


class Crossing:
    """Greets, counts and answers datagrams that bear the token; others are not there for it.

    Args:
        local: address to be at; the port is picked.
        token: of the run.
        plan: what is measured.
    """

    def __init__(self, local: Any, token: int, plan: Plan) -> None:
        self._plan = plan
        self._token = token
        self._conn = listen_udp("udp", UDPAddr(local.ip, 0, local.zone))
        make_room(self._conn)
        self._known: dict[int, UDPAddr] = {}
        self._changed = threading.Condition()
        self._receivers = {
            index: DatagramReceiver(index, self._conn, shared=True) for index in plan.sent_by_client
        }
        self._thread = threading.Thread(target=self._run, name="datagrams", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port picked."""
        return int(self._conn.local_addr.port)

    def streams(self, seconds: float) -> list[Stream]:
        """All streams, once each is greeted; TimeoutError when that takes longer than ``seconds``."""
        plan = self._plan
        wanted = {*plan.sent_by_client, *plan.sent_by_server}
        with self._changed:
            if not self._changed.wait_for(lambda: wanted <= set(self._known), seconds):
                raise TimeoutError("the client did not open its streams")
        return [*self._receivers.values(), *map(self._sender, plan.sent_by_server)]

    def _sender(self, index: int) -> DatagramSender:
        plan, peer = self._plan, self._known[index]
        return DatagramSender(
            lambda packet: self._conn.write_to(packet, peer),
            index,
            self._token,
            length=plan.length,
            share=plan.share(index),
            rate=plan.rate,
        )

    def close(self) -> None:
        """Close the socket."""
        self._conn.close()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                packet, source = self._conn.read_from()
            except OSError:
                return  # closed
            if len(packet) < HEADER.size:
                continue
            kind, index, token, number, sent = HEADER.unpack_from(packet)
            if token != self._token:
                continue
            if kind == DATA and index in self._receivers:
                self._receivers[index].tally.take(number, sent, len(packet))
            elif kind in (HELLO, PROBE) and len(packet) == HEADER.size:
                self._answer(kind, index, packet, source)

    def _answer(self, kind: int, index: int, packet: bytes, source: UDPAddr) -> None:
        if kind == HELLO:
            with self._changed:
                # The first address is the client's: nobody else can draw its stream to himself.
                self._known.setdefault(index, source)
                self._changed.notify()
        try:
            self._conn.write_to(packet, source)
        except OSError:
            pass  # it will ask again
