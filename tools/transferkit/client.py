"""The client's side of a transfer from dialing to the summary, whichever way the files go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rawproto import drop_privileges

from ..transfer_options import server_address
from ..transport import Transport
from .channel import Channel
from .display import Display

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ask"]


def ask(
    server: str,
    transfer: Callable[[Channel, Display], None],
    *,
    verbose: bool,
    wait: float,
    as_json: bool,
    **transport: Any,
) -> int:
    """Dial ``server``, give up every privilege, and run ``transfer``; gives the exit status.

    Raises:
        Failure: the server refused, or broke the protocol.
        OpError: it cannot be reached, or the connection failed.
    """
    display = Display(as_json=as_json, verbose=verbose)
    with display, Transport(**transport).dial(server_address(server), timeout=wait) as conn:
        drop_privileges()
        transfer(Channel(conn, wait), display)
        return display.close(conn)
