"""Settings, reasons, timers, traces: what each refuses and says."""

from __future__ import annotations

import dataclasses
import json

import pytest

from rawproto.errors import ConfigError, ConnectionAborted, ConnectionRefused, ConnectionReset
from rawproto.protocol import MILLISECOND
from rawproto.rsp.config import RSPConfig
from rawproto.rsp.reasons import Reason, reset_error
from rawproto.rsp.schedule import Schedule
from rawproto.rsp.timers import Timer, TimerTable
from rawproto.rsp.trace import Trace


class TestConfig:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("protocol", -1),
            ("protocol", 256),
            ("link", "tun"),
            ("congestion", "vegas"),
            ("integrity", "md5"),
            ("max_datagram", 255),
            ("max_datagram", 65488),
            ("send_buffer", 0),
            ("receive_window", 0),
            ("initial_window", 0),
            ("initial_window", 1 << 30),
            ("handshake_timeout", 0),
            ("idle_timeout", -1.0),
            ("linger", 0),
            ("linger", float("nan")),
            ("keepalive", 0),
            ("receive_buffer", 100),
            ("source_port_range", (0, 10)),
            ("source_port_range", (10, 9)),
            ("source_port_range", (1, 65536)),
        ],
    )
    def test_what_is_out_of_range_is_named(self, name, value):
        with pytest.raises(ConfigError, match=name.removesuffix("y")):
            RSPConfig(**{name: value})

    def test_the_defaults_are_legal_and_frozen(self):
        config = RSPConfig()
        with pytest.raises(dataclasses.FrozenInstanceError):
            config.protocol = 1
        assert dataclasses.replace(config, keepalive=5.0).keepalive == 5.0


class TestReasons:
    @pytest.mark.parametrize("reason", [Reason.REFUSED, Reason.VERSION, Reason.OVERLOAD])
    def test_while_connecting_they_refuse(self, reason):
        error = reset_error(reason, connecting=True, local="here", remote="there")
        assert type(error) is ConnectionRefused
        assert isinstance(error, ConnectionRefusedError)
        assert "here->there" in str(error)
        assert isinstance(reset_error(reason, connecting=False, local=None, remote=None), ConnectionReset)

    def test_a_timeout_aborts(self):
        error = reset_error(Reason.TIMEOUT, connecting=False, local=None, remote=None)
        assert isinstance(error, ConnectionAborted)

    @pytest.mark.parametrize("connecting", [True, False])
    @pytest.mark.parametrize("reason", [*Reason, 99, 2**32 - 1])
    def test_every_reason_has_words(self, reason, connecting):
        error = reset_error(reason, connecting=connecting, local=None, remote=None)
        assert len(error.reason) > 10
        assert isinstance(error, OSError)


class TestTimers:
    def test_next_is_never_behind_the_earliest(self):
        table = TimerTable()
        assert table.next() is None
        table.set(Timer.LOSS, 20)
        assert table.next() == 20
        table.set(Timer.IDLE, 10)
        assert table.next() == 10
        table.set(Timer.IDLE, 30)
        assert table.running == {Timer.LOSS: 20, Timer.IDLE: 30}
        assert table.next() == 10  # when there is nothing to do but to look again
        assert (table.expired(10), table.next()) == ([], 20)
        table.stop(Timer.PACE)
        table.stop(Timer.LOSS)
        assert (table.expired(20), table.next()) == ([], 30)
        table.stop_all()
        assert table.next() is None
        table.set(Timer.PATH, 50)
        assert table.next() == 50

    def test_those_due_are_taken_out_in_order(self):
        table = TimerTable()
        for timer in (Timer.DRAIN, Timer.HANDSHAKE, Timer.LOSS, Timer.IDLE):
            table.set(timer, 10 if timer is not Timer.IDLE else 11)
        assert table.expired(9) == []
        assert table.expired(10) == [Timer.HANDSHAKE, Timer.LOSS, Timer.DRAIN]
        assert table.expired(10) == []
        assert table.next() == 11


class TestSchedule:
    def test_a_deadline_that_moves_away_leaves_its_entry(self):
        schedule, one, other = Schedule(), object(), object()
        schedule.settle(one, 10)
        schedule.settle(other, 20)
        schedule.settle(one, 30)
        assert schedule.next_deadline() == 10
        assert list(schedule.due(10)) == [one]
        schedule.arm(one, 30)
        assert list(schedule.due(30)) == [other, one]
        assert schedule.next_deadline() is None

    def test_one_that_moves_nearer_or_ends_takes_it_out(self):
        schedule, one = Schedule(), object()
        schedule.settle(one, 30)
        schedule.settle(one, 10)
        assert list(schedule.due(10)) == [one]
        assert list(schedule.due(30)) == []
        schedule.settle(one, 40)
        schedule.settle(one, None)
        assert schedule.next_deadline() is None

    def test_who_wakes_for_nothing_says_nothing(self, pair):
        p = pair()
        client, _ = p.open()
        client.write(b"to be acknowledged", p.now)
        p.a.touch(client)
        p.run(lambda: not client.unacknowledged, 10)
        assert Timer.LOSS in client.core.timers.running
        due = p.now
        while Timer.LOSS in client.core.timers.running:
            sooner, due = due, p.a.poll_timeout()
            assert due > sooner
            p.a.handle_timeout(due)
            assert p.a.poll_transmit(due) is None


class TestTrace:
    def test_off_is_none(self, pair):
        p = pair()
        client, server = p.open()
        assert client.trace is None
        assert server.trace is None

    def test_a_transfer_is_told_as_qlog(self, pair, tmp_path):
        p = pair(seed=4, link={"loss": 0.05}, trace=tmp_path)
        client, server = p.transfer(p.payload(200_000))
        for connection, vantage in ((client.connection, "client"), (server.connection, "server")):
            document = json.loads(json.dumps(connection.trace.qlog()))
            assert document["qlog_version"] == "0.3"
            (trace,) = document["traces"]
            assert trace["vantage_point"]["type"] == vantage
            events = trace["events"]
            assert len(events) == len(connection.trace) > 10
            times = [event["time"] for event in events]
            assert times[0] == 0
            assert times == sorted(times)
            assert all(set(event) == {"time", "name", "data"} for event in events)
        names = {event["name"] for event in client.connection.trace.events()}
        assert {"transport:packets_sent", "recovery:metrics_updated", "recovery:packets_lost"} <= names
        window = [
            event["data"]["congestion_window"]
            for event in client.connection.trace.events()
            if event["name"] == "recovery:metrics_updated"
        ]
        assert min(window) > 0

    def test_times_count_from_the_first_record(self):
        trace = Trace("client", "a title")
        assert list(trace.events()) == []
        trace.record(5 * MILLISECOND, "x:y", a=1)
        trace.record(7 * MILLISECOND, "x:z")
        assert [event["time"] for event in trace.events()] == [0, 2]

    def test_the_newest_records_are_kept_and_the_document_says_what_was_left_out(self):
        trace = Trace("client", "a title", most=3)
        for number in range(3):
            trace.record(number * MILLISECOND, "x:y", number=number)
        assert "description" not in trace.qlog()["traces"][0]
        for number in range(3, 5):
            trace.record(number * MILLISECOND, "x:y", number=number)
        assert trace.dropped == 2
        assert [event["data"]["number"] for event in trace.events()] == [2, 3, 4]
        assert trace.qlog()["traces"][0]["description"] == "the first 2 events were left out"
