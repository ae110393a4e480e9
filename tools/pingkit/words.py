"""How ping says things: iputils' words, so that eyes and scripts that know them go on working."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .echo import Problem
    from .target import Target

__all__ = ["milliseconds", "problem_text", "statistics"]

_UNREACHABLE_4 = {
    0: "Destination Net Unreachable",
    1: "Destination Host Unreachable",
    2: "Destination Protocol Unreachable",
    3: "Destination Port Unreachable",
    5: "Source Route Failed",
    9: "Destination Net Prohibited",
    10: "Destination Host Prohibited",
    13: "Packet filtered",
}
_UNREACHABLE_6 = {
    0: "Destination unreachable: No route",
    1: "Destination unreachable: Administratively prohibited",
    2: "Destination unreachable: Beyond scope of source address",
    3: "Destination unreachable: Address unreachable",
    4: "Destination unreachable: Port unreachable",
}


def milliseconds(seconds: float) -> str:
    """A round trip with as many digits as mean something."""
    value = seconds * 1e3
    if value >= 99.95:
        return f"{value:.0f}"
    if value >= 9.995:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.9995 else f"{value:.3f}"


def problem_text(problem: Problem, version: int) -> str:
    """What an ICMP error means."""
    if not problem.reporter:
        # Of this host itself: nobody answered its question for the hardware address, the MTU is too small, ...
        return (
            _UNREACHABLE_4[1]
            if version == 4 and problem.errno == errno.EHOSTUNREACH
            else os.strerror(problem.errno)
        )
    if version == 4:
        if problem.type == 3 and problem.code == 4:
            return "Frag needed and DF set"
        if problem.type == 11:
            return "Time to live exceeded" if problem.code == 0 else "Frag reassembly time exceeded"
        table, unreachable = _UNREACHABLE_4, 3
    else:
        if problem.type == 3:
            return (
                "Time exceeded: Hop limit" if problem.code == 0 else "Time exceeded: Defragmentation failure"
            )
        if problem.type == 2:
            return "Packet too big"
        table, unreachable = _UNREACHABLE_6, 1
    if problem.type == unreachable and problem.code in table:
        return table[problem.code]
    return f"ICMP type {problem.type} code {problem.code}"


def statistics(target: Target, seconds: float) -> list[str]:
    """The summary of one target."""
    extras = "".join(
        f", +{count} {what}"
        for count, what in ((target.duplicates, "duplicates"), (target.errors, "errors"))
        if count
    )
    lines = [
        f"--- {target.name} ping statistics ---",
        (
            f"{target.sent} packets transmitted, {target.received} received{extras}, "
            f"{target.loss * 100:.6g}% packet loss, time {seconds * 1e3:.0f}ms"
        ),
    ]
    if target.received:
        values = (target.least, target.average, target.most, target.deviation)
        lines.append("rtt min/avg/max/mdev = " + "/".join(f"{value * 1e3:.3f}" for value in values) + " ms")
    return lines
