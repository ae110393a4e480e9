"""The `rawproto` command: finds the tool, runs it, and turns every way to end into a message and a status."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click
from click.shell_completion import shell_complete

import rawproto

from .failure import DONE, describe, on_terminate, silence_stdout, status_of
from .group import LazyGroup
from .output import emit_json, wants_json

__all__ = ["main"]


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Each command shows an example with: rawproto COMMAND --help",
)
@click.version_option(rawproto.__version__, prog_name="rawproto")
def command() -> None:
    """Protocols of one's own above IP: try them, look at them, measure them."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its status.

    Args:
        arguments: the words after the program's name; None takes those of the process.
    """
    words = sys.argv[1:] if arguments is None else arguments
    on_terminate()
    try:
        status = _run(words)
        sys.stdout.flush()
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        status = _report(error, as_json=wants_json(words))
    sys.exit(status)


def _run(words: list[str]) -> int:
    # click's own main() ends the program itself on errors that look like a closed terminal, a peer's among them.
    complete = os.environ.get("_RAWPROTO_COMPLETE")
    if complete:
        return shell_complete(command, {}, "rawproto", "_RAWPROTO_COMPLETE", complete)
    try:
        with command.make_context("rawproto", list(words)) as context:
            status = command.invoke(context)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    return status if isinstance(status, int) else DONE


def _report(error: BaseException, *, as_json: bool) -> int:
    """Tell of ``error`` and return the exit status; what is a fault of ours keeps its traceback."""
    status = status_of(error)
    if status is None:
        raise error
    if isinstance(error, BrokenPipeError):
        silence_stdout()
    elif status > 128 and not as_json:
        click.echo("", err=True)  # the shell's prompt goes below the ^C
    elif not (as_json and _told_in_json(error)):
        if isinstance(error, click.UsageError):
            error.show()
        else:
            click.echo(f"rawproto: {describe(error)}", err=True)
    if not _stdout_takes_it():
        silence_stdout()
    return status


def _told_in_json(error: BaseException) -> bool:
    """Whether standard output took the error: that may be what is wrong."""
    if not _stdout_takes_it():
        return False
    try:
        emit_json({"error": {"kind": type(error).__name__, "message": describe(error)}})
    except OSError:
        return False
    return True


def _stdout_takes_it() -> bool:
    """Whether what was printed could be written; what is left over would fail again when the interpreter ends."""
    try:
        sys.stdout.flush()
    except OSError:
        return False
    return True
