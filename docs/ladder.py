"""The ladder in README.md and docs/tools.md: a connection of the simulator, captured at both ends of a lossy link.

``python docs/ladder.py`` makes the capture and the pages anew, in virtual time and from a seed: everywhere the same.
The tests of the pages hold that they show what the program draws of the capture.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

from rawproto_tools.dumpkit.from_file import read
from rawproto_tools.dumpkit.ladder import Ladder

from rawproto import IPAddr, IPv4, LinkType, PcapngWriter, RSPConfig, Simulation
from rawproto.rsp import Endpoint
from rawproto.rsp.header import Kind

PAGES = (Path(__file__).with_name("tools.md"), Path(__file__).parents[1] / "README.md")
COMMAND = "$ rawproto dump -r docs/ladder.pcapng --ladder\n"
CAPTURE = Path(__file__).with_name("ladder.pcapng")
PORT = 1200
DELAY = 10_000_000
REQUEST, ANSWER = b"GET a line\n", bytes(3200)
_SCREEN = re.compile(re.escape(COMMAND) + r".*?(?=```)", re.DOTALL)


class _Ends:
    """Both applications: one asks, the other one answers and ends."""

    def __init__(self) -> None:
        self.client: Any = None
        self.server: Any = None
        self.listener: Any = None
        self.read = 0
        self.asked = self.answered = False

    def at_client(self, event: Any, now: int) -> None:
        """Ask once connected, read, and close behind the answer."""
        if self.client is None or not self.client.established:
            return
        if not self.asked:
            self.asked = True
            self.client.write(REQUEST, now)
            self.client.close_write(now)
        self.read += len(self.client.read(-1, now))

    def at_server(self, event: Any, now: int) -> None:
        """Answer the request."""
        if self.server is None:
            self.server = self.listener.accept()
        if self.server is not None and self.server.read(-1, now) and not self.answered:
            self.answered = True
            self.server.write(ANSWER, now)
            self.server.close_write(now)


def capture(path: Path) -> None:
    """Run the connection; write what passes both ends of the link."""
    simulation = Simulation(seed=7)
    left, right = simulation.hosts("client", "server")
    link = simulation.link(left, right, delay="10ms", seed=7)
    config = RSPConfig()
    seen: list[tuple[int, int, bytes]] = []
    data = 0

    def loses(packet: Any, here: Any, there: Any, end: int) -> bool:
        nonlocal data
        whole = bytes(
            IPv4(src=here.ip4, dst=there.ip4, protocol=config.protocol, ident=0, df=True) / packet.payload
        )
        data += bytes(packet.payload)[4] == Kind.DATA and end == 1
        lost = data == 2 and end == 1
        data += lost
        seen.append((packet.time, end, whole))
        if not lost:
            seen.append((packet.time + DELAY, 1 - end, whole))
        return lost

    for end, (here, there) in enumerate(((left, right), (right, left))):
        link.drop(when=_bound(loses, here, there, end), toward=there, count=None)
    ends = _Ends()
    server = Endpoint(config, entropy=simulation.entropy("server"), now=simulation.now)
    client = Endpoint(config, entropy=simulation.entropy("client"), now=simulation.now)
    at_right = right.run(server, on_event=ends.at_server)
    ends.listener = at_right.do(lambda endpoint, now: endpoint.listen(PORT, now=now))
    at_left = left.run(client, on_event=ends.at_client)
    ends.client = at_left.do(lambda endpoint, now: endpoint.connect(IPAddr(right.ip4), PORT, now=now))
    while not (ends.client.finished and ends.server.finished) and simulation.step():
        pass
    with PcapngWriter(path, linktype=LinkType.RAW, interfaces=["client", "server"]) as writer:
        for time, end, packet in sorted(seen, key=lambda entry: entry[0]):
            writer.write(packet, time, end)


def _bound(function: Any, *values: Any) -> Any:
    return lambda packet: function(packet, *values)


def screen() -> str:
    """What ``rawproto dump --ladder`` shows of the capture."""
    shown = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(shown):
        view = Ladder.for_terminal(colour=False, live=False)
        read(CAPTURE, view, None, {}, as_json=False, interface=None, target=None, count=None)
    shown.seek(0)
    return shown.read()


def filled(text: str) -> str:
    """The page with the ladder in its place."""
    return _SCREEN.sub(lambda _: COMMAND + screen(), text)


if __name__ == "__main__":
    capture(CAPTURE)
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
