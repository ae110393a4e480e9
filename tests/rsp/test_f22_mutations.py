"""F22: mutated valid packets in every state crash nothing and corrupt nothing.

Two attackers. One changes packets and cannot mend their check: nothing may change at all. The other one knows
everything, identifiers included, as only the peer itself or somebody on the path does: it may end its own connection,
but nothing may crash, hang, grow or reach another connection.
"""

from __future__ import annotations

import random

import pytest

from rawproto.rsp import checks
from rawproto.rsp.header import Kind
from rawproto.rsp.state import State
from rawproto.wire.batch import ReceivedBatch

INTERESTING = (0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255)
FIELDS = (
    (4, 1), (5, 1), (6, 2), (8, 8), (16, 8), (24, 8), (32, 8), (40, 4), (44, 4), (48, 2), (48, 8), (52, 4), (56, 4),
)  # fmt: skip
"""(offset, size) of fields of the headers."""


def mutate(packet, rng):
    """One to four changes: a bit, a byte, a field, a cut, an addition."""
    data = bytearray(packet)
    for _ in range(rng.choice((1, 1, 2, 4))):
        how = rng.randrange(6)
        at = rng.randrange(4, len(data)) if len(data) > 4 else 0
        if how == 0 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif how == 1 and data:
            data[at] = rng.choice(INTERESTING)
        elif how == 2:
            offset, size = rng.choice(FIELDS)
            value = rng.choice((0, 1, (1 << 8 * size) - 1, 1 << (8 * size - 1), rng.getrandbits(8 * size)))
            data[offset : offset + size] = value.to_bytes(size, "big")
        elif how == 3:
            offset, size = rng.choice(FIELDS)
            old = int.from_bytes(data[offset : offset + size], "big")
            new = (old + rng.choice((-3, -2, -1, 1, 2, 3, 1448))) % (1 << 8 * size)
            data[offset : offset + size] = new.to_bytes(size, "big")
        elif how == 4:
            del data[at:]
        else:
            data += rng.randbytes(rng.choice((1, 8, 100)))
    return bytes(data)


def sealed(packet):
    """``packet`` with the check that its receiver will look at."""
    numbered = packet[4:5] in (bytes([kind]) for kind in (Kind.DATA, Kind.ACK, Kind.PROBE))
    return checks.fill_one(packet, checks.XXH3 if numbered else checks.CRC32)


def reach(p, name):
    """A pair with a connection in the named state (on the dialing side), and packets of its life so far."""
    listener = p.listen()
    client = p.dial()
    p.settle()
    server = None
    if name != "SYN_SENT":
        p.links["b"].drop = (lambda packet: packet.kind != "COOKIE") if name == "CONFIRMING" else None
        p.run(lambda: client.state.name == ("CONFIRMING" if name == "CONFIRMING" else "ESTABLISHED"))
    if name not in ("SYN_SENT", "CONFIRMING"):
        p.run(lambda: len(listener) > 0)
        server = listener.accept()
        p.send(client, p.payload(5000))
        p.send(server, p.payload(3000))
        p.run(lambda: client.readable == 3000 and server.readable == 5000)
        assert client.read(-1, p.now) == p.payload(3000)
        assert server.read(-1, p.now) == p.payload(5000)
    if name in ("CLOSING", "DRAINING"):
        client.close(p.now)
        p.run(lambda: server.at_eof)
    if name == "DRAINING":
        server.close(p.now)
        p.run(lambda: client.state is State.DRAINING)
    if name == "CLOSED":
        client.abort(p.now)
    assert client.state.name == name
    return client, server


STATES = [state.name for state in State]


def snapshot(connection):
    core = connection._core
    return (
        core.state, core.peer_identifier, core.receiver.stream.next, core.receiver.stream.final_size,
        core.receiver.acks.largest, core.sender.stream.acked_end, core.sender.peer_window,
        core.recovery.sent.packets_in_flight, core.recovery.rtt.smoothed, core.recovery.controller.window,
    )  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_without_a_sound_check_nothing_changes(pair, name):
    rng = random.Random(name)
    p = pair(seed=1)
    client, server = reach(p, name)
    before = [snapshot(each) for each in (client, server) if each]
    packets = [(packet.data, packet.sender) for packet in p.packets]
    for _ in range(1500):
        data, sender = rng.choice(packets)
        changed = mutate(data, rng)
        if len(changed) >= 24 and checks.sound(changed):
            continue
        to = "b" if sender == "a" else "a"
        p.endpoints[to].handle_datagrams(ReceivedBatch.from_arrivals([(changed, sender)]), p.now)
    assert [snapshot(each) for each in (client, server) if each] == before


def storm(pair, name, seed, count):
    """Let an all-knowing attacker work on connections in a state; a bystander must not notice."""
    rng = random.Random(f"{name} {seed}")
    done = 0
    while done < count:
        p = pair(seed=rng.randrange(1000), handshake_timeout=5.0, idle_timeout=5.0, linger=5.0)
        p.oracle.on_sent = lambda *_: None  # what the attacker makes its victims say is not judged
        p.oracle.on_arrival = lambda *_: None
        client, server = reach(p, name)
        p.listener.close(p.now)
        packets = [(packet.data, packet.sender) for packet in p.packets]
        other = p.b.listen(1300, now=p.now)
        bystander = p.a.connect("b", 1300, now=p.now)
        p.links["b"].drop = None
        p.run(lambda other=other: len(other) > 0)
        peer = other.accept()
        known = {bystander.identifier, peer.identifier}
        for _ in range(40):
            batch = []
            for _ in range(rng.choice((1, 1, 3, 20))):
                data, sender = rng.choice(packets)
                changed = mutate(data, rng)
                if len(changed) >= 4 and rng.random() < 0.95:
                    changed = sealed(changed)
                if int.from_bytes(changed[8:16], "big") not in known:
                    batch.append((changed, rng.choice((sender, "b", "a", "x"))))
                done += 1
            to = rng.choice("ab")
            if batch:
                p.endpoints[to].handle_datagrams(ReceivedBatch.from_arrivals(batch), p.now)
            p.run_for(rng.choice((0, 0.001, 0.2)))
            for each in (client, server):
                if each is not None:
                    each.read(-1, p.now)
        p.send(bystander, b"still here")
        p.run(lambda peer=peer: peer.readable == 10, 30)
        assert peer.read(-1, p.now) == b"still here"
        for each in (client, server):
            if each is not None:
                each.abort(p.now)
        p.run_for(10)
        assert [each for each in p.a.connections if each is not bystander and each is client] == []


@pytest.mark.parametrize("name", STATES)
def test_an_attacker_who_knows_everything_crashes_nothing(pair, name):
    storm(pair, name, 0, 2500)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", STATES)
def test_an_attacker_who_knows_everything_a_million_packets(pair, name):
    for seed in range(1, 18):
        storm(pair, name, seed, 10_000)


@pytest.mark.parametrize("seed", range(6))
def test_noise_does_not_disturb_a_transfer(pair, seed):
    # Replays, garbage and damaged copies on top of a transfer: the stream arrives whole.
    rng = random.Random(seed)
    p = pair(seed=seed, link={"rate": 20e6})
    p.oracle.on_arrival = lambda *_: None
    p.oracle.on_sent = lambda *_: None

    def noise():
        for _ in range(10):
            if p.packets:
                old = rng.choice(p.packets[-200:])
                data = rng.choice((old.data, mutate(old.data, rng), rng.randbytes(len(old.data))))
                if data == old.data or not checks.sound(data.ljust(4, b"\0")):
                    p.inject("b" if old.sender == "a" else "a", data, source=old.sender)
        if p.now < 3 * 10**9:
            p.at(p.now / 1e9 + 0.003, noise)

    p.at(0.01, noise)
    client, server = p.transfer(p.payload(300_000), p.payload(300_000))
    assert server.received == client.data
    assert client.received == server.data
    assert (client.error, server.error) == (None, None)


def test_every_kind_with_every_size(pair):
    # H1 for all kinds, known to a connection and not, with a sound check.
    p = pair()
    client, server = reach(p, "ESTABLISHED")
    rng = random.Random(1)
    for kind in (*Kind, 0x00, 0x19, 0x1F, 0x23, 0xFF):
        for size in range(4, 110):
            for connection in (0, server.identifier, rng.getrandbits(64)):
                packet = bytearray(rng.randbytes(size))
                packet[4:5] = bytes([int(kind)])
                packet[8:16] = connection.to_bytes(8, "big")
                sound = sealed(bytes(packet[:size]))
                p.b.handle_datagrams(ReceivedBatch.from_arrivals([(sound, "a")]), p.now)
            while p.b.poll_transmit(p.now) is not None:
                pass
    assert p.b.stats.malformed > 100
    assert client.state is State.ESTABLISHED
