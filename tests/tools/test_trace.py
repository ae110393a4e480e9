"""``rawproto trace``: what limited a transfer, told from traces whose answer is known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from rawproto_tools.limits import LIMITS, explain, find_limits
from rawproto_tools.qvis import expand
from rawproto_tools.trace_file import TraceFile, read_trace

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import CLI

STATE = {
    "congestion_window": 100_000,
    "bytes_in_flight": 50_000,
    "smoothed_rtt": 20.0,
    "latest_rtt": 20.0,
    "min_rtt": 20.0,
    "pacing_rate": 1e9,
    "unsent": 500_000,
    "peer_room": 500_000,
    "buffer_room": 10_000,
}


def events(seconds: float, **state: float) -> list[dict[str, Any]]:
    """A second of a transfer at 8 Mbit/s, sampled every 10 ms, always in the same state."""
    found = []
    for index in range(int(seconds * 100)):
        time = index * 10.0
        found += [
            {
                "time": time,
                "name": "transport:packets_sent",
                "data": {"offset": index * 10_000, "length": 10_000},
            },
            {"time": time + 1, "name": "transport:packets_acked", "data": {"acked_end": index * 10_000}},
            {"time": time + 1, "name": "recovery:metrics_updated", "data": STATE | state},
        ]
    return found


def trace_of(rows: list[dict[str, Any]]) -> TraceFile:
    trace = TraceFile()
    for row in rows:
        trace.take(row["time"] / 1e3, row["name"], row["data"])
    return trace


@pytest.mark.parametrize(
    ("state", "limit"),
    [
        ({"unsent": 0, "bytes_in_flight": 1000}, "application"),
        ({"unsent": 0, "buffer_room": 0}, "buffer"),
        ({"peer_room": 0}, "receiver"),
        ({"bytes_in_flight": 99_000}, "window"),
        ({"pacing_rate": 8e6}, "pacing"),
        ({"pacing_rate": 80e6}, "sender"),
    ],
)
def test_each_limit_is_recognised(state: dict[str, float], limit: str) -> None:
    trace = trace_of(events(1.0, **state))
    limits = find_limits(trace)
    assert limits.chief == limit
    assert limits.shares[limit] == pytest.approx(1.0)
    assert any(LIMITS[limit] in line for line in explain(trace, limits))


def test_shares_follow_the_time_spent() -> None:
    rows = events(1.0, peer_room=0)
    later = events(3.0, unsent=0)
    rows += [{**row, "time": row["time"] + 1000} for row in later]
    shares = find_limits(trace_of(rows)).shares
    assert shares["receiver"] == pytest.approx(0.25, abs=0.02)
    assert shares["application"] == pytest.approx(0.75, abs=0.02)
    assert sum(shares.values()) == pytest.approx(1.0)


def test_loss_without_queues_is_told() -> None:
    rows = events(1.0, bytes_in_flight=99_000)
    rows.append({"time": 990.0, "name": "recovery:packets_lost", "data": {"ranges": [[0, 50_000]]}})
    trace = trace_of(rows)
    text = " ".join(explain(trace, find_limits(trace)))
    assert "5.00% of the bytes sent were declared lost" in text
    assert "loss itself, not a full link" in text


def test_an_empty_trace_says_so() -> None:
    trace = TraceFile()
    assert find_limits(trace).chief is None
    assert explain(trace, find_limits(trace)) == [
        "There is too little in this trace to say what limited the transfer."
    ]


@pytest.fixture
def qlog(tmp_path: Path) -> Path:
    path = tmp_path / "some.qlog"
    rows = events(1.0, peer_room=0)
    rows.append({"time": 1200.0, "name": "connectivity:connection_closed", "data": {"reason": "reset"}})
    document = {"title": "a transfer", "traces": [{"vantage_point": {"type": "client"}, "events": rows}]}
    path.write_text(json.dumps(document))
    return path


def test_events_come_back_in_seconds(qlog: Path) -> None:
    trace = read_trace(qlog)
    assert (trace.title, trace.vantage, trace.duration) == ("a transfer", "client", 1.2)
    assert trace.closed == (1.2, "reset")
    assert len(trace.sent) == len(trace.metrics) == 100


def test_it_draws_beside_the_trace(cli: CLI, qlog: Path) -> None:
    done = cli.run("trace", str(qlog))
    assert done.returncode == 0, done.stderr.decode()
    picture = qlog.with_suffix(".png")
    assert done.stdout.decode() == f"drawn: {picture}\n"
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_the_first_picture_of_a_slow_machine_is_drawn_without_remarks(qlog: Path, tmp_path: Path) -> None:
    program = (
        "import sys, threading\n"
        "class Timer(threading.Timer):\n"
        "    def __init__(self, interval, function): super().__init__(0, function)\n"
        "threading.Timer = Timer\n"
        "from rawproto_tools.main import main; main(['trace', sys.argv[1]])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(qlog)],
        env={**os.environ, "MPLCONFIGDIR": str(tmp_path / "fonts")},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert list((tmp_path / "fonts").iterdir()) != []


def test_equal_traces_give_equal_pictures(cli: CLI, qlog: Path, tmp_path: Path) -> None:
    pictures = [tmp_path / name for name in ("a.svg", "b.svg")]
    for picture in pictures:
        assert cli.run("trace", "-o", str(picture), str(qlog)).returncode == 0
    assert pictures[0].read_bytes() == pictures[1].read_bytes()


def test_explain_in_words_and_in_json(cli: CLI, qlog: Path) -> None:
    done = cli.run("trace", "--explain", str(qlog))
    assert "For 100% of that time the receiver's window was closed." in done.stdout.decode()
    assert "The connection ended with: reset." in done.stdout.decode()
    document = json.loads(cli.run("trace", "--json", str(qlog)).stdout)
    assert document["chief_limit"] == "receiver"
    assert document["picture"] is None
    assert set(document["limits"]) == set(LIMITS)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), ("hello", "is no trace of a connection"), ("{}", "is no trace of a connection")],
)
def test_what_is_no_trace_is_told(cli: CLI, tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "x.qlog"
    if content is not None:
        path.write_text(content)
    done = cli.run("trace", str(path))
    assert done.returncode == 2
    assert message in done.stderr.decode()


def test_an_unknown_kind_of_picture_is_refused(cli: CLI, qlog: Path) -> None:
    done = cli.run("trace", "-o", "x.bmp", str(qlog))
    assert done.returncode == 2
    assert "a picture is a .png, .svg or .pdf" in done.stderr.decode()


def test_for_qvis_every_packet_is_an_event() -> None:
    events = [
        {
            "time": 0,
            "name": "transport:packets_sent",
            "data": {"first": 5, "count": 3, "offset": 100, "length": 2500},
        },
        {
            "time": 1,
            "name": "transport:packets_acked",
            "data": {"ranges": [[7, 8], [5, 6]], "acked_end": 1100},
        },
        {"time": 2, "name": "recovery:packets_lost", "data": {"ranges": [[934, 1768]], "count": 1}},
        {
            "time": 2,
            "name": "transport:packets_sent",
            "data": {"first": 8, "count": 1, "offset": 934, "length": 834},
        },
        {"time": 3, "name": "transport:packets_acked", "data": {"ranges": [[7, 9]], "acked_end": 2600}},
        {"time": 4, "name": "recovery:metrics_updated", "data": {"smoothed_rtt": 1.0}},
    ]
    found = list(expand(events))
    assert [(event["time"], event["name"]) for event in found] == [
        *[(0, "transport:packet_sent")] * 3,
        (1, "transport:packet_received"),
        (2, "recovery:packet_lost"),
        (2, "transport:packet_sent"),
        (3, "transport:packet_received"),
        (4, "recovery:metrics_updated"),
    ]
    first, second, third = (event["data"] for event in found[:3])
    assert [data["header"]["packet_number"] for data in (first, second, third)] == [5, 6, 7]
    assert [data["raw"]["payload_length"] for data in (first, second, third)] == [834, 834, 832]
    assert second["frames"] == [{"frame_type": "stream", "stream_id": 0, "offset": 934, "length": 834}]
    assert found[3]["data"]["frames"] == [{"frame_type": "ack", "acked_ranges": [[5, 5], [7, 7]]}]
    assert found[4]["data"]["header"]["packet_number"] == 6
    assert found[6]["data"]["frames"][0]["acked_ranges"] == [[8, 8]]


def test_a_real_trace_is_written_for_qvis(cli: CLI, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(300_000))
    words = ("--simulate", "--file", str(file), "--loss", "2%", "--output", str(tmp_path))
    done = cli.run("demo", *words)
    assert done.returncode == 0, done.stderr.decode()
    target = tmp_path / "for-qvis.qlog"
    done = cli.run("trace", "--qvis", str(target), str(tmp_path / "connection.qlog"))
    assert done.stdout.decode() == f"for qvis: {target}\n"
    document = json.loads(target.read_text())
    assert (document["qlog_version"], document["qlog_format"]) == ("0.3", "JSON")
    (trace,) = document["traces"]
    assert trace["common_fields"]["time_format"] == "relative"
    by_name: dict[str, list[Any]] = {}
    for event in trace["events"]:
        by_name.setdefault(event["name"], []).append(event["data"])
    sent = [data["header"]["packet_number"] for data in by_name["transport:packet_sent"]]
    assert len(set(sent)) == len(sent)
    assert sum(data["raw"]["payload_length"] for data in by_name["transport:packet_sent"]) >= 300_000
    acked = {
        number
        for data in by_name["transport:packet_received"]
        for low, high in data["frames"][0]["acked_ranges"]
        for number in range(low, high + 1)
    }
    lost = {data["header"]["packet_number"] for data in by_name["recovery:packet_lost"]}
    assert acked <= set(sent)
    assert lost
    assert lost <= set(sent)
    assert not lost & acked
    times = [event["time"] for event in trace["events"]]
    assert times == sorted(times)
    assert all(data["congestion_window"] > 0 for data in by_name["recovery:metrics_updated"])
