"""``rawproto doctor``: says why sending raw IP would fail here, and how to mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .failure import DONE, FAILED
from .output import emit_json, json_option

if TYPE_CHECKING:
    from rawproto.link.doctor import Finding

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  rawproto doctor                          what stands in the way of protocol 253
  rawproto doctor --protocol 1 192.0.2.1   pinging that host
  rawproto doctor -6 --json                IPv6, for programs
"""

MARKS = {"fine": ("ok", "green"), "notice": ("note", "yellow"), "problem": ("FAIL", "red")}


@click.command("doctor", epilog=EXAMPLES)
@click.argument("destination", required=False)
@click.option("-6", "six", is_flag=True, help="Look at IPv6 (the destination decides when there is one).")
@click.option(
    "--protocol", type=click.IntRange(1, 255), default=253, show_default=True, help="IP protocol number."
)
@json_option
def command(destination: str | None, six: bool, protocol: int, as_json: bool) -> int:
    """Say why sending raw IP would fail here, and how to mend it.

    With DESTINATION, an IP address, its route is looked at and one empty datagram is sent to it. The exit status is 1
    when there is a problem, and 0 when there are at most notes.
    """
    from rawproto import IPAddr
    from rawproto.link.doctor import Question, State, examine

    to = None if destination is None else IPAddr.parse(destination)
    version = 6 if six or (to is not None and to.ip is not None and len(to.ip) == 16) else 4
    findings = examine(Question(protocol, version, to))
    problems = sum(finding.state is State.PROBLEM for finding in findings)
    if as_json:
        emit_json(
            {
                "protocol": protocol,
                "version": version,
                "problems": problems,
                "findings": list(map(document, findings)),
            }
        )
    else:
        for finding in findings:
            show(finding)
    return FAILED if problems else DONE


def document(finding: Finding) -> dict[str, object]:
    """A finding for programs."""
    return {
        "check": finding.check,
        "state": finding.state.value,
        "text": finding.text,
        "mend": list(finding.mend),
    }


def show(finding: Finding) -> None:
    """A finding for people: one line, and a line for each way to mend it."""
    word, colour = MARKS[finding.state.value]
    click.echo(f"{click.style(f'{word:>4}', fg=colour)}  {finding.check}: {finding.text}")
    for way in finding.mend:
        click.echo(f"        - {way}")
