"""``rawproto ping``: echo requests to one host, many, or a whole network."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import click

from rawproto import AddrError, drop_privileges, parse_ip

from .failure import DONE, FAILED, USAGE, Failure
from .output import emit_json, json_option
from .pingkit.echo import EchoSocket
from .pingkit.loop import Loop, Rules, Watcher
from .pingkit.single import Lines
from .pingkit.target import Target
from .pingkit.words import statistics
from .quantity import SPAN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rawproto import IPNet

__all__ = ["command"]

SAFE_INTERVAL = 0.002
"""Seconds; faster is for root, as in iputils since 2021."""
FLOOD_INTERVAL = 0.01
MOST_TARGETS = 1 << 16

EXAMPLES = """\b
Examples:
  rawproto ping -c 3 192.0.2.1              three requests
  rawproto ping example.org example.net     a live table of many hosts
  rawproto ping -c 1 192.0.2.0/24           who is there
  rawproto ping -s 1472 -i 200ms -w 10s 192.0.2.1
"""


@click.command("ping", epilog=EXAMPLES)
@click.argument("host", nargs=-1, required=True)
@click.option("-4", "version", flag_value="4", help="Only IPv4.")
@click.option("-6", "version", flag_value="6", help="Only IPv6.")
@click.option(
    "-c", "--count", type=click.IntRange(1), help="Requests to each host [default: no end; 1 for networks]."
)
@click.option("-i", "--interval", type=SPAN, help="Between two requests to a host [default: 1s].")
@click.option(
    "-s", "--size", type=click.IntRange(0, 65507), default=56, show_default=True, help="Bytes of data."
)
@click.option("-t", "--ttl", type=click.IntRange(1, 255), help="TTL or hop limit.")
@click.option("-p", "--pattern", help="Up to 16 bytes in hex to fill the data with.")
@click.option(
    "-W", "--timeout", type=SPAN, default="1s", show_default=True, help="To wait for the last reply."
)
@click.option("-w", "--deadline", type=SPAN, help="End after this long, whatever happened.")
@click.option("-f", "--flood", is_flag=True, help="The next request as soon as a reply has come; for root.")
@click.option("-I", "--interface", help="Use this interface.")
@click.option("-q", "--quiet", is_flag=True, help="Only the beginning and the end.")
@json_option
def command(
    host: tuple[str, ...], version: str | None, size: int, interface: str | None, ttl: int | None, quiet: bool,
    as_json: bool, **options: Any,
) -> int:  # fmt: skip
    """Send echo requests and time the answers, with the kernel's timestamps.

    One host is told of as iputils does, several in a table. Without privilege the kernel's ICMP socket is used. The
    exit status is 0 when every host answered (of a network: any), 1 when not.
    """
    rules = _rules(size, sweep=any("/" in name for name in host), **options)
    targets, ip_version, sweep = _targets(host, int(version or 0))
    echo = EchoSocket(ip_version, ttl=ttl, interface=interface)
    drop_privileges()
    try:
        seconds = _run(echo, targets, rules, quiet=quiet, as_json=as_json, sweep=sweep)
    finally:
        echo.close()
    if as_json:
        hosts = [target.document() for target in targets if target.received or not sweep]
        emit_json({"hosts": hosts, "targets": len(targets), "seconds": seconds, "raw": echo.raw})
    answered = [target.received > 0 for target in targets]
    return DONE if (any(answered) if sweep else all(answered)) else FAILED


def _rules(
    size: int,
    *,
    sweep: bool,
    count: int | None,
    interval: float | None,
    pattern: str | None,
    timeout: float,
    deadline: float | None,
    flood: bool,
) -> Rules:
    root = os.geteuid() == 0
    if interval is not None and interval < SAFE_INTERVAL and not root:
        raise click.UsageError(f"an interval under {SAFE_INTERVAL * 1e3:.0f} ms is for root")
    if flood and not root:
        raise click.UsageError("flood is for root")
    if interval is None:
        interval = FLOOD_INTERVAL if flood else 1.0
    return Rules(
        payload=_payload(size, pattern),
        count=1 if sweep and count is None and deadline is None else count,
        interval=interval,
        timeout=timeout,
        deadline=deadline,
        flood=flood,
    )


def _payload(size: int, pattern: str | None) -> bytes:
    if pattern is None:
        return bytes(index & 0xFF for index in range(size))
    try:
        unit = bytes.fromhex(pattern)
    except ValueError as error:
        raise click.UsageError(f"{pattern!r} is no pattern of hex digits") from error
    if not 1 <= len(unit) <= 16:
        raise click.UsageError("a pattern has 1 to 16 bytes")
    return (unit * (size // len(unit) + 1))[:size]


def _targets(names: Sequence[str], version: int) -> tuple[list[Target], int, bool]:
    """The hosts behind ``names``, their common IP version, and whether a network is among them."""
    found: list[Target] = []
    sweep = False
    for name in names:
        if "/" in name:
            from rawproto import parse_cidr

            sweep = True
            found.extend(_members(parse_cidr(name)[1]))
        else:
            address = _address(name, version)
            version = version or (6 if ":" in address else 4)
            found.append(Target(name, address))
        if len(found) > MOST_TARGETS:
            raise Failure(f"more than {MOST_TARGETS:,} hosts", USAGE)
    versions = {6 if ":" in target.address else 4 for target in found}
    if len(versions) != 1:
        raise Failure("IPv4 and IPv6 hosts cannot be pinged together: choose with -4 or -6", USAGE)
    return found, versions.pop(), sweep


def _members(network: IPNet) -> Iterator[Target]:
    """The hosts of a network; network and broadcast address of IPv4 are not among them."""
    import ipaddress

    members = ipaddress.ip_network(str(network))
    if members.num_addresses > MOST_TARGETS:
        raise Failure(f"{network} has more than {MOST_TARGETS:,} addresses", USAGE)
    return (Target(str(address), str(address)) for address in members.hosts())


def _address(name: str, version: int) -> str:
    try:
        return str(parse_ip(name.partition("%")[0])) + ("%" + name.partition("%")[2] if "%" in name else "")
    except AddrError:
        from rawproto import lookup_ip

        return str(lookup_ip(name, f"ip{version or ''}")[0])


def _run(
    echo: EchoSocket, targets: Sequence[Target], rules: Rules, *, quiet: bool, as_json: bool, sweep: bool
) -> float:
    if len(targets) == 1 and not sweep:
        return _run_one(echo, targets[0], rules, quiet=quiet, as_json=as_json)
    from .pingkit.many import TableWatcher

    with TableWatcher(targets, sweep=sweep, quiet=as_json) as table:
        loop = Loop(echo, targets, rules, table)
        _until_interrupted(loop)
    return loop.seconds


def _run_one(echo: EchoSocket, target: Target, rules: Rules, *, quiet: bool, as_json: bool) -> float:
    lines = Lines(echo.version, quiet=quiet, dots=rules.flood)
    if not as_json:
        lines.begin(target, len(rules.payload))
    began = time.monotonic()
    loop = Loop(echo, [target], rules, Watcher() if as_json else lines)
    _until_interrupted(loop)
    seconds = time.monotonic() - began
    if not as_json:
        click.echo("\n" + "\n".join(statistics(target, seconds)))
    return seconds


def _until_interrupted(loop: Loop) -> None:
    """Ctrl-C is how a ping without end ends: the statistics follow."""
    try:
        loop.run()
    except KeyboardInterrupt:
        click.echo("", err=True)
