"""Attacks: the lines F1 to F22 of the reliability catalogue that concern the core."""

from __future__ import annotations

import random
import sys

import pytest

from rawproto.errors import ConnectionAborted, ConnectionReset
from rawproto.protocol import MILLISECOND, SECOND
from rawproto.rsp import checks
from rawproto.rsp.ack_packet import encode_ack
from rawproto.rsp.handshake import Terms, hello_packet
from rawproto.rsp.header import Data, Kind, Reset, RSPFlags
from rawproto.rsp.reasons import Reason
from rawproto.rsp.state import State
from rawproto.wire.batch import ReceivedBatch
from rawproto.wire.icmp_error import ICMPError, ICMPErrorKind

PORT = 1200


def data(connection, number, offset, payload=b"", flags=0, kind=Kind.DATA):
    """A sound packet for ``connection`` (an identifier)."""
    header = Data(
        kind=kind, flags=RSPFlags(flags), port=PORT, connection=connection, number=number, offset=offset
    )
    return checks.fill_one(bytes(header) + payload, checks.XXH3)


def ack(connection, *ranges, number=0, window=1 << 20, flags=0, behind=b"", marks=0, delay=0):
    front = encode_ack(
        port=PORT, connection=connection, number=number, window=window, ranges=ranges, delay=delay, marks=marks,
        flags=flags,
    )  # fmt: skip
    return checks.fill_one(front + behind, checks.XXH3)


def reset(connection, reason=Reason.ABORTED, *, number=0, echo=False):
    flags = RSPFlags(RSPFlags.ECHO if echo else 0)
    return checks.fill_one(
        bytes(
            Reset(
                kind=Kind.RESET,
                flags=flags,
                port=PORT,
                connection=connection,
                number=number,
                reason=int(reason),
            )
        )
    )


def calls(work):
    """How many functions ``work`` calls, of Python and of C: what it costs, on any machine."""
    counted = 0

    def count(frame, event, argument):
        nonlocal counted
        counted += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return counted


def give(p, to, *packets, source="b"):
    """Let packets arrive now, as one batch, and settle."""
    p.deliver(to, *packets, source=source)


class TestF5Blind:
    def test_guesses_of_the_identifier_hit_nothing(self, pair):
        p = pair()
        client, server = p.open()
        p.run_for(1)
        before = len(p.sent("a"))
        rng = random.Random(5)
        for _ in range(2000):
            guess = rng.getrandbits(64)
            give(p, "a", reset(guess), data(guess, 0, 0, b"injected"), ack(guess, (0, 1)), source="x")
        assert client.state is server.state is State.ESTABLISHED
        assert client.readable == 0
        assert (
            len(p.sent("a")) - before <= 100
        )  # answers to strangers are few, and shorter than their questions
        assert all(len(packet.data) < 32 for packet in p.sent("a")[before:])


class TestF3WrongAcknowledgements:
    def test_of_a_packet_never_sent_ends_the_connection(self, pair):
        # F12: an optimistic acknowledgement is a lie, and aborts.
        p = pair()
        client, _ = p.open()
        p.run_for(1)
        give(p, "a", ack(client.identifier, (0, 1000)))
        assert isinstance(client.error, ConnectionAborted)
        assert "never sent" in str(client.error)
        assert p.packets[-1].kind == "RESET"

    def test_without_ranges_the_largest_number_means_nothing(self, pair):
        p = pair(link={"rate": 100e6})
        client, server = p.open()
        p.run_for(1)
        forged = bytearray(ack(client.identifier, window=0))
        forged[32:40] = (1 << 40).to_bytes(8, "big")
        give(p, "a", checks.fill_one(bytes(forged)))
        p.send(client, p.payload(300_000))
        p.run(lambda: (bool(server.read(-1, p.now)) and False) or client.unacknowledged == 0)
        assert client.stats().packets_lost == 0

    def test_an_old_acknowledgement_changes_nothing(self, pair):
        p = pair()
        client, server = p.open()
        p.send(client, p.payload(100_000))
        p.run(lambda: client.unacknowledged == 0)
        old = p.sent("b", "ACK")[1]
        before = client.stats()
        for _ in range(50):
            give(p, "a", old.data)
        after = client.stats()
        assert (after.congestion_window, after.rtt_smoothed, after.peer_window) == (
            before.congestion_window, before.rtt_smoothed, before.peer_window,
        )  # fmt: skip
        assert server.state is State.ESTABLISHED


class TestF8BadCookies:
    def test_a_flood_of_confirms_leaves_nothing(self, pair):
        p = pair()
        listener = p.listen()
        rng = random.Random(8)
        for number in range(5000):
            terms = Terms(number % 60000 + 1, PORT, rng.getrandbits(64), 1000, 1400, 3)
            give(
                p, "b", hello_packet(Kind.CONFIRM, terms, rng.getrandbits(64), rng.randbytes(16)), source="x"
            )
        assert p.b.stats.cookies_rejected == 5000
        assert (p.b.connections, len(listener), p.packets) == ([], 0, [])


class TestF10Amplification:
    @pytest.mark.parametrize("listening", [True, False])
    def test_no_packet_gets_more_bytes_than_it_brought(self, pair, listening):
        rng = random.Random(10)
        p = pair()
        if listening:
            p.listen()
        kinds = [*(int(kind) for kind in Kind), 0x20, 0x26, 0xF0, 0x00]
        for number in range(3000):
            size = rng.choice((24, 25, 27, 28, 29, 32, 36, 52, 72, 200))
            packet = bytearray(rng.randbytes(size))
            packet[4], packet[6:8] = rng.choice(kinds), PORT.to_bytes(2, "big")
            source = f"x{number}"
            before = len(p.packets)
            p.run_for(0.02)
            give(p, "b", checks.fill_one(bytes(packet)), source=source)
            answers = p.packets[before:]
            assert sum(len(answer.data) for answer in answers) <= size
            assert len(answers) <= 1
        assert any(packet.kind == "RESET" for packet in p.packets)

    def test_a_cookie_is_never_sent_twice(self, pair):
        p = pair()
        p.listen()
        give(p, "b", hello_packet(Kind.SYN, Terms(9, PORT, 7, 1, 1400, 3), 0), source="x")
        p.run_for(600)
        assert len(p.packets) == 1


class TestF11Loops:
    @pytest.mark.parametrize("kind", list(Kind))
    def test_one_forged_packet_makes_at_most_one_exchange(self, pair, kind):
        # Each of two endpoints is made to believe that the other one said something.
        p = pair()
        p.listen()
        p.a.listen(PORT, now=0)
        for echo in (0, int(RSPFlags.ECHO)):
            packet = bytearray(data(77, 5, 5, bytes(60), kind=kind, flags=echo))
            p.inject("a", checks.fill_one(bytes(packet)), source="b")
            p.inject("b", checks.fill_one(bytes(packet)), source="a")
            p.run()
        assert len(p.packets) <= 4

    def test_the_rate_of_answers_has_a_limit_and_recovers(self, pair):
        p = pair()
        p.listen()
        for number in range(1000):
            give(p, "b", data(number + 1, 0, 0, b"x"), source="x")
        assert len(p.sent("b", "RESET")) <= 100
        p.run_for(2)
        give(p, "b", data(7, 0, 0, b"x"), source="x")
        assert p.packets[-1].at == p.now

    def test_a_flood_from_one_source_does_not_silence_answers_to_others(self, pair):
        # F4: no shared counter, which would also tell an attacker what others are told (CVE-2016-5696).
        p = pair()
        for number in range(1000):
            give(p, "b", hello_packet(Kind.SYN, Terms(9, PORT, number + 1, 1, 1400, 3), 0), source="x")
        assert len(p.sent("b", "RESET")) <= 100
        client = p.dial()
        p.run(lambda: client.closed, 1)
        assert isinstance(client.error, ConnectionRefusedError)

    def test_a_flood_from_everywhere_is_answered_at_a_limited_rate_with_limited_memory(self, pair):
        p = pair()
        for number in range(4000):
            syn = hello_packet(Kind.SYN, Terms(9, PORT, 5, 1, 1400, 3), 0)
            give(p, "b", data(5, 0, 0, b"x"), syn, source=f"x{number}")
        assert len(p.sent("b", "RESET")) <= 2000


class TestF13Counting:
    def test_divided_acknowledgements_gain_nothing(self, pair):
        # Savage et al. 1999; RFC 5681 byte counting.
        windows = []
        for pieces in (1, 10):
            p = pair(congestion="newreno")
            client, _ = p.open()
            p.run_for(1)
            p.links["b"].up = False
            p.send(client, bytes(14_480))
            p.settle()
            first = p.sent("a", "DATA")[0].number
            p.run_for(0.03)
            for piece in range(pieces):
                low, high = 10 * piece // pieces, 10 * (piece + 1) // pieces
                for _ in range(3):
                    give(p, "a", ack(client.identifier, (first + low, first + high)))
            windows.append(client.stats().congestion_window)
        assert windows[1] <= windows[0]

    def test_repeated_acknowledgements_gain_nothing(self, pair):
        p = pair()
        client, _ = p.open()
        p.send(client, bytes(10_000))
        p.run(lambda: client.unacknowledged == 0)
        before = client.stats().congestion_window
        last = p.sent("b", "ACK")[-1]
        for _ in range(1000):
            give(p, "a", last.data)
        assert client.stats().congestion_window == before


class TestF14Scoreboard:
    def test_holes_in_every_acknowledgement_cost_little_and_are_kept_few(self, pair):
        p = pair(link={"rate": None}, send_buffer=1 << 22)
        client, _ = p.open()
        p.run_for(1)
        p.links["a"].up = False
        client._core.recovery._skipper.at = 1 << 60  # this attacker is lucky and never names a skipped number
        costs = []
        for _ in range(60):
            client.write(bytes(1 << 20), p.now)
            p.run_for(0.005)
            top = client._core.recovery.sent.next
            ranges = [(number, number + 1) for number in range(top - 1, max(top - 64, 0), -2)]
            packet = ack(client.identifier, *ranges, window=1 << 40)
            p.oracle.on_arrival("a", packet, "b")
            costs.append(calls(lambda packet=packet: client.inbound.on_packet(Kind.ACK, packet, p.now, "b")))
            p.a.touch(client)
            p.settle()
            assert not client.closed
        assert max(costs[30:]) <= 2 * max(
            costs[:30]
        )  # what is in flight and lost by then makes no difference
        assert len(client._core.recovery.sent._lost.runs) <= 256
        assert len(list(client._core.recovery.sent)) <= 4096
        assert len(client._core.sender.stream.lost) <= 4096

    def test_gaps_at_the_receiver_are_limited_and_flat_in_cost(self, pair):
        # E4: the same out-of-order segment 100 times, then thousands of one-byte segments with gaps.
        p = pair()
        _, server = p.open()
        p.run_for(1)
        packet = data(server.identifier, 1000, 100, b"far")
        for _ in range(100):
            give(p, "b", packet, source="a")
        costs = []
        for turn in range(5):
            packets = [
                data(server.identifier, at, at - 1800, b"x")
                for at in range(2000 + turn * 2000, 4000 + turn * 2000, 2)
            ]
            costs.append(calls(lambda packets=packets: [give(p, "b", each, source="a") for each in packets]))
        assert max(costs) <= 2 * min(costs)
        stream = server._core.receiver.stream
        assert len(stream._beyond) <= 256
        assert stream.memory <= 2 * stream.capacity
        assert len(server._core.receiver.acks._received) <= 64
        assert server.state is State.ESTABLISHED


class TestF17ICMP:
    def error(self, kind, quoted, reporter="router"):
        return ICMPError(
            kind=kind, type=3, code=2, version=4, reporter=reporter, destination="b", quoted=quoted
        )

    @pytest.mark.parametrize("kind", list(ICMPErrorKind))
    def test_never_ends_an_established_connection(self, pair, kind):
        p = pair(idle_timeout=20.0)
        client, _ = p.open()
        p.send(client, b"x" * 100)
        p.settle()
        for packet in p.sent("a"):
            p.a.handle_icmp(self.error(kind, packet.data), p.now)
        p.settle()
        assert client.state is State.ESTABLISHED
        p.links["a"].up = False
        p.send(client, b"x")
        p.run(lambda: client.closed, 60)
        assert f"the network said: {kind.value}" in str(client.error)

    @pytest.mark.parametrize("kind", [ICMPErrorKind.PROTOCOL_UNREACHABLE, ICMPErrorKind.PORT_UNREACHABLE])
    def test_refuses_a_dial_whose_syn_it_quotes(self, pair, kind):
        p = pair()
        p.links["a"].up = False
        client = p.dial()
        p.settle()
        p.a.handle_icmp(self.error(kind, p.packets[0].data), p.now)
        p.settle()
        assert isinstance(client.error, ConnectionRefusedError)
        assert kind.value in str(client.error)

    @pytest.mark.parametrize("closing", [False, True])
    @pytest.mark.parametrize("kind", [ICMPErrorKind.PROTOCOL_UNREACHABLE, ICMPErrorKind.PORT_UNREACHABLE])
    def test_a_listener_gone_behind_its_cookie_is_noticed_when_it_is_said_of_two_confirms(
        self, pair, kind, closing
    ):
        p = pair()
        p.listen()
        client = p.dial()
        p.links["a"].drop = lambda packet: packet.kind != "SYN"
        p.run(lambda: client.state is State.CONFIRMING)
        p.send(client, b"x" * 5000)
        if closing:
            client.close(p.now)
        p.settle()
        first = [packet for packet in p.sent("a") if packet.kind != "SYN"]
        assert [packet.kind for packet in first[:2]] == ["CONFIRM", "DATA"]
        for packet in first * 3:  # each packet of the first flight has its answer, however many there are
            p.a.handle_icmp(self.error(kind, packet.data), p.now)
        assert not client.closed
        p.run(lambda: len(p.sent("a", "CONFIRM")) == 2)
        assert not client.closed
        p.a.handle_icmp(self.error(kind, p.sent("a", "CONFIRM")[1].data), p.now + MILLISECOND)
        assert isinstance(client.error, ConnectionRefusedError)
        assert kind.value in str(client.error)
        assert p.now < 2 * SECOND

    @pytest.mark.parametrize(
        "kind", [ICMPErrorKind.HOST_UNREACHABLE, ICMPErrorKind.TIME_EXCEEDED, ICMPErrorKind.PACKET_TOO_BIG]
    )
    def test_others_never_end_a_dial_that_confirms(self, pair, kind):
        p = pair(handshake_timeout=5.0)
        p.listen()
        client = p.dial()
        p.links["a"].drop = lambda packet: packet.kind != "SYN"
        p.run(lambda: client.state is State.CONFIRMING)
        for count in range(2, 5):
            p.run(lambda count=count: len(p.sent("a", "CONFIRM")) == count)
            p.a.handle_icmp(self.error(kind, p.sent("a")[-1].data), p.now)
        assert not client.closed
        p.run(lambda: client.closed)
        assert kind.value in str(client.error)

    def test_errors_before_the_listener_was_heard_do_not_count_behind_it(self, pair):
        p = pair()
        p.listen()
        client = p.dial()
        p.links["a"].drop = lambda packet: packet.kind != "SYN" and len(p.sent("a", "CONFIRM")) < 2
        p.run(lambda: client.state is State.CONFIRMING)
        p.a.handle_icmp(self.error(ICMPErrorKind.PORT_UNREACHABLE, p.sent("a")[-1].data), p.now)
        p.run(lambda: client.state is State.ESTABLISHED)
        for packet in p.sent("a")[1:]:
            p.a.handle_icmp(self.error(ICMPErrorKind.PORT_UNREACHABLE, packet.data), p.now)
        assert client.state is State.ESTABLISHED

    def test_eight_quoted_bytes_are_enough_for_a_dial(self, pair):
        # RFC 792: the IP header and 8 bytes; they hold the CRC over the random identifier.
        p = pair()
        p.links["a"].up = False
        client = p.dial()
        p.settle()
        p.a.handle_icmp(self.error(ICMPErrorKind.PROTOCOL_UNREACHABLE, p.packets[0].data[:8]), p.now)
        assert client.closed

    def test_a_forged_one_that_quotes_another_syn_does_nothing(self, pair):
        p = pair()
        p.links["a"].up = False
        client = p.dial(local_port=5000)
        p.settle()
        forged = hello_packet(Kind.SYN, Terms(5000, PORT, 7, 1, 1400, 3), 0)
        for size in (0, 3, 7, 8, 15, 16, 24, 26, len(forged)):
            p.a.handle_icmp(self.error(ICMPErrorKind.PORT_UNREACHABLE, forged[:size]), p.now)
        assert client.state is State.SYN_SENT
        assert p.a.stats.icmp_ignored == 9

    def test_soft_ones_do_not_end_a_dial(self, pair):
        p = pair(handshake_timeout=5.0)
        p.links["a"].up = False
        client = p.dial()
        p.settle()
        p.a.handle_icmp(self.error(ICMPErrorKind.HOST_UNREACHABLE, p.packets[0].data), p.now)
        assert not client.closed
        p.run(lambda: client.closed)
        assert "host unreachable" in str(client.error)


class TestF18Land:
    def test_an_endpoint_that_hears_itself_goes_quiet(self, pair):
        p = pair()
        p.listen()
        give(p, "b", hello_packet(Kind.SYN, Terms(PORT, PORT, 7, 1, 1400, 3), 0), source="b")
        assert len(p.packets) == 1
        p.inject("b", p.packets[0].data, source="b")
        p.run()
        assert len(p.packets) == 1
        assert p.b.connections == []

    def test_dialing_oneself_is_refused_in_words(self, pair):
        p = pair()
        p.links["a"].drop = None
        client = p.a.connect("a", 5000, local_port=5000, now=0)
        p.run(lambda: client.closed, 5)
        assert isinstance(client.error, ConnectionRefusedError)


class TestF20HashFlooding:
    def test_identifiers_chosen_by_the_peer_do_not_collide(self, pair):
        # int hashes are the same in every CPython process: keys that the peer chooses must not be plain integers,
        # and what the listener chooses must not follow from what the peer chose.
        p = pair()
        listener = p.listen(backlog=10_000)
        for number in range(200):
            give(p, "b", *self.opening(p, Terms(9, PORT, (number + 1) << 48, 1000, 1400, 3)), source="x")
        assert len(listener) == 200
        for table in p.tables("b").values():
            assert not any(isinstance(key, int) and key & 0xFFFF_FFFF_FFFF == 0 for key in table)
        assert len({connection.identifier % 1024 for connection in p.b.connections}) > 100

    def opening(self, p, terms, source="x"):
        give(p, "b", hello_packet(Kind.SYN, terms, 0), source=source)
        cookie = p.packets[-1].data
        return [hello_packet(Kind.CONFIRM, terms, int.from_bytes(cookie[32:40], "big"), cookie[56:72])]

    def test_two_dialers_with_one_identifier_do_not_touch_each_other(self, pair):
        p = pair()
        listener = p.listen()
        for port in (1, 2):
            terms = Terms(port, PORT, 4711, 1000, 1400, 3)
            give(p, "b", *self.opening(p, terms, f"x{port}"), source=f"x{port}")
        first, second = listener.accept(), listener.accept()
        assert first.identifier != second.identifier
        second.abort(p.now)
        p.run_for(0.01)
        p.send(first, b"data")
        p.settle()
        number = p.packets[-1].number
        p.run_for(0.01)
        give(p, "b", reset(4711, Reason.UNKNOWN, number=number, echo=True), source="x1")
        assert isinstance(first.error, ConnectionReset)


class TestViolations:
    @pytest.mark.parametrize(
        "packets",
        [
            [(0, 0, b"abc", int(RSPFlags.FIN)), (1, 3, b"d", 0)],
            [(0, 0, b"abc", int(RSPFlags.FIN)), (1, 0, b"ab", int(RSPFlags.FIN))],
            [(1 << 63, 0, b"x", 0)],
            [(0, 1 << 63, b"x", 0)],
            [(0, (1 << 62) + 1, b"x", 0)],
            [((1 << 64) - 1, (1 << 64) - 1, b"x", 0)],
        ],
        ids=["beyond the end", "two ends", "number", "offset", "offset at the limit", "all ones"],
    )
    def test_reset_the_connection_with_a_reason(self, pair, packets):
        p = pair()
        client, server = p.open()
        p.run_for(1)
        give(
            p, "b", *[data(server.identifier, *packet[:3], flags=packet[3]) for packet in packets], source="a"
        )
        assert isinstance(server.error, ConnectionAborted)
        assert "broke the protocol" in str(server.error)
        p.run(lambda: client.closed)
        assert "this side broke the protocol" in str(client.error)


class TestMalformed:
    def test_a_short_row_costs_only_itself(self, pair):
        p = pair()
        _, server = p.open()
        good = [data(server.identifier, number, number, b"x") for number in range(3)]
        p.b.handle_datagrams(
            ReceivedBatch.from_arrivals(
                [(good[0], "a"), (good[1][:28], "a"), (good[2], "a"), (good[1], "a")]
            ),
            p.now,
        )
        assert server.readable == 3
        assert p.b.stats.malformed == 1

    def test_marks_of_damaged_packets_do_not_count(self, pair):
        p = pair()
        _, server = p.open()
        damaged = bytearray(data(server.identifier, 0, 0, b"x"))
        damaged[-1] ^= 1
        batch = ReceivedBatch.from_arrivals(
            [(bytes(damaged), "a"), (data(server.identifier, 1, 1, b"x"), "a")], ecn=[3, 3]
        )
        p.b.handle_datagrams(batch, p.now)
        assert server.stats().congestion_marks == 1

    def test_every_prefix_of_every_kind(self, pair):
        # H1.
        p = pair()
        client, server = p.open()
        p.send(client, p.payload(3000))
        p.run(lambda: client.unacknowledged == 0)
        p.send(server, b"x")
        p.run(lambda: client.readable > 0)
        samples = {packet.kind: packet for packet in p.packets}
        for packet in samples.values():
            to = "b" if packet.sender == "a" else "a"
            for size in range(len(packet.data)):
                cut = packet.data[:size]
                give(p, to, cut, source=packet.sender)
                for check in (checks.CRC32, checks.XXH3) if size >= 4 else ():
                    give(p, to, checks.fill_one(cut, check), source=packet.sender)
        assert client.state is server.state is State.ESTABLISHED


class TestAccessList:
    def test_is_asked_before_anything_is_done(self, pair):
        p = pair(handshake_timeout=3.0)
        asked = []
        p.listen(admit=lambda address: asked.append(address) or False)
        client = p.dial()
        p.run(lambda: client.closed)
        assert set(asked) == {"a"}
        assert p.sent("b") == []
        assert p.b.stats.not_admitted == len(asked)
        give(
            p,
            "b",
            checks.fill_one(bytes([0, 0, 0, 0, 0x20, 0]) + PORT.to_bytes(2, "big") + bytes(64)),
            source="z",
        )
        assert p.sent("b") == []


class TestBeforeAccept:
    def test_a_connection_that_waits_may_hold_only_so_much(self, pair, flow):
        # Security table: 64 KiB pre-accept for each connection, and the window follows once it is accepted.
        p = pair()
        listener = p.listen()
        client = p.dial()
        sender = flow(client, p.payload(1_000_000))
        p.flows.append(sender)
        p.run(lambda: len(listener) == 1)
        p.run_for(10)
        (waiting,) = p.b.connections
        assert waiting.stats().bytes_received <= 64 * 1024
        reader = flow(listener.accept(), b"", sender.data)
        p.flows.append(reader)
        p.run(lambda: client.closed and reader.connection.closed)
        assert reader.received == sender.data
