"""``rawproto traceroute``: the routers on the way to a host."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from rawproto import PrivilegeError, drop_privileges, lookup_ip

from .failure import DONE, FAILED, USAGE, Failure
from .output import emit_json, json_option
from .quantity import SPAN

if TYPE_CHECKING:
    from .routekit.names import Names
    from .routekit.tracer import Hop, Shot, Tracer

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  rawproto traceroute example.org              UDP probes, for everybody
  rawproto traceroute -M icmp -n 192.0.2.1     echo requests, no names
  rawproto traceroute -M tcp -p 443 example.org
  sudo rawproto traceroute -M rsp 192.0.2.1    what RSP will meet on the way
  rawproto traceroute --mtu 2001:db8::1        and which router takes only small packets
"""


@click.command("traceroute", epilog=EXAMPLES)
@click.argument("host")
@click.option("-4", "version", flag_value="4", help="Only IPv4.")
@click.option("-6", "version", flag_value="6", help="Only IPv6.")
@click.option(
    "-M",
    "--method",
    type=click.Choice(("udp", "icmp", "tcp", "rsp")),
    default="udp",
    show_default=True,
    help="The probes; rsp needs the privilege of raw sockets, tcp connects without.",
)
@click.option("-I", "method", flag_value="icmp", help="As --method icmp.")
@click.option("-T", "method", flag_value="tcp", help="As --method tcp.")
@click.option(
    "-p", "--port", type=click.IntRange(1, 65535), help="Port probed [default: 33434, TCP 80, RSP 1200]."
)
@click.option("-f", "--first", type=click.IntRange(1, 255), default=1, show_default=True, help="First hop.")
@click.option("-m", "--max", "most", type=click.IntRange(1, 255), default=30, show_default=True, help="Last.")
@click.option(
    "-q", "--queries", type=click.IntRange(1, 100), default=3, show_default=True, help="Probes of each hop."
)
@click.option(
    "-N", "--at-once", type=click.IntRange(1, 1000), default=16, show_default=True, help="Probes in flight."
)
@click.option(
    "-w", "--wait", type=SPAN, default="3s", show_default=True, help="Wait this long for an answer."
)
@click.option(
    "-s", "--size", type=click.IntRange(28, 65535), default=60, show_default=True, help="Bytes of a datagram."
)
@click.option("--mtu", "find_mtu", is_flag=True, help="Find the MTU of the path: large probes, not cut.")
@click.option("-n", "--numeric", is_flag=True, help="No names.")
@json_option
def command(
    host: str, version: str | None, method: str, port: int | None, find_mtu: bool, numeric: bool,
    as_json: bool, size: int, **options: Any,
) -> int:  # fmt: skip
    """Show the routers on the way to a host.

    All probes are one flow to routers that share load by flow, so that they show one path; but for TCP without the
    privilege of raw sockets, where each is a connection of its own. The exit status is 0 when the host itself answered,
    1 when not.
    """
    from .routekit.names import Names
    from .routekit.tracer import Plan, Tracer

    if options["first"] > options["most"]:
        raise click.UsageError("--first is beyond --max")
    address = _address(host, version)
    with contextlib.closing(_sounder(method, address, port, find_mtu=find_mtu)) as sounder:
        drop_privileges()
        size = sounder.mtu() if find_mtu else sounder.size_for(size)
        if find_mtu:
            # Routers answer a few probes at once only; each that is too big costs an answer.
            options["at_once"] = 1
        tracer = Tracer(sounder, Plan(size=size, **options), str(address))
        if not as_json:
            most = options["most"]
            click.echo(f"traceroute to {host} ({address}), {most} hops max, {size} byte packets")
        with contextlib.closing(Names(wanted=not numeric)) as names:
            tracer.run((lambda hop: None) if as_json else lambda hop: _show(hop, names))
            if as_json:
                emit_json(_document(tracer, names, host, str(address), method, size, find_mtu=find_mtu))
        if find_mtu and not as_json and tracer.reached:
            click.echo(f"MTU of the path: {tracer.mtu}")
    return DONE if tracer.reached else FAILED


def _address(host: str, version: str | None) -> Any:
    found = lookup_ip(host, f"ip{version or ''}")
    if not found:
        raise Failure(f"{host} has no IPv{version} address", USAGE)
    return found[0]


def _sounder(method: str, address: Any, port: int | None, *, find_mtu: bool) -> Any:
    """What sends the probes; where there is no privilege for TCP segments of our own, connections of the kernel's."""
    from .routekit.connecting import Connecting
    from .routekit.probes import METHODS
    from .routekit.sounder import Sounder

    probes = METHODS[method](address.version, port)
    try:
        return Sounder(probes, str(address), whole=find_mtu)
    except PrivilegeError:
        if method != "tcp" or find_mtu:
            raise
        return Connecting(address.version, str(address), probes.port)


def _show(hop: Hop, names: Names) -> None:
    """One line as traceroute's."""
    words = [f"{hop.ttl:2d} "]
    last = None
    for shot in hop.shots:
        if shot.address is None or shot.seconds is None:
            words.append("*")
            continue
        if shot.address != last:
            last = shot.address
            name = names.of(shot.address)
            words.append(f"{name} ({shot.address})" if name else shot.address)
            words.extend(_label(shot))
        words.append(f"{shot.seconds * 1e3:.3f} ms" + f" {shot.mark}" * bool(shot.mark))
    if hop.mtu:
        words.append(f"F={hop.mtu} at {hop.teller}")
    click.echo(" ".join(words[:2]) + "".join(f"  {word}" for word in words[2:]))


def _label(shot: Shot) -> list[str]:
    """The MPLS labels in traceroute's notation."""
    if not shot.labels:
        return []
    shown = "/".join(
        f"L={label.label},E={label.traffic_class},S={int(label.bottom)},T={label.ttl}"
        for label in shot.labels
    )
    return [f"<MPLS:{shown}>"]


def _document(
    tracer: Tracer, names: Names, host: str, address: str, method: str, size: int, *, find_mtu: bool
) -> dict[str, Any]:
    hops = []
    for hop in tracer.hops:
        for who in hop.addresses:
            names.ask(who)
    for hop in tracer.hops:
        shots = [
            {
                "address": shot.address,
                "name": (names.of(shot.address) if shot.address else "") or None,
                "ms": None if shot.seconds is None else shot.seconds * 1e3,
                "mark": shot.mark or None,
                "mpls": [
                    {
                        "label": label.label,
                        "traffic_class": label.traffic_class,
                        "bottom": bool(label.bottom),
                        "ttl": label.ttl,
                    }
                    for label in shot.labels
                ],
            }
            for shot in hop.shots
        ]
        hops.append({"ttl": hop.ttl, "mtu": hop.mtu or None, "mtu_from": hop.teller, "probes": shots})
    return {
        "host": host,
        "address": address,
        "method": method,
        "size": size,
        "reached": tracer.reached,
        "mtu": tracer.mtu if find_mtu and tracer.reached else None,
        "hops": hops,
    }
