"""``rawproto lookup``: names to addresses, addresses to names, and records."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import click

from rawproto import AddrError, AsyncResolver, DNSError, parse_ip

from .failure import DONE, FAILED, describe
from .output import emit_json, json_option
from .quantity import SPAN

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["command"]

TYPES = ("A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT")
AT_ONCE = 64  # names looked up at the same time

EXAMPLES = """\b
Examples:
  rawproto lookup example.org                      its addresses, the best first
  rawproto lookup 192.0.2.1 2001:db8::1            the names of addresses
  rawproto lookup -t MX example.org                records, as dig +short prints them
  rawproto lookup -t TXT --server 192.0.2.53 example.org
  rawproto lookup --hosts example.org              as getent hosts prints it
"""


@dataclasses.dataclass
class Result:
    """What one name came to: lines to print, or an error."""

    name: str
    answers: list[str]
    canonical: str = ""
    error: DNSError | AddrError | None = None

    def document(self) -> dict[str, Any]:
        """The result for programs."""
        document: dict[str, Any] = {"name": self.name, "answers": self.answers}
        if self.canonical:
            document["canonical"] = self.canonical
        if isinstance(self.error, DNSError):
            document["error"] = {
                "kind": type(self.error).__name__,
                "message": describe(self.error),
                "not_found": self.error.is_not_found,
                "timeout": self.error.is_timeout,
                "temporary": self.error.is_temporary,
                "server": self.error.server,
            }
        elif self.error is not None:
            document["error"] = {"kind": type(self.error).__name__, "message": describe(self.error)}
        return document


@click.command("lookup", epilog=EXAMPLES)
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option(
    "-t", "--type", "rdtype", type=click.Choice(TYPES, case_sensitive=False), help="Ask for these records."
)
@click.option(
    "-s", "--server", "servers", multiple=True, help="Ask this server, ADDRESS or ADDRESS:PORT; repeatable."
)
@click.option(
    "-w", "--wait", type=SPAN, default=5.0, show_default="5s", help="Give up on a name after this long."
)
@click.option("--hosts", "as_hosts", is_flag=True, help="Print address and canonical name, as getent hosts.")
@json_option
def command(
    names: Sequence[str],
    rdtype: str | None,
    servers: Sequence[str],
    wait: float,
    as_hosts: bool,
    as_json: bool,
) -> int:
    """Look up names, addresses and DNS records.

    Without --type a name gives its addresses, from the hosts file or the DNS, and an address its names. With --type
    the DNS is asked for records of that type.
    """
    if as_hosts and rdtype:
        raise click.UsageError("--hosts prints addresses and names; it takes no --type")
    resolver = AsyncResolver(list(servers) or None, timeout=wait)
    results = asyncio.run(_look_up(resolver, names, rdtype, with_canonical=as_hosts or as_json))
    if as_json:
        emit_json({"results": [result.document() for result in results]})
    else:
        for result in results:
            _show(result, as_hosts=as_hosts)
    return FAILED if any(result.error for result in results) else DONE


async def _look_up(
    resolver: AsyncResolver, names: Sequence[str], rdtype: str | None, *, with_canonical: bool
) -> list[Result]:
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> Result:
        async with limit:
            try:
                if rdtype:
                    return Result(name, await resolver.lookup_records(name, rdtype))
                return await _address_or_name(resolver, name, with_canonical=with_canonical)
            except (DNSError, AddrError) as error:
                return Result(name, [], error=error)

    return await asyncio.gather(*map(one, names))


async def _address_or_name(resolver: AsyncResolver, name: str, *, with_canonical: bool) -> Result:
    try:
        address = parse_ip(name)
    except AddrError:
        answers = await resolver.lookup_host(name)
        return Result(name, answers, await resolver.lookup_cname(name) if with_canonical else "")
    return Result(name, await resolver.lookup_addr(address))


def _show(result: Result, *, as_hosts: bool) -> None:
    if result.error is not None:
        click.echo(f"rawproto: {describe(result.error)}", err=True)
    elif not as_hosts:
        for answer in result.answers:
            click.echo(answer)
    elif result.canonical:
        for address in result.answers:
            click.echo(f"{address:<15} {result.canonical.removesuffix('.')}")
    else:
        names = " ".join(name.removesuffix(".") for name in result.answers)
        click.echo(f"{result.name:<15} {names}")
