"""Connection traces as files: one for each connection, in the folder that its configuration names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rawproto.net.log import logger

if TYPE_CHECKING:
    from pathlib import Path

    from rawproto.rsp.connection import Connection

__all__ = ["save_trace"]


def save_trace(core: Connection, folder: Path | None) -> None:
    """Write the trace of ``core``, if it has one, as ``<side>-<connection identifier>.qlog`` into ``folder``.

    A folder that cannot be written to is logged: it is no reason to break a connection.
    """
    if core.trace is None or folder is None:
        return
    path = folder / f"{core.trace.vantage}-{core.identifier:016x}.qlog"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(core.trace.qlog()), encoding="utf-8")
    except OSError as error:
        logger.warning("the trace of a connection is lost: %s", error)
