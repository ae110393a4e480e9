"""``rawproto cat``: netcat over any of the transports."""

from __future__ import annotations

import functools
import os
import stat
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import click

from rawproto import drop_privileges

from .output import emit_json, json_option
from .pump import Pump, write_all
from .quantity import SPAN
from .transport import Transport, address_of, dial_options, listen_options, network_option

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  rawproto cat -l 1200 > copy              take a file in, on RSP
  rawproto cat 10.0.0.2:1200 < file        send it there
  rawproto cat -n tcp example.org 80       talk to a web server
  rawproto cat -n udp 10.0.0.2 daytime     datagrams: a line each
  rawproto cat -n ip:253 10.0.0.2          the same, straight on IP
  rawproto cat -l -k 1200 < file           give everybody the file
"""


@click.command("cat", epilog=EXAMPLES)
@click.argument("address", nargs=-1, required=True)
@network_option
@click.option("-l", "--listen", "listening", is_flag=True, help="Wait for a connection instead of dialing.")
@click.option("-k", "--keep", is_flag=True, help="With -l: serve one after another, and many at once.")
@click.option("-w", "--wait", type=SPAN, help="Give up after this long without an answer.")
@click.option("-v", "--verbose", is_flag=True, help="Say on stderr who is connected.")
@dial_options
@listen_options
@json_option
def command(
    address: tuple[str, ...],
    listening: bool,
    keep: bool,
    wait: float | None,
    verbose: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Copy standard input to a peer and what it says to standard output.

    The end of the input half-closes the connection; cat ends when the peer has closed its half, too. With --json what
    arrives is part of one JSON document, printed at the end.
    """
    if keep and not listening:
        raise click.UsageError("--keep needs --listen")
    transport = Transport(**options)
    target = address_of(address)
    collected = bytearray()
    sink: Callable[[bytes], Any] = collected.extend if as_json else _to_stdout
    note = (lambda text: click.echo(text, err=True)) if verbose else (lambda text: None)
    began = time.monotonic()
    if transport.network.startswith(("udp", "ip")):
        from .datagrams import exchange

        done = exchange(transport.network, target, listening=listening, wait=wait, sink=sink, note=note)
    elif keep:
        done = _serve(transport, target, sink, note)
    elif listening:
        done = _take_one(transport, target, wait, sink, note)
    else:
        done = _call(transport, target, wait, sink, note)
    if as_json:
        emit_json({**done, "seconds": time.monotonic() - began, **_shown(bytes(collected))})


def _to_stdout(data: bytes) -> None:
    write_all(sys.stdout.fileno(), data)


def _shown(data: bytes) -> dict[str, str]:
    """Received bytes as text where they are text."""
    try:
        return {"text": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"hex": data.hex()}


def _summary(pump: Pump) -> dict[str, Any]:
    conn = pump.conn
    return {
        "network": conn.network,
        "local": str(conn.local_addr),
        "remote": str(conn.remote_addr),
        "sent": pump.sent,
        "received": pump.received,
    }


def _call(
    transport: Transport,
    target: str,
    wait: float | None,
    sink: Callable[[bytes], Any],
    note: Callable[[str], None],
) -> dict[str, Any]:
    with transport.dial(target, timeout=wait) as conn:
        drop_privileges()
        note(f"connected {conn.local_addr} to {conn.remote_addr} on {conn.network}")
        return _converse(conn, wait, sink)


def _take_one(
    transport: Transport,
    target: str,
    wait: float | None,
    sink: Callable[[bytes], Any],
    note: Callable[[str], None],
) -> dict[str, Any]:
    with transport.listen(target) as listener:
        drop_privileges()
        note(f"listening on {listener.addr}, {listener.network}")
        listener.set_deadline(wait)
        conn = listener.accept()
    with conn:
        note(f"connection from {conn.remote_addr}")
        return _converse(conn, wait, sink)


def _converse(conn: Any, wait: float | None, sink: Callable[[bytes], Any]) -> dict[str, Any]:
    conn.set_read_deadline(wait)
    # Somebody at a terminal who is not heard any more has nothing to wait for.
    pump = Pump(conn, functools.partial(os.read, sys.stdin.fileno()), sink, stay=not sys.stdin.isatty())
    pump.run()
    return _summary(pump)


def _serve(
    transport: Transport, target: str, sink: Callable[[bytes], Any], note: Callable[[str], None]
) -> dict[str, Any]:
    """Serve everybody who comes, until interrupted. Each is sent the input, where that is a file."""
    given = stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode)
    lock = threading.Lock()

    def sink_in_turn(data: bytes) -> None:
        with lock:
            sink(data)

    def attend(conn: Any) -> None:
        try:
            with conn:
                Pump(conn, _FromStart(sys.stdin.fileno()) if given else None, sink_in_turn).run()
                note(f"{conn.remote_addr} is done")
        except OSError as error:
            click.echo(f"rawproto: {error}", err=True)

    with transport.listen(target) as listener:
        drop_privileges()
        note(f"listening on {listener.addr}, {listener.network}")
        for conn in listener:
            note(f"connection from {conn.remote_addr}")
            threading.Thread(target=attend, args=(conn,), daemon=True).start()
    return {}


class _FromStart:
    """Reads a file from its beginning: each reader has a position of its own in the one descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._offset = 0

    def __call__(self, size: int) -> bytes:
        data = os.pread(self._descriptor, size, self._offset)
        self._offset += len(data)
        return data
