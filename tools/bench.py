"""``rawproto bench``: how fast any of the transports is, between two hosts."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from .failure import DONE
from .output import emit_json, json_option
from .quantity import RATE, SIZE, SPAN
from .transport import Transport, complete_network, dial_options, listen_options, with_port

if TYPE_CHECKING:
    from .benchkit.plan import Plan
    from .benchkit.report import Report

__all__ = ["command"]

DEFAULT_PORT = 5202
"""Beside iperf3's 5201."""
DATAGRAM = 1400
"""Bytes of a datagram: fits where a tunnel takes its part of 1500."""
DATAGRAM_RATE = 1e6
"""Bits a second of a stream of datagrams, which nothing else holds back; as iperf3."""
WRITE = 1 << 17
INTERRUPTED = 130

EXAMPLES = """\b
Examples:
  rawproto bench -s                        wait for clients, on every transport there is
  rawproto bench 10.0.0.2                  RSP to that server, for ten seconds
  rawproto bench -N tcp -P 4 -R 10.0.0.2   four streams of TCP from there to here
  rawproto bench --against tcp 10.0.0.2    RSP, then kernel TCP, and the ratio
  rawproto bench -N udp -b 100mbit 10.0.0.2
"""


@click.command("bench", epilog=EXAMPLES)
@click.argument("address", required=False)
@click.option("-s", "--server", is_flag=True, help="Wait for clients (at ADDRESS, by default everywhere).")
@click.option("-1", "--one-off", "once", is_flag=True, help="With -s: end after the first client.")
@click.option(
    "-N",
    "--network",
    metavar="NAME",
    shell_complete=complete_network,
    help="tcp, udp, rsp or rsp+udp; with 4 or 6 behind it for one family [default: rsp; with -s: all].",
)
@click.option("-P", "--parallel", type=click.IntRange(1, 128), default=1, show_default=True, help="Streams.")
@click.option("-t", "--time", "seconds", type=SPAN, help="How long to send [default: 10s].")
@click.option("-n", "--bytes", "size", type=SIZE, help="How much to send, all streams together.")
@click.option("-R", "--reverse", is_flag=True, help="The server sends.")
@click.option("--bidir", is_flag=True, help="Both send at once.")
@click.option(
    "-b", "--bitrate", type=RATE, help="Rate of each stream; 0 for no limit [default: none; udp: 1mbit]."
)
@click.option("-l", "--length", type=SIZE, help="Bytes of a write [default: 128K; udp: 1400].")
@click.option("-i", "--interval", type=SPAN, default="1s", show_default=True, help="Between lines; 0: none.")
@click.option("-C", "--congestion", metavar="NAME", help="Congestion controller of RSP.")
@click.option(
    "--against",
    metavar="NAME",
    shell_complete=complete_network,
    help="Measure this network as well, and print the ratio.",
)
@click.option("--no-latency", is_flag=True, help="Leave out the round trips beside the load.")
@click.option(
    "-w",
    "--wait",
    type=SPAN,
    default="10s",
    show_default=True,
    help="Give up after this long without a word from the other side.",
)
@dial_options
@listen_options
@json_option
def command(
    address: str | None, server: bool, once: bool, network: str | None, wait: float, against: str | None,
    congestion: str | None, interval: float, as_json: bool,
    tls: bool, ca: Any, insecure: bool, server_name: str | None, cert: Any, key: Any, allow: Any, deny: Any,
    **options: Any,
) -> int:  # fmt: skip
    """Measure how fast a transport is between two hosts.

    One side waits (-s), the other asks. Interval lines are those of this side; the summary has what both saw, the
    processor time of both, and round trips of small messages beside the load. Ctrl-C ends early, with the summary.
    """
    transport = Transport(network or "rsp", tls, ca, insecure, server_name, cert, key, allow, deny)
    if server:
        from .benchkit.hosting import host

        host(transport, address, network, port=DEFAULT_PORT, once=once, wait=wait, as_json=as_json)
        return DONE
    if address is None:
        raise click.UsageError("give the address of a server, or -s to be one")
    if once:
        raise click.UsageError("--one-off needs -s")
    if congestion is not None and not transport.network.startswith("rsp"):
        raise click.UsageError(f"--congestion is for rsp, not for {transport.network}")
    if against == transport.network:
        raise click.UsageError("--against needs another network")
    plans = {name: _plan(name, **options) for name in (transport.network, against) if name is not None}
    return _measure(
        transport, address, plans, wait=wait, interval=interval, as_json=as_json, congestion=congestion
    )


def _plan(
    network: str,
    *,
    parallel: int,
    seconds: float | None,
    size: float | None,
    reverse: bool,
    bidir: bool,
    bitrate: float | None,
    length: float | None,
    no_latency: bool,
) -> Plan:
    from .benchkit.plan import LONGEST, Plan

    if seconds is not None and size is not None:
        raise click.UsageError("give --time or --bytes, not both")
    if reverse and bidir:
        raise click.UsageError("give --reverse or --bidir, not both")
    datagrams = network.startswith("udp")
    length = length or (DATAGRAM if datagrams else WRITE)
    if not 1 <= length <= (65507 if datagrams else LONGEST):
        raise click.UsageError(f"no length for {network}: {length:g}")
    if 0 in (seconds, size):
        raise click.UsageError("nothing to send")
    if bitrate is None and datagrams:
        bitrate = DATAGRAM_RATE
    return Plan(
        network=network,
        streams=parallel,
        direction="reverse" if reverse else "both" if bidir else "forward",
        seconds=None if size is not None else seconds or 10.0,
        size=None if size is None else max(int(size), parallel),
        length=int(length),
        rate=bitrate or None,
        probe=not no_latency,
    )


def _measure(
    transport: Transport,
    address: str,
    plans: dict[str, Plan],
    *,
    wait: float,
    interval: float,
    as_json: bool,
    congestion: str | None,
) -> int:
    """Run the plans one after the other; the last word is the ratio of the first to the second."""
    from .benchkit.client import Client, control_network
    from .benchkit.display import Display, Silence, ratio_line

    target = with_port(address, DEFAULT_PORT)
    display = Silence() if as_json else Display()
    configs = {name: _config(plan, congestion, wait, transport) for name, plan in plans.items()}
    reports: dict[str, Report] = {}
    # The first run ends with the privileges given up: what needs them is first.
    for name in sorted(plans, key=_unprivileged):
        transport.network = control_network(name)
        client = Client(
            transport,
            target,
            plans[name],
            wait=wait,
            config=configs[name],
            display=display,
            interval=interval,
        )
        reports[name] = report = client.measure()
        display.end(report)
        if report.interrupted:
            break
    both = [reports[name] for name in plans if name in reports]
    if as_json:
        emit_json(_document(both))
    elif len(both) == 2:
        click.echo(ratio_line(*both))
    return INTERRUPTED if report.interrupted else DONE


def _unprivileged(network: str) -> bool:
    return network not in ("rsp", "rsp4", "rsp6")


def _document(reports: list[Report]) -> dict[str, Any]:
    document = reports[0].document()
    if len(reports) == 2:
        document["against"] = reports[1].document()
        document["ratio"] = reports[0].rate / reports[1].rate if reports[1].rate else None
        document["interrupted"] |= reports[1].interrupted
    return document


def _config(plan: Plan, congestion: str | None, wait: float, transport: Transport) -> Any:
    """The RSPConfig of a plan, or None; what the network does not have is wrong usage."""
    if plan.datagrams and transport.tls:
        raise click.UsageError("there is no TLS for datagrams")
    if not plan.network.startswith("rsp"):
        return None
    from rawproto import RSPConfig

    config = RSPConfig(idle_timeout=wait)
    return config if congestion is None else dataclasses.replace(config, congestion=congestion)
