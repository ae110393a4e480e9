"""The options that every tool over connections has: which transport, TLS, who may come in."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .failure import USAGE, Failure

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

__all__ = [
    "Transport",
    "address_of",
    "complete_network",
    "dial_options",
    "listen_options",
    "network_option",
    "with_port",
]

NETWORKS = ("tcp", "rsp", "rsp+udp", "udp")


def complete_network(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """The names of networks that ``typed`` may become, for the shell."""
    return [name for name in NETWORKS if name.startswith(typed)]


def network_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--network``."""
    return click.option(
        "-n",
        "--network",
        default="rsp",
        show_default=True,
        metavar="NAME",
        shell_complete=complete_network,
        help="Transport: tcp, rsp (on IP itself) or rsp+udp; with 4 or 6 behind it for one family.",
    )(function)


def dial_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of TLS for who dials."""
    for option in (
        click.option("--tls", is_flag=True, help="Secure the connection with TLS."),
        click.option("--ca", type=click.Path(path_type=Path), help="Certificates to trust (PEM)."),
        click.option("--insecure", is_flag=True, help="Accept any certificate."),
        click.option("--server-name", help="The name to ask for and to find in the certificate."),
    ):
        function = option(function)
    return function


def listen_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of TLS and access for who listens."""
    for option in (
        click.option(
            "--cert", type=click.Path(path_type=Path), help="Our certificate chain (PEM); TLS with it."
        ),
        click.option(
            "--key", type=click.Path(path_type=Path), help="Its private key, if not in the same file."
        ),
        click.option("--allow", multiple=True, metavar="CIDR", help="Take connections from there only."),
        click.option("--deny", multiple=True, metavar="CIDR", help="Take none from there."),
    ):
        function = option(function)
    return function


@dataclasses.dataclass
class Transport:
    """What the options say.

    Attributes:
        network: name of the network.
        tls: TLS is wanted for dialing.
        ca: certificates to trust, or None for the system's.
        insecure: accept any certificate.
        server_name: name to ask for, or None for the host dialed.
        cert: our certificate chain, for listening.
        key: its private key.
        allow: networks to take connections from; empty for all.
        deny: networks to take none from.
    """

    network: str = "rsp"
    tls: bool = False
    ca: Path | None = None
    insecure: bool = False
    server_name: str | None = None
    cert: Path | None = None
    key: Path | None = None
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def dial(self, address: str, *, timeout: float | None, config: Any = None) -> Any:
        """Connect to ``address``; errors as of :func:`rawproto.dial`."""
        from rawproto import dial

        return dial(
            self.network,
            address,
            timeout=timeout,
            tls=self._client_context() if self.tls else None,
            server_hostname=self.server_name,
            config=config,
        )

    def listen(self, address: str, *, config: Any = None) -> Any:
        """Listen on ``address``; errors as of :func:`rawproto.listen`."""
        from rawproto import listen

        return listen(self.network, address, tls=self._server_context(), acl=self._acl(), config=config)

    def _client_context(self) -> ssl.SSLContext:
        import ssl

        try:
            context = ssl.create_default_context(cafile=self.ca)
        except OSError as error:
            raise Failure(f"cannot use the certificates in {self.ca}: {error.strerror}", USAGE) from error
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _server_context(self) -> ssl.SSLContext | None:
        if self.cert is None:
            return None
        import ssl

        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self.cert, self.key)
        except OSError as error:
            raise Failure(f"cannot use the certificate in {self.cert}: {error.strerror}", USAGE) from error
        return context

    def _acl(self) -> Any:
        if not self.allow and not self.deny:
            return None
        from rawproto import ACL

        # Naming who may come in shuts everybody else out; naming only who may not leaves the door open.
        return ACL(allow=self.allow, deny=self.deny, default=not self.allow)


def address_of(words: tuple[str, ...]) -> str:
    """The address in "HOST:PORT", or "HOST PORT" as netcat has it, or a port alone."""
    from rawproto import join_host_port

    if len(words) > 2 or not words:
        raise click.UsageError("give HOST:PORT, or HOST and PORT")
    if len(words) == 2:
        return join_host_port(words[0].removeprefix("[").removesuffix("]"), words[1])
    return f":{words[0]}" if words[0].isdigit() else words[0]


def with_port(text: str, port: int) -> str:
    """``text`` with ``port`` where it names none; an IPv6 address may stand there without brackets.

    Raises:
        AddrError: a bracket is missing.
    """
    from rawproto import AddrError, join_host_port, split_host_port

    try:
        split_host_port(text)
    except AddrError:
        if text.startswith("[") != text.endswith("]"):
            raise
        return join_host_port(text.removeprefix("[").removesuffix("]"), str(port))
    return text
