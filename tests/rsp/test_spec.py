"""docs/rsp.md says what the code does: diagrams, states and constants are compared."""

from __future__ import annotations

import re
from pathlib import Path

import generated

from rawproto.protocol import MILLISECOND, SECOND
from rawproto.rsp import (
    acks,
    config,
    cookie,
    core,
    deadlines,
    directory,
    handshake,
    loss,
    mtu_search,
    opening,
    outbound,
    path_mtu,
    rtt,
)
from rawproto.rsp.congestion import newreno
from rawproto.rsp.header import Kind
from rawproto.rsp.reasons import Reason

DOCS = Path(__file__).parents[2] / "docs"


def test_diagrams_and_states_are_those_of_the_code() -> None:
    text = (DOCS / "rsp.md").read_text()
    assert generated.filled(text) == text, "run: python docs/generated.py"


def test_every_kind_and_reason_is_in_its_table() -> None:
    text = (DOCS / "rsp.md").read_text()
    for kind in Kind:
        assert f"| {int(kind) & 0xF} | {kind.name} |" in text
    for reason in Reason:
        assert f"| {int(reason)} | {reason.name} |" in text


def test_the_constants_are_those_of_the_code() -> None:
    text = (DOCS / "rsp.md").read_text()
    size, defaults = mtu_search.BASE_DATAGRAM, config.RSPConfig()
    first, most = newreno.initial_window(size) // size, newreno.initial_window(7000)
    constants = {
        "IP protocol": f"{config.DEFAULT_PROTOCOL}",
        "SYN repeated after": f"{opening.FIRST_RETRY // SECOND} s, 2 s, then every {opening.MAX_RETRY // SECOND} s, "
        "a tenth more or less",
        "dial given up after": f"{defaults.handshake_timeout:g} s (configurable)",
        "cookie key replaced every": f"{cookie.ROTATION // SECOND} s; the last one stays good",
        "longest acknowledgement delay": f"{acks.MAX_ACK_DELAY // MILLISECOND} ms",
        "packet threshold, time threshold": f"{loss.PACKET_THRESHOLD}, {loss.TIME_THRESHOLD_EIGHTHS}/8",
        "timer granularity": f"{rtt.GRANULARITY // MILLISECOND} ms",
        "probe timeout doubled up to": f"{loss.MAX_PROBE_INTERVAL // SECOND} s, a tenth more or less",
        "initial round trip": f"{rtt.INITIAL_RTT // MILLISECOND} ms",
        "initial window": f"{first} packets, at most {most:,} bytes",
        "least window": f"{newreno.minimum_window(size) // size} packets",
        "datagram size to begin with": f"{mtu_search.BASE_DATAGRAM:,} bytes",
        "least datagram size": f"{handshake.MIN_DATAGRAM} bytes",
        "probes of a size": f"{mtu_search.MAX_PROBES}",
        "search repeated after": f"{path_mtu.RAISE_INTERVAL // SECOND} s",
        "closed window probed at least every": f"{outbound.MAX_PERSIST // SECOND} s",
        "peer's half open after close": f"{core.FIN_WAIT // SECOND} s",
        "draining at least, the last of an endpoint": f"{deadlines.LEAST_DRAINING / SECOND:g} s",
        "delivery after close": f"{defaults.linger:g} s (configurable)",
        "idle timeout": f"{defaults.idle_timeout:g} s (configurable)",
        "ended connections remembered": f"{cookie.COOKIE_LIFETIME // SECOND} s, at most {directory.MOST_RECENT:,}",
    }
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \| [^|]*\|$", text.partition("## 6.")[2], re.MULTILINE))
    assert {name: rows.get(name) for name in constants} == constants
    assert set(rows) - set(constants) == {"what", "version"}
