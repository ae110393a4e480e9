"""``rawproto serve``: a folder that others get files from and put files into."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rawproto import drop_privileges

from .failure import Failure, describe
from .output import EventLog, json_option
from .quantity import SPAN, show_size
from .transfer_options import DEFAULT_PORT, server_address
from .transport import Transport, listen_options, network_option

if TYPE_CHECKING:
    from .transferkit.outcome import Outcome
    from .transferkit.session import Rules
    from .transferkit.tree import Tree

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  rawproto serve /srv/files                    on RSP, to everybody who asks
  rawproto serve --read-only . :1300           another port; nobody can change anything
  rawproto serve -n tcp --allow 10.0.0.0/8 .
  rawproto serve -n rsp+udp --cert server.pem .
"""
AT_ONCE = 64
"""Clients served at the same time; the next waits for its turn."""


@click.command("serve", epilog=EXAMPLES)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("address", default=f":{DEFAULT_PORT}")
@network_option
@click.option("--read-only", is_flag=True, help="Nothing may be put here.")
@click.option("--write-only", is_flag=True, help="Nothing may be fetched from here.")
@click.option("--no-overwrite", is_flag=True, help="Clients may not replace files, even when they say so.")
@click.option("--once", is_flag=True, help="End after the first client.")
@click.option(
    "-w",
    "--wait",
    type=SPAN,
    default="60s",
    show_default=True,
    help="Give a client up after this long of silence.",
)
@listen_options
@json_option
def command(
    folder: Path,
    address: str,
    read_only: bool,
    write_only: bool,
    no_overwrite: bool,
    once: bool,
    wait: float,
    as_json: bool,
    **options: Any,
) -> None:
    """Serve a folder to rawproto get and rawproto put.

    No path leads out of the folder, and symbolic links in it are not followed. With --json every event is a line.
    """
    if read_only and write_only:
        raise click.UsageError("--read-only and --write-only leave nothing to do")
    from .transferkit.session import Rules
    from .transferkit.tree import Tree

    rules = Rules(put=not read_only, get=not write_only, overwrite=not no_overwrite)
    transport = Transport(**options)
    with Tree(folder) as tree, transport.listen(server_address(address)) as listener:
        drop_privileges()
        log = EventLog(as_json=as_json)
        log.event(
            "listening",
            f"serving {folder} on {listener.addr}, {listener.network}",
            network=listener.network,
            address=str(listener.addr),
        )
        turns = threading.BoundedSemaphore(AT_ONCE)
        while True:
            turns.acquire()
            conn = listener.accept()
            attend = _Attendance(conn, tree, rules, wait, log, turns)
            if once:
                attend.run()
                return
            threading.Thread(target=attend.run, daemon=True).start()


class _Attendance:
    """One client."""

    def __init__(
        self,
        conn: Any,
        tree: Tree,
        rules: Rules,
        wait: float,
        log: EventLog,
        turns: threading.BoundedSemaphore,
    ) -> None:
        self._conn = conn
        self._tree = tree
        self._rules = rules
        self._wait = wait
        self._log = log
        self._turns = turns
        self._peer = str(conn.remote_addr)

    def run(self) -> None:
        """Serve it to its end; what goes wrong is the client's matter and a line of the log."""
        from .transferkit.channel import Channel
        from .transferkit.outcome import Watch
        from .transferkit.session import serve_one

        try:
            with self._conn:
                channel = Channel(self._conn, self._wait)
                serve_one(channel, self._tree, self._rules, Watch(finished=self._finished))
        except (Failure, OSError) as error:
            message = describe(error)
            self._log.event("failed", f"{self._peer}: {message}", peer=self._peer, error=message)
        finally:
            self._turns.release()

    def _finished(self, outcome: Outcome) -> None:
        if outcome.folder and not outcome.error:
            return
        state = outcome.error or f"{show_size(outcome.size)}{', unchanged' * outcome.unchanged}"
        self._log.event(
            "file", f"{self._peer}: {outcome.path}: {state}", peer=self._peer, **outcome.document()
        )
