"""The one place where errors of sockets, links and cores become errors of rawproto."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, NoReturn

from rawproto.errors import (
    ClosedError,
    ConnectionAborted,
    ConnectionRefused,
    ConnectionReset,
    DeadlineExceeded,
    OpError,
    PrivilegeError,
    RawprotoError,
    UnexpectedEOF,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["closed", "deadline_exceeded", "raise_op_error"]

_CLASS_OF: Mapping[int, type[OpError]] = {
    errno.ECONNREFUSED: ConnectionRefused,
    errno.ECONNRESET: ConnectionReset,
    errno.EPIPE: ConnectionReset,
    errno.ECONNABORTED: ConnectionAborted,
    # The kernel gave up an established connection: not a deadline of the caller's, and not worth another try.
    errno.ETIMEDOUT: ConnectionAborted,
}

_BUILTINS: tuple[tuple[type[OSError], type[OpError]], ...] = (
    (ConnectionRefusedError, ConnectionRefused),
    (ConnectionResetError, ConnectionReset),
    (BrokenPipeError, ConnectionReset),
    (ConnectionAbortedError, ConnectionAborted),
)

_INNER_OPS = ("", "bind", "open")
"""Operations that callers of dial and listen did not ask for by name."""

UNPRIVILEGED_PORT = 1024
"""The first port that needs no privilege to be bound (ip_unprivileged_port_start, unless it was changed)."""


def raise_op_error(
    error: OSError, op: str, network: str, local: Any | None = None, remote: Any | None = None
) -> NoReturn:
    """Raise ``error`` as the OpError of ``op``; an error of ours that says what was tried is raised as it is."""
    if isinstance(error, OpError):
        if error.op not in _INNER_OPS:
            raise error
        # In the caller's words it says all that it said before: only what lies behind it is shown as well.
        raise _as_op_error(error, op, network, local, remote) from error.__cause__
    if isinstance(error, RawprotoError):
        raise error
    raise _as_op_error(error, op, network, local, remote) from error


def _as_op_error(error: OSError, op: str, network: str, local: Any | None, remote: Any | None) -> OSError:
    kind: type[OpError]
    if error.errno == errno.EACCES and 0 < getattr(local, "port", 0) < UNPRIVILEGED_PORT:
        return _privilege(op, network, local)
    if isinstance(error, OpError):
        kind = type(error)
    elif op == "dial" and (error.errno == errno.ETIMEDOUT or isinstance(error, TimeoutError)):
        kind = DeadlineExceeded
    else:
        kind = next((ours for theirs, ours in _BUILTINS if isinstance(error, theirs)), OpError)
        kind = _CLASS_OF.get(error.errno or 0, kind)
    ours = kind(_reason(error), op=op, network=network, local=local, remote=remote, errno=error.errno)
    if isinstance(error, UnexpectedEOF):
        ours.partial = error.partial  # type: ignore[attr-defined]
    return ours


def _reason(error: OSError) -> str:
    if isinstance(error, OpError):
        return error.reason
    if error.errno is not None:
        return error.strerror or os.strerror(error.errno)
    return str(error) or type(error).__name__


def _privilege(op: str, network: str, local: Any) -> PrivilegeError:
    from rawproto.link.privilege import ways_to

    capability = "CAP_NET_BIND_SERVICE"
    ways = (f"choose a port from {UNPRIVILEGED_PORT} on", *ways_to(capability))
    return PrivilegeError(f"{op} {network} {local}", capability, ways)


def closed(
    op: str, network: str, what: str, local: Any | None = None, remote: Any | None = None
) -> ClosedError:
    """The error of an operation on something closed on this side."""
    return ClosedError(f"{what} is closed", op=op, network=network, local=local, remote=remote)


def deadline_exceeded(
    op: str, network: str, local: Any | None = None, remote: Any | None = None, written: int = 0
) -> DeadlineExceeded:
    """The error of an operation whose deadline passed; ``written`` bytes of a write were taken before."""
    error = DeadlineExceeded("deadline exceeded", op=op, network=network, local=local, remote=remote)
    error.written = written
    return error
