"""``rawproto demo``: the product doing its job, on a network that does not help."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .failure import FAILED
from .output import emit_json, json_option
from .quantity import RATE, SHARE, SPAN, show_rate, show_size, show_span

if TYPE_CHECKING:
    from .demokit.result import Result
    from .demokit.settings import Settings

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  rawproto demo                                    the standard library over a bad link
  rawproto demo --file film.mkv --loss 5% --delay 80ms
  rawproto demo --simulate                         no network at all: virtual time
  rawproto demo --kill-receiver 30%                what the sender is told then
"""


@click.command("demo", epilog=EXAMPLES)
@click.option(
    "--file", type=click.Path(path_type=Path), help="The file to send [default: a tar of Python's modules]."
)
@click.option("--delay", type=SPAN, default="10ms", show_default=True, help="One way.")
@click.option("--loss", type=SHARE, default="1%", show_default=True, help="Packets lost, each way.")
@click.option("--reorder", type=SHARE, default="2%", show_default=True, help="Packets overtaken by others.")
@click.option("--duplicate", type=SHARE, default="1%", show_default=True, help="Packets that come twice.")
@click.option("--corrupt", type=SHARE, default="0.5%", show_default=True, help="Packets damaged on the way.")
@click.option("--rate", type=RATE, default="50mbit", show_default=True, help="Rate of the link, each way.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the link's chance.")
@click.option(
    "--congestion", default="bbr", show_default=True, help="Congestion controller: bbr, cubic or newreno."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default="demo-output",
    show_default=True,
    help="Folder for the outputs.",
)
@click.option("--simulate", is_flag=True, help="Run the same protocol in the virtual-time simulator.")
@click.option("--kill-receiver", type=SHARE, help="Kill the receiver when it has this share of the file.")
@json_option
def command(file: Path | None, simulate: bool, as_json: bool, **options: Any) -> int:
    """Send a file over a bad link, on the reliable stream protocol straight above IP.

    Two hosts are made in network namespaces, joined by a link that loses, delays, reorders, duplicates and damages
    packets. As an ordinary user this happens inside a user namespace; where neither is allowed, in the simulator.
    Nothing is left behind but the output folder.
    """
    from .demokit.place import choose_place

    # Before anything that might start a thread: a user namespace can only be entered without.
    place = choose_place(simulate=simulate)
    from .demokit.artefacts import Artefacts
    from .demokit.display import Display
    from .demokit.settings import Settings
    from .demokit.source import open_source

    settings = Settings(**options)
    artefacts = Artefacts(settings.output)
    with Display(quiet=as_json) as display:
        source = open_source(file)
        artefacts.prepare()
        display.step(f"{source.name}: {show_size(source.size)}")
        display.step(_link(settings))
        display.step(place.text)
        with source.file:
            result = place.run(source, settings, display, artefacts)
        artefacts.draw()
        _tell(result, artefacts, display, as_json=as_json)
    return 0 if result.equal else FAILED


def _link(settings: Settings) -> str:
    return (
        f"link: {show_rate(settings.rate)}, {show_span(settings.delay)} each way, {settings.loss:.1%} lost, "
        f"{settings.reorder:.1%} reordered, {settings.duplicate:.1%} duplicated, {settings.corrupt:.1%} corrupted, "
        f"seed {settings.seed}"
    )


def _tell(result: Result, artefacts: Any, display: Any, *, as_json: bool) -> None:
    from .demokit.report import document, rows

    if as_json:
        emit_json(document(result, artefacts.paths()))
        return
    display.table(rows(result))
    display.note("")
    for line in artefacts.hints():
        display.note(line)
    if not result.equal:
        print("rawproto: what arrived is not what was sent", file=sys.stderr)
