"""The end of a run for people (a table) and for programs (JSON)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ..quantity import show_rate, show_size, show_span
from .result import DECISIONS

if TYPE_CHECKING:
    from .result import Result

__all__ = ["document", "rows"]


def rows(result: Result) -> list[tuple[str, str]]:
    """The table, as (what, how much)."""
    sender, receiver, relay = result.sender, result.receiver, result.relay
    caught = sender.corrupted + receiver.corrupted
    twice = sender.duplicates + receiver.duplicates
    share = sender.retransmitted / max(sender.packets_sent, 1)
    return [
        ("SHA-256 sent", sender.sha256),
        ("SHA-256 received", f"{receiver.sha256}  {'equal' if result.equal else 'DIFFERENT'}"),
        ("size", f"{show_size(receiver.size)} ({receiver.size:,} bytes)"),
        ("time", _time(result)),
        ("goodput", show_rate(result.goodput)),
        ("share of the link", f"{result.share:.1%} of {show_rate(result.rate)}"),
        ("RTT", f"{show_span(sender.rtt)} (smoothed), {show_span(sender.min_rtt)} (least)"),
        ("retransmissions", f"{sender.retransmitted:,} of {sender.packets_sent:,} packets ({share:.1%})"),
        (
            "declared lost",
            f"{sender.lost:,}; the link dropped {relay.lost:,}, its queue {relay.overflowed:,}",
        ),
        ("corrupted, caught", f"{caught:,}; the link corrupted {relay.corrupted:,}"),
        ("duplicates, caught", f"{twice:,}; the link duplicated {relay.duplicated:,}"),
        ("reordered by the link", f"{relay.reordered:,}"),
        (
            "the link's decisions",
            f"{relay.decisions} (digest of the first {DECISIONS:,}; follows from the seed)",
        ),
        ("kernel drops", _drops(result)),
    ]


def _time(result: Result) -> str:
    if result.where != "simulation":
        return show_span(result.seconds)
    return f"{show_span(result.seconds)} of virtual time, {show_span(result.wall)} on the wall"


def _drops(result: Result) -> str:
    if result.where == "simulation":
        return "none: there is no kernel in the simulator"
    return (
        f"{result.sender.kernel_drops:,} at the sender, {result.receiver.kernel_drops:,} at the receiver, "
        f"{result.relay.starved:,} at the relay"
    )


def document(result: Result, artefacts: dict[str, str]) -> dict[str, Any]:
    """The same for programs."""
    return {
        **dataclasses.asdict(result),
        "equal": result.equal,
        "goodput": result.goodput,
        "share": result.share,
        "artefacts": artefacts,
    }
