"""Connection traces written as files."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

from rawproto import RSPConfig, dial, listen

if TYPE_CHECKING:
    from pathlib import Path


def transfer(config: RSPConfig, size: int) -> None:
    """Send ``size`` bytes through a connection on loopback and wait for the word that they are there."""
    with listen("rsp+udp", "127.0.0.1:0") as listener:

        def take() -> None:
            with listener.accept() as conn:
                count = 0
                while data := conn.read(1 << 18):
                    count += len(data)
                conn.write(count.to_bytes(8, "big"))

        thread = threading.Thread(target=take)
        thread.start()
        with dial("rsp+udp", str(listener.addr), config=config) as conn:
            conn.write(bytes(size))
            conn.close_write()
            assert int.from_bytes(conn.read_exactly(8), "big") == size
            assert conn.read() == b""
        thread.join()


def test_a_finished_connection_leaves_its_trace(tmp_path: Path) -> None:
    folder = tmp_path / "traces"
    transfer(RSPConfig(trace=folder), 300_000)
    (path,) = folder.iterdir()
    assert path.name.startswith("client-")
    (trace,) = json.loads(path.read_text())["traces"]
    assert trace["vantage_point"] == {"type": "client"}
    sent = [event["data"] for event in trace["events"] if event["name"] == "transport:packets_sent"]
    assert sum(data["length"] for data in sent) >= 300_000
    times = [event["time"] for event in trace["events"]]
    assert times == sorted(times)


def test_a_folder_that_cannot_be_written_to_does_not_break_the_connection(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    transfer(RSPConfig(trace=blocked / "traces"), 1000)
    assert blocked.read_text() == "in the way"
