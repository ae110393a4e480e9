"""Headers out of a user's own file: what ``--headers file.py`` loads."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

from .failure import USAGE, Failure

if TYPE_CHECKING:
    from pathlib import Path

    from rawproto import Header

__all__ = ["load_headers"]


def load_headers(path: Path) -> dict[str, type[Header]]:
    """The header classes that the Python file ``path`` declares, by name, in the order of the file.

    The file is run: it has the rights of who runs the command.

    Raises:
        Failure: the file cannot be run, or declares no header.
    """
    from rawproto import Header

    name = f"rawproto_headers_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise Failure(f"{path}: a Python file (.py) with header classes is wanted", USAGE)
    module = importlib.util.module_from_spec(spec)
    # Annotations are looked up through the table of modules.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise Failure(f"{path}{_line(error, path)}: {type(error).__name__}: {error}", USAGE) from error
    found = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Header) and value.__module__ == name
    }
    if not found:
        raise Failure(f"{path}: declares no class derived from rawproto.Header", USAGE)
    return found


def _line(error: BaseException, path: Path) -> str:
    """A colon and the last line of ``path`` that the error passed, or nothing when it passed none."""
    numbers = []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            numbers.append(trace.tb_lineno)
        trace = trace.tb_next
    return f":{numbers[-1]}" if numbers else ""
