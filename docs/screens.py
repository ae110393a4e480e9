"""Screens of the programs for README.md, made by running them: ``make screens`` writes docs/images/screen-*.svg.

Hosts and links are those of the lab, as root or in a user namespace. What a program prints is drawn as it came.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from rawproto import Lab
from rawproto.lab import userns

if TYPE_CHECKING:
    from rawproto import Host

DOCS = Path(__file__).resolve().parent
IMAGES = DOCS / "images"
PROGRAM = [sys.executable, "-c", "from rawproto_tools.main import main; main()"]
WIDTH = 112
SURROUNDINGS = {**os.environ, "COLUMNS": str(WIDTH), "PYTHONUNBUFFERED": "1"}
# rich's picture asks a server of fonts for its own; any fixed-width one will do.
_FONTS = re.compile(r"\s*@font-face \{.*?\}\n", re.DOTALL)


def main() -> None:
    """Make all screens."""
    userns.ensure()
    with tempfile.TemporaryDirectory() as folder:
        draw("demo", "rawproto demo", printed(["demo"], cwd=folder))
    ladder = ["dump", "-r", "docs/ladder.pcapng", "--ladder", "--colour"]
    draw("ladder", f"rawproto {' '.join(ladder[:-1])}", printed(ladder, cwd=DOCS.parent))
    with Lab() as lab:
        a, b = lab.hosts("a", "b")
        lab.link(a, b, rate="50mbit", delay="10ms", loss=0.01, seed=7)
        words = ["ping", "-c", "5", "-i", "0.2", str(b.ip4)]
        draw("ping", f"rawproto {' '.join(words)}", printed(words, on=a))
        server = b.popen([*PROGRAM, "bench", "-s"], stdout=subprocess.PIPE, env=SURROUNDINGS)
        assert server.stdout is not None
        server.stdout.readline()
        words = ["bench", "--against", "tcp", "-t", "3", str(b.ip4)]
        draw("bench", f"rawproto {' '.join(words)}", printed(words, on=a))
        server.terminate()
        server.communicate()


def printed(words: list[str], *, on: Host | None = None, cwd: str | Path | None = None) -> str:
    """What the command prints, here or on a host of the lab."""
    run = subprocess.run if on is None else on.run
    done = run(
        [*PROGRAM, *words],
        cwd=cwd,
        env=SURROUNDINGS,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )
    text: str = done.stdout
    return text


def draw(name: str, command: str, text: str) -> None:
    """Write what ``command`` printed into docs/images."""
    with Path(os.devnull).open("w", encoding="utf-8") as sink:
        console = Console(record=True, width=WIDTH, file=sink, force_terminal=True, highlight=False)
        console.print(Text(f"$ {command}", style="bold"))
        console.print(Text.from_ansi(text.rstrip()))
        picture = console.export_svg(title=command, unique_id=name)
    (IMAGES / f"screen-{name}.svg").write_text(_FONTS.sub("", picture), encoding="utf-8")


if __name__ == "__main__":
    main()
