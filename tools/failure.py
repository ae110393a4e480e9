"""How a tool ends: the exit status, and the one message on the terminal or in the JSON.

0 is done, 1 is no answer or a failed transfer, 2 is usage or privilege, 130 is Ctrl-C, 143 is SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from rawproto.errors import (
    AddrError,
    ConfigError,
    DeclarationError,
    EncodeError,
    FilterError,
    PrivilegeError,
    RawprotoError,
    UnknownNetworkError,
)

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["DONE", "FAILED", "USAGE", "Failure", "Terminated", "describe", "on_terminate", "status_of"]

DONE = 0
FAILED = 1
USAGE = 2

_USAGE_ERRORS = (
    AddrError,
    ConfigError,
    DeclarationError,
    EncodeError,
    FilterError,
    PrivilegeError,
    UnknownNetworkError,
)


class Failure(click.ClickException):
    """A tool that could not do what it was asked, for a reason that no library error tells.

    Attributes:
        message: one sentence, for people.
        status: FAILED or USAGE.
    """

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status


class Terminated(BaseException):
    """SIGTERM, as an exception: every ``with`` block on the way out cleans up after itself."""


def _raise_terminated(signum: int, frame: FrameType | None) -> NoReturn:
    # A second signal during the clean-up must not cut it short.
    signal.signal(signum, signal.SIG_IGN)
    raise Terminated


def on_terminate() -> None:
    """Turn SIGTERM and SIGHUP into :class:`Terminated` (unless they are ignored, as under nohup)."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _raise_terminated)


def status_of(error: BaseException) -> int | None:
    """The exit status that ``error`` ends the program with; None for what is a fault of our own."""
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return 128 + signal.SIGINT
    if isinstance(error, Terminated):
        return 128 + signal.SIGTERM
    if isinstance(error, BrokenPipeError) and not isinstance(error, RawprotoError):
        return 128 + signal.SIGPIPE
    if isinstance(error, Failure):
        return error.status
    if isinstance(error, click.ClickException):
        return error.exit_code
    if isinstance(error, _USAGE_ERRORS):
        return USAGE
    if isinstance(error, RawprotoError | OSError):
        return FAILED
    return None


def describe(error: BaseException) -> str:
    """What to tell people about ``error``."""
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return "interrupted"
    if isinstance(error, Terminated):
        return "terminated by a signal"
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, OSError) and not isinstance(error, RawprotoError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}"
    return str(error) or type(error).__name__


def silence_stdout() -> None:
    """Point standard output at nothing, so that the interpreter's last flush cannot fail on a closed pipe."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, sys.stdout.fileno())
    os.close(sink)
