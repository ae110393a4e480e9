"""``rawproto lab``: programs and shells on the hosts of a network that a TOML file describes."""

from __future__ import annotations

import dataclasses
import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .failure import USAGE, Failure
from .output import emit_json, json_option

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rawproto.lab import Host, LabLink, Topology

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  rawproto lab run net.toml -- ping -c 3 {b}       a program on the first host; {b} is b's address
  rawproto lab run net.toml --on b -- ip address   on another one
  rawproto lab run net.toml --with b "nc -l 7" -- nc {b} 7
  rawproto lab run net.toml --capture pcaps -- curl http://[{b:6}]/
  rawproto lab shell                               two hosts on a cable, and a shell on one of them
  rawproto lab shell net.toml b                    in there, $on_a COMMAND runs something on a
\b
A net.toml:
  [[link]]
  ends = ["a", "b"]
  rate = "20mbit"
  delay = "10ms"
  loss = 0.01
"""

QUIET_SECONDS = 10.0
"""How long is waited for programs beside to have nothing to do: before the command, and behind it."""
LOOKS = 3
"""Looks at them, some milliseconds apart, that find all of them asleep."""

# What there is without a file.
TWO_HOSTS = '[[link]]\nends = ["a", "b"]\n'

_existing_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("lab", epilog=EXAMPLES)
def command() -> None:
    """Run programs on the hosts of a network that a TOML file describes.

    Hosts are network namespaces that nobody else sees; they go, and what runs on them, when the command ends. Ordinary
    users get them inside a user namespace.
    """


def _common_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        json_option,
        click.option("-v", "--verbose", is_flag=True, help="Tell on stderr of hosts and of what links did."),
        click.option(
            "--capture",
            type=click.Path(file_okay=False, path_type=Path),
            help="Folder for a pcapng file of each link.",
        ),
        click.option(
            "--with",
            "beside",
            nargs=2,
            multiple=True,
            metavar="HOST COMMAND",
            help="Start another command before, on that host; ended with the lab. Repeatable.",
        ),
    ):
        function = option(function)
    return function


@command.command("run", epilog=EXAMPLES)
@click.argument("topology", type=_existing_file)
@click.argument("words", metavar="-- COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--on", metavar="HOST", help="Where the command runs [default: the first host of the file].")
@_common_options
def run(topology: Path, words: tuple[str, ...], on: str | None, **options: Any) -> int:
    """Run a command on a host of TOPOLOGY and end with its exit status.

    {NAME} in the command stands for the IPv4 address of that host, {NAME:6} for the IPv6 one; programs find them as
    $ip_NAME and $ip6_NAME too. 128 and more is the number of the signal that ended the command. With --json its output
    is part of the document.
    """
    return _in_lab(topology.read_text(encoding="utf-8"), on, words, **options)


@command.command("shell", epilog=EXAMPLES)
@click.argument("topology", required=False, type=_existing_file)
@click.argument("host", required=False)
@_common_options
def shell(topology: Path | None, host: str | None, **options: Any) -> int:
    """Open a shell on a host of TOPOLOGY, by default on the first.

    Inside, $on_NAME before a command runs it on that host, and $ip_NAME and $ip6_NAME are addresses. Everything goes
    when the shell ends.
    """
    text = TWO_HOSTS if topology is None else topology.read_text(encoding="utf-8")
    return _in_lab(text, host, [os.environ.get("SHELL") or "/bin/sh"], **{**options, "verbose": True})


def _in_lab(
    text: str,
    on: str | None,
    words: Sequence[str],
    *,
    beside: Sequence[tuple[str, str]],
    capture: Path | None,
    verbose: bool,
    as_json: bool,
) -> int:
    from rawproto import Lab
    from rawproto.lab import Topology, userns

    plan = Topology.parse(text)
    on = _names_of(plan)[0] if on is None else on
    for name in (on, *(place for place, _ in beside)):
        if name not in _names_of(plan):
            raise click.UsageError(f"there is no host {name}; there are {', '.join(_names_of(plan))}")
    userns.ensure()
    if capture is not None:
        capture.mkdir(parents=True, exist_ok=True)
    with Lab(captures=capture) as lab:
        hosts: dict[str, Host] = _captured(plan, capture).build(lab)
        surroundings = {**os.environ, **_environment(hosts)}
        if verbose:
            _introduce(hosts, on)
        for place, line in beside:
            _start(
                hosts[place], _filled(shlex.split(line), hosts), surroundings, stdout=2 if as_json else None
            )
        if beside:
            _wait_until_quiet(hosts)  # a server that sleeps has begun to listen
        began = time.monotonic()
        process = _start(
            hosts[on], _filled(words, hosts), surroundings, **(_CAPTURED if as_json else {"stdin": None})
        )
        out, err = process.communicate()
        if beside:
            _wait_until_quiet(hosts)  # what they have got they may work off: they are ended next
        document: dict[str, Any] = {
            "host": on,
            "command": process.args,
            "status": _status(process.returncode),
            "seconds": time.monotonic() - began,
            "stdout": (out or b"").decode(errors="replace"),
            "stderr": (err or b"").decode(errors="replace"),
            "hosts": {name: host.addresses() for name, host in hosts.items()},
            "links": [_link_document(link) for link in lab.links],
        }
    if as_json:
        emit_json(document)
    elif verbose:
        _tell_links(document["links"])
    return _status(process.returncode)


_CAPTURED: dict[str, Any] = {"stdin": None, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


def _names_of(plan: Topology) -> list[str]:
    """All hosts in the order in which the file names them; switches and routers last."""
    ends = [name for a, b, _ in plan.links for name in (a, b)]
    passive = (*plan.routers, *plan.switches)
    active = [name for name in (*ends, *plan.hosts) if name not in passive]
    names = list(dict.fromkeys((*active, *passive)))
    if not names:
        raise Failure("the topology has no hosts", USAGE)
    return names


def _captured(plan: Topology, capture: Path | None) -> Topology:
    """The plan with a relay in every link when captures are wanted: a bare cable has nobody to write them."""
    if capture is None:
        return plan
    links = tuple((a, b, {"relay": True, **words}) for a, b, words in plan.links)
    return dataclasses.replace(plan, links=links)


def _environment(hosts: dict[str, Host]) -> dict[str, str]:
    """What programs in the lab are told of it."""
    told = {}
    for name, host in hosts.items():
        word = "".join(letter if letter.isalnum() else "_" for letter in name)
        told[f"on_{word}"] = f"nsenter --net=/proc/{os.getpid()}/fd/{host.namespace.fileno()} --"
        for version, prefix in ((4, "ip"), (6, "ip6")):
            address = _address(host, version)
            if address is not None:
                told[f"{prefix}_{word}"] = address
    return told


def _address(host: Host, version: int) -> str | None:
    return next((text for text in host.addresses() if (":" in text) == (version == 6)), None)


def _filled(words: Sequence[str], hosts: dict[str, Host]) -> list[str]:
    """The command with addresses in the places of ``{NAME}`` and ``{NAME:6}``."""
    places = {
        place: _address(host, version)
        for name, host in hosts.items()
        for place, version in ((f"{{{name}}}", 4), (f"{{{name}:6}}", 6))
    }

    def fill(word: str) -> str:
        for place, address in places.items():
            if place in word and address is None:
                raise click.UsageError(f"{place}: that host has no such address")
            word = word.replace(place, address or "")
        return word

    return [fill(word) for word in words]


def _start(
    host: Host, words: list[str], surroundings: dict[str, str], **streams: Any
) -> subprocess.Popen[bytes]:
    try:
        streams = {"stdin": subprocess.DEVNULL, **streams}
        return host.popen(words, env={**surroundings, "RAWPROTO_LAB_HOST": host.name}, **streams)
    except FileNotFoundError as error:
        raise Failure(f"{words[0]}: no such program", USAGE) from error
    except PermissionError as error:
        # Also when it is nowhere, and one of the folders searched is closed to us, as root's are below su.
        nowhere = "/" not in words[0] and shutil.which(words[0]) is None
        raise Failure(f"{words[0]}: {'no such program' if nowhere else error.strerror}", USAGE) from error


def _wait_until_quiet(hosts: dict[str, Host]) -> None:
    """Wait until every program on the hosts waits for something itself, but not for long: some never do."""
    places = {os.fstat(host.namespace.fileno()).st_ino for host in hosts.values()}
    end, looks = time.monotonic() + QUIET_SECONDS, 0
    while looks < LOOKS and time.monotonic() < end:
        looks = 0 if any(_works(process, places) for process in Path("/proc").glob("[0-9]*")) else looks + 1
        time.sleep(0.005)


def _works(process: Path, places: set[int]) -> bool:
    try:
        if process.name == str(os.getpid()) or (process / "ns/net").stat().st_ino not in places:
            return False
        # What follows the name, which may hold anything: the state, proc_pid_stat(5).
        return (process / "stat").read_text(errors="replace").rpartition(") ")[2][0] in "RD"
    except OSError:  # it has ended, or is somebody else's
        return False


def _status(returncode: int) -> int:
    return 128 - returncode if returncode < 0 else returncode


def _introduce(hosts: dict[str, Host], on: str) -> None:
    for name, host in hosts.items():
        addresses = " ".join(host.addresses()) or "no addresses"
        click.echo(f"{'*' if name == on else ' '} {name:<12} {addresses}", err=True)


def _link_document(link: LabLink) -> dict[str, Any]:
    return {
        "ends": [link.a.name, link.b.name],
        "means": link.means,
        "seed": link.seed,
        "toward": {end.name: dataclasses.asdict(link.stats(toward=end)) for end in (link.b, link.a)},
    }


def _tell_links(links: list[dict[str, Any]]) -> None:
    for link in links:
        for toward, counts in link["toward"].items():
            told = ", ".join(f"{count} {word.replace('_', ' ')}" for word, count in counts.items() if count)
            click.echo(f"{' - '.join(link['ends'])}, toward {toward}: {told or 'nothing'}", err=True)
