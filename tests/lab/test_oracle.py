"""Each rule that is checked in every simulation catches an engine that breaks it, and the model reads what it should.

The engine is broken on purpose, one rule at a time; the standard scenario must then fail by that rule.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from rawproto import DatagramProtocol, InvariantError, IPAddr, Simulation
from rawproto.lab.model import DATA, FIN, Inflow, Outflow, Packet, Spans
from rawproto.lab.swarm import rsp_transfer
from rawproto.protocol import SECOND
from rawproto.rsp import Endpoint, RSPConfig, checks, integrity, outbound
from rawproto.rsp.acks import AckTracker
from rawproto.rsp.arrivals import Arrivals
from rawproto.rsp.directory import Directory
from rawproto.rsp.header import Kind, Reset
from rawproto.rsp.outbound import Outbound
from rawproto.rsp.receive_stream import ReceiveStream
from rawproto.rsp.receiver import Receiver
from rawproto.rsp.recovery import Recovery
from rawproto.rsp.replies import Replies
from rawproto.rsp.send_stream import SendStream
from rawproto.rsp.sender import Sender
from rawproto.wire.batch import Batch, Transmit

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[Callable[..., Any]], Callable[..., Any]]

SEEDS = 30


def after(change: Callable[[Any, Any], Any]) -> Change:
    """A method whose answer is ``change(self, answer)``."""

    def wrap(whole: Callable[..., Any]) -> Callable[..., Any]:
        return lambda self, *args, **named: change(self, whole(self, *args, **named))

    return wrap


def once_in(count: int, change: Change) -> Change:
    """The change at every ``count``-th call only."""

    def wrap(whole: Callable[..., Any]) -> Callable[..., Any]:
        calls = 0
        changed = change(whole)

        def method(*args: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            return (whole if calls % count else changed)(*args, **named)

        return method

    return wrap


def never(_: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *_, **__: None


def twice(whole: Callable[..., Any]) -> Callable[..., Any]:
    """Replies.pop gives each answer two times."""
    again: list[Any] = []

    def pop(self: Replies) -> Any:
        if again:
            return again.pop()
        if (answer := whole(self)) is not None:
            again.append(answer)
        return answer

    return pop


def says_more_when_over(whole: Callable[..., Any]) -> Callable[..., Any]:
    def poll_transmit(self: Outbound, now: int) -> Any:
        core = self._core
        if core.closed and core.peer_identifier and not core.control:
            return Transmit(Batch.single(self._ack(now, core.recovery.sent.next)), core.address)
        return whole(self, now)

    return poll_transmit


def invents_marks(whole: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *fields, **named: whole(*fields, **(named | {"marks": 1}))


def one_too_many(_: Outbound, found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(found[0][0], found[0][1] + 1), *found[1:]] if found else found


def spoiled(_: ReceiveStream, data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1]) if data else data


def believes_the_end(stream: SendStream, answer: Any) -> Any:
    stream.fin_acked = stream.finished_writing
    return answer


def believes_everything(stream: SendStream, answer: Any) -> Any:
    stream.acked_end = stream.next
    return answer


MUTANTS: dict[str, tuple[Any, str, Change, str]] = {
    "other bytes are read": (ReceiveStream, "read", after(spoiled), "other bytes were read"),
    "other bytes are sent": (
        SendStream,
        "locate",
        once_in(9, after(lambda _, found: (found[0][::-1].copy(), *found[1:]))),
        "carries other bytes",
    ),
    "the window is taken back": (
        Receiver,
        "advertise",
        once_in(5, after(lambda _, edge: edge - 1)),
        "the window shrank",
    ),
    "the end is stated early": (
        Sender,
        "_flags",
        once_in(3, after(lambda _, flags: flags | FIN)),
        "ends the stream at",
    ),
    "a number is used again": (
        Recovery,
        "on_sent",
        once_in(5, after(lambda _, number: max(0, number - 1))),
        "goes out after",
    ),
    "more is acknowledged than arrived": (AckTracker, "ranges", after(one_too_many), "have not all arrived"),
    "marks are invented": (outbound, "encode_ack", invents_marks, "congestion marks are told"),
    "acknowledged data is dropped": (ReceiveStream, "write", once_in(7, never), "bytes in a row are there"),
    "damage is not noticed": (
        integrity,
        "verify",
        never,
        "bytes in a row are there|other bytes were read|have not all arrived",
    ),
    "the congestion window is not kept": (
        Recovery,
        "allowance",
        after(lambda _, __: 1 << 20),
        "bytes are in flight",
    ),
    "an answer without a cause": (AckTracker, "on_sent", never, "an ACK goes out without a cause"),
    "two answers to one stranger": (Replies, "pop", twice, "bytes go to .* for"),
    "a word after the end": (
        Outbound,
        "poll_transmit",
        says_more_when_over,
        "goes out when the connection is over",
    ),
    "connections are kept": (Directory, "remove", never, "is over and still in the table"),
    "lost data counts as delivered": (
        SendStream,
        "on_lost",
        after(believes_everything),
        "bytes count as delivered",
    ),
    "the end counts as delivered": (SendStream, "finish", after(believes_the_end), "was not acknowledged"),
    "a deadline that is not met": (
        Endpoint,
        "poll_timeout",
        after(lambda _, due: due and 1),
        "a timer stays in the past",
    ),
}


def run_seeds() -> None:
    for seed in range(SEEDS):
        rsp_transfer(Simulation(seed))


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_engine_is_caught_by_the_rule_it_breaks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place, method, change, said = MUTANTS[name]
    monkeypatch.setattr(place, method, change(getattr(place, method)))
    with pytest.raises(InvariantError, match=said) as caught:
        run_seeds()
    assert "Simulation(seed=" in str(caught.value)


def test_without_checks_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AckTracker, "ranges", after(one_too_many)(AckTracker.ranges))
    rsp_transfer_ends = Simulation(1, checks=False)
    try:
        rsp_transfer(rsp_transfer_ends)
    except InvariantError:
        pytest.fail("an oracle was there")
    except AssertionError:
        pass  # the scenario itself may see that such an engine does not get through


def test_more_kept_than_the_send_buffer_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SendStream, "room", property(lambda stream: 1 << 20))
    with pytest.raises(InvariantError, match="bytes are kept to be sent"):
        transfer(Simulation(), RSPConfig(send_buffer=10_000), 100_000)


def test_data_beyond_the_window_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Sender.on_window
    monkeypatch.setattr(Sender, "on_window", lambda sender, edge: whole(sender, edge + 50_000))
    with pytest.raises(InvariantError, match="beyond the peer's window"):
        transfer(Simulation(), RSPConfig(initial_window=4_000), 100_000)


def test_more_memory_than_the_window_needs_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rawproto.rsp.receive_stream._FIRST_RING", 1 << 22)
    with pytest.raises(InvariantError, match="bytes are held for a window of"):
        transfer(Simulation(), RSPConfig(), 1_000)


def test_an_end_told_early_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReceiveStream, "at_end", property(lambda stream: stream.read_offset > 0))
    with pytest.raises(InvariantError, match="the end was told after"):
        transfer(Simulation(), RSPConfig(), 100_000)


def test_an_answer_to_a_reset_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def bounce(self: Arrivals, packet: bytes, identifier: int, now: int) -> None:
        self._strangers.replies.reset(packet, near.address)

    simulation = Simulation()
    a, b = simulation.hosts("a", "b")
    simulation.link(a, b)
    b.run(Endpoint(entropy=simulation.entropy("b")))
    near = a.run(Repeater())
    reset = checks.fill_one(bytes(Reset(kind=Kind.RESET, port=9, connection=77, number=1, reason=0)))
    near.do(lambda repeater, now: repeater.send(reset, IPAddr(b.ip4)))
    simulation.run()
    monkeypatch.setattr(Arrivals, "_stray_reset", bounce)
    near.do(lambda repeater, now: repeater.send(reset, IPAddr(b.ip4)))
    with pytest.raises(InvariantError, match="a RESET answers a RESET"):
        simulation.run()


class Repeater(DatagramProtocol):
    """Sends what it is told to."""

    def datagram_received(self, data: bytes, source: Any, now: int) -> None:
        """Nothing is to be heard."""


def transfer(simulation: Simulation, config: RSPConfig, size: int) -> None:
    """``size`` bytes from a to b on a clean link."""
    a, b = simulation.hosts("a", "b")
    simulation.link(a, b, delay="5ms")
    far = b.run(Endpoint(config, entropy=simulation.entropy("b")))
    near = a.run(Endpoint(config, entropy=simulation.entropy("a")))
    listener = far.do(lambda endpoint, now: endpoint.listen(7, now=now))
    dialed = near.do(lambda endpoint, now: endpoint.connect(far.address, 7, now=now))
    accepted: list[Any] = []

    def serve(_: Any, now: int) -> None:
        if not accepted and (found := listener.accept()) is not None:
            accepted.append(found)
        for connection in accepted:
            connection.read(-1, now)

    far.on_event = serve
    written = 0

    def write(_: Any, now: int) -> None:
        nonlocal written
        if dialed.established and written < size:
            written += dialed.write(bytes(size - written), now)

    near.on_event = write
    simulation.run(deadline="20s")
    assert written == size


# ---- the model itself -----------------------------------------------------------------------------------------


def packet(number: int, start: int, data: bytes, flags: int = 0) -> Packet:
    return Packet(DATA, flags, 1, number, start, data, None, [], 0, True, 32 + len(data))


def inflow() -> Inflow:
    found = Inflow()
    found.limit = 1_000
    return found


def test_what_arrives_in_any_order_is_read_in_one() -> None:
    flow = inflow()
    flow.came(packet(1, 3, b"def"))
    assert flow.arrived == 0
    flow.came(packet(0, 0, b"abc"))
    flow.came(packet(2, 2, b"XXX"))  # the first copy counts
    assert flow.arrived == 6
    flow.took(b"abcd")
    with pytest.raises(InvariantError, match="other bytes were read at 4 to 6"):
        flow.took(b"XX")
    with pytest.raises(InvariantError, match="bytes up to 7 were read, 6 have arrived"):
        flow.took(b"efg")


@pytest.mark.parametrize(
    "contradiction", [packet(2, 6, b"g"), packet(2, 3, b"d", FIN), packet(2, 0, b"abcdefg", FIN)]
)
def test_two_ends_are_a_contradiction(contradiction: Packet) -> None:
    flow = inflow()
    flow.came(packet(0, 0, b"abc"))
    flow.came(packet(1, 3, b"def", FIN))
    assert (flow.final, flow.broken) == (6, False)
    flow.came(contradiction)
    assert flow.broken


def test_beyond_the_limit_an_end_is_free_to_choose() -> None:
    flow = inflow()
    flow.came(packet(0, 990, b"0123456789"))
    assert flow.exact
    flow.came(packet(1, 1_000, b"0"))
    assert not flow.exact


def test_the_model_of_a_sender_knows_what_was_acknowledged() -> None:
    flow = Outflow()
    flow.wrote(b"abcdef")
    flow.window = 100
    flow.sent(packet(0, 0, b"abc"))
    flow.sent(packet(1, 3, b"def"))
    flow.sent(packet(5, 0, b"abc"))
    acknowledgement = dataclasses.replace(packet(0, 0, b""), start=None, ranges=[(1, 2)], window=200)
    flow.heard(acknowledgement)
    assert (flow.acknowledged.prefix(), flow.window) == (0, 200)
    flow.heard(dataclasses.replace(acknowledgement, ranges=[(5, 6), (1, 2)], window=150))
    assert (flow.acknowledged.prefix(), flow.window) == (6, 200)
    flow.ended = True
    with pytest.raises(InvariantError, match="behind the end"):
        flow.wrote(b"g")


def test_spans_join_and_tell_what_is_new() -> None:
    spans = Spans()
    assert spans.add(5, 5) == []
    assert spans.add(0, 10) == [(0, 10)]
    assert spans.add(20, 30) == [(20, 30)]
    assert spans.add(5, 25) == [(10, 20)]
    assert (spans.starts, spans.stops, spans.prefix()) == ([0], [30], 30)
    assert spans.covers(3, 30)
    assert not spans.covers(3, 31)
    assert not Spans().covers(0, 1)


@pytest.mark.parametrize("raw", [b"", bytes(23), b"\0\0\0\0\x13" + bytes(20), b"\0\0\0\0\x14" + bytes(40)])
def test_what_is_no_packet_is_none(raw: bytes) -> None:
    assert Packet.read(raw) is None


def test_the_model_knows_every_kind_and_flag_of_the_engine() -> None:
    from rawproto.lab import model
    from rawproto.rsp.header import ACK_HEADER_SIZE, COMMON_SIZE, DATA_HEADER_SIZE, Hello, RSPFlags

    assert {kind.name: int(kind) for kind in Kind} == {kind.name: getattr(model, kind.name) for kind in Kind}
    assert (
        int(RSPFlags.FIN),
        int(RSPFlags.ECHO),
        int(RSPFlags.CARRIES_DATA),
    ) == (FIN, model.ECHO, model.CARRIES_DATA)
    sizes = model._COMMON_SIZE, model._DATA_SIZE, model._ACK_SIZE, model._HELLO_SIZE
    assert sizes == (COMMON_SIZE, DATA_HEADER_SIZE, ACK_HEADER_SIZE, Hello.size)


def test_idle_time_is_nothing_to_the_oracle() -> None:
    simulation = Simulation()
    transfer(simulation, RSPConfig(), 1)
    before = simulation.record.count
    simulation.run(lambda: False, deadline=24 * 3600)
    assert simulation.now >= 24 * 3600 * SECOND
    assert simulation.record.count - before < 100
