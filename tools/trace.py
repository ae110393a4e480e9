"""``rawproto trace``: a connection trace as a picture and in words."""

from __future__ import annotations

from pathlib import Path

import click

from .failure import USAGE, Failure
from .output import emit_json, json_option

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  rawproto trace demo-output/connection.qlog               draws demo-output/connection.png
  rawproto trace --explain demo-output/connection.qlog     what limited the transfer
  rawproto trace -o fast.svg fast.qlog
  rawproto trace --qvis for-qvis.qlog demo-output/connection.qlog
"""


@click.command("trace", epilog=EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The picture: .png, .svg or .pdf.")
@click.option(
    "--explain", "explaining", is_flag=True, help="Say what limited the transfer; draw only with -o."
)
@click.option(
    "--qvis", type=click.Path(path_type=Path), help="Write the trace with an event a packet, for qvis."
)
@json_option
def command(file: Path, output: Path | None, explaining: bool, qvis: Path | None, as_json: bool) -> None:
    """Draw a connection trace, or say in words what limited the transfer.

    A trace is a qlog file, as RSPConfig(trace=FOLDER) and the demo leave it. The picture shows sequence against time
    with losses, round trip, window and bytes in flight. qvis draws what --qvis writes.
    """
    from .limits import explain, find_limits
    from .trace_file import read_trace

    trace = read_trace(file)
    if qvis is not None:
        from .qvis import convert

        convert(file, qvis)
    if output is None and qvis is None and not explaining and not as_json:
        output = file.with_suffix(".png")
    if output is not None:
        _draw(trace, output)
    limits = find_limits(trace)
    if as_json:
        emit_json(
            {
                "title": trace.title,
                "vantage": trace.vantage,
                "seconds": limits.seconds,
                "delivered": limits.delivered,
                "goodput": limits.goodput,
                "limits": limits.shares,
                "chief_limit": limits.chief,
                "loss": limits.loss,
                "median_rtt": limits.median_rtt,
                "smallest_rtt": limits.smallest_rtt,
                "picture": None if output is None else str(output),
                "qvis": None if qvis is None else str(qvis),
            }
        )
        return
    if explaining:
        for line in explain(trace, limits):
            click.echo(line)
    if output is not None:
        click.echo(f"drawn: {output}")
    if qvis is not None:
        click.echo(f"for qvis: {qvis}")


def _draw(trace: object, output: Path) -> None:
    from .picture import save
    from .trace_file import TraceFile

    assert isinstance(trace, TraceFile)
    if output.suffix not in (".png", ".svg", ".pdf"):
        raise Failure(f"{output}: a picture is a .png, .svg or .pdf", USAGE)
    save(trace, output)
