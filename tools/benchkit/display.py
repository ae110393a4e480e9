"""A measurement as lines of text, in the layout people know from iperf3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..quantity import show_rate, show_size, show_span

if TYPE_CHECKING:
    from .plan import Plan
    from .report import Line, Moment, Report, Total

__all__ = ["Display", "Silence", "goal", "ratio_line"]

_HEAD = {
    False: f"{'[ ID]':7}{'Interval':>15}{'Transfer':>11}{'Bitrate':>14}{'Retr':>7}{'Window':>10}{'RTT':>10}",
    True: f"{'[ ID]':7}{'Interval':>15}{'Transfer':>11}{'Bitrate':>14}{'Jitter':>10}{'Lost/Total':>16}",
}


def goal(plan: Plan) -> str:
    """What a plan is after, in words."""
    amount = f"{plan.seconds:g} s" if plan.seconds is not None else show_size(plan.size or 0)
    streams = f"{plan.streams} stream{'s' * (plan.streams > 1)}"
    way = {"forward": "", "reverse": ", reverse", "both": " each way"}[plan.direction]
    pace = f", {show_rate(plan.rate)} each" if plan.rate is not None else ""
    return f"{plan.network}, {amount}, {streams}{way}{pace}"


def ratio_line(report: Report, other: Report) -> str:
    """How two measurements compare."""
    ours, theirs = report.plan.network, other.plan.network
    if not other.rate:
        return f"{ours}: {show_rate(report.rate)}; {theirs}: nothing arrived"
    return (
        f"{ours}: {show_rate(report.rate)}, {theirs}: {show_rate(other.rate)}; "
        f"{ours} is {report.rate / other.rate:.3g} of {theirs}"
    )


class Silence:
    """Prints nothing: JSON comes at the end."""

    def begin(self, plan: Plan, control: Any) -> None:
        """All connections are open, among them ``control``."""

    def interval(self, moment: Moment) -> None:
        """An interval has passed."""

    def end(self, report: Report) -> None:
        """It is over."""


class Display(Silence):
    """Prints as the measurement goes on."""

    def begin(self, plan: Plan, control: Any) -> None:
        """Say who is connected, and print the head of the table."""
        click.echo(f"connected {control.local_addr} to {control.remote_addr}: {goal(plan)}")
        self._datagrams = plan.datagrams
        click.echo(_HEAD[self._datagrams])

    def interval(self, moment: Moment) -> None:
        """Print the lines of one interval."""
        for line in moment.lines:
            mark = f"[{line.index + 1:3d}]" + ("  " if line.sending else "R ")
            click.echo(self._row(mark, moment, line.size, line))
        for sending in (True, False):
            lines = [line for line in moment.lines if line.sending is sending]
            if len(lines) > 1:
                mark = "[SUM]" + ("  " if sending else "R ")
                click.echo(self._row(mark, moment, sum(line.size for line in lines), None))

    def _row(self, mark: str, moment: Moment, size: int, line: Line | None) -> str:
        counters = line.counters if line is not None else {}
        text = _start(mark, moment.begin, moment.end, size, size * 8 / moment.seconds)
        if not self._datagrams:
            again, window, rtt = (counters.get(name) for name in ("retransmitted", "window", "rtt"))
            text += f"{'' if again is None else again:>7}"
            text += f"{'' if window is None else show_size(window):>10}"
            text += f"{'' if rtt is None else show_span(rtt):>10}"
        return text.rstrip()

    def end(self, report: Report) -> None:
        """Print what came out."""
        click.echo("- " * 37)
        for total in report.totals:
            self._totals(total)
        here, there = report.here["cpu"], report.there["cpu"]
        click.echo(f"CPU      here {_cpu(here)}; there {_cpu(there)}")
        if report.latency is not None:
            idle, load = report.latency["idle"], report.latency["load"]
            click.echo(f"Latency  idle {_latency(idle)}; under load {_latency(load)}")

    def _totals(self, total: Total) -> None:
        back = "R " if total.direction == "reverse" else "  "
        rate = total.sent * 8 / max(total.seconds, 1e-9)
        sent = _start(f"[SUM]{back}", 0.0, total.seconds, total.sent, rate)
        again = "" if total.retransmitted is None else f"{total.retransmitted:>7}"
        got = _start(f"[SUM]{back}", 0.0, total.seconds, total.received, total.rate)
        if total.lost is not None:
            packets = total.packets or 0
            share = total.lost / packets if packets else 0.0
            got += f"{show_span(total.jitter or 0.0):>10}{f'{total.lost}/{packets} ({share:.2g})':>16}"
        click.echo(f"{sent}{again:7}  sent")
        click.echo(f"{got}{'' if total.lost is not None else '       '}  received")


def _start(mark: str, begin: float, end: float, size: int, rate: float) -> str:
    return f"{mark}{f'{begin:.2f}-{end:.2f} s':>15}{show_size(size):>11}{show_rate(rate):>14}"


def _cpu(share: dict[str, float]) -> str:
    return f"{share['total']:.0f}% (user {share['user']:.0f}%, system {share['system']:.0f}%)"


def _latency(times: dict[str, Any] | None) -> str:
    if times is None:
        return "none came back"
    return f"p50 {show_span(times['p50_ms'] / 1e3)}, p99 {show_span(times['p99_ms'] / 1e3)}"
