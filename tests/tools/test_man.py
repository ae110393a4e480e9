"""The manual pages, as groff and man see them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from rawproto_tools import catalogue
from rawproto_tools.main import command
from rawproto_tools.manpage import page, pages

import rawproto

if TYPE_CHECKING:
    from .conftest import CLI


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("man")
    found = {}
    for name, text in pages(click.Context(command, info_name="rawproto")):
        found[name] = folder / f"{name}.1"
        found[name].write_text(text)
    return found


def test_every_command_has_a_page(written: dict[str, Path]) -> None:
    assert {"rawproto", "rawproto-lab-run", *(f"rawproto-{name}" for name in catalogue.TOOLS)} <= set(written)


def test_groff_warns_of_nothing(written: dict[str, Path]) -> None:
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("groff is not installed")
    words = [groff, "-man", "-Tutf8", "-wall", "-z", *map(str, written.values())]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=True)
    assert done.stderr == ""


def test_man_shows_the_options_and_the_examples(written: dict[str, Path]) -> None:
    man = shutil.which("man")
    if man is None or shutil.which("groff") is None:
        pytest.skip("man is not installed")
    done = subprocess.run(
        [man, "--warnings=w", "-l", str(written["rawproto-lab-run"])],
        capture_output=True, text=True, timeout=300, check=True,
        env={**os.environ, "MANWIDTH": "120", "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": ""},
    )  # fmt: skip
    assert done.stderr == ""
    text = done.stdout
    assert "rawproto-lab-run - Run a command on a host of TOPOLOGY" in text
    assert "rawproto lab run [OPTIONS] TOPOLOGY -- COMMAND..." in text
    assert "rawproto lab run net.toml --on b -- ip address   on another one" in text
    assert 'rawproto lab run net.toml --with b "nc -l 7" -- nc {b} 7' in text
    assert f"rawproto {rawproto.__version__}" in text
    for name in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "EXIT STATUS", "SEE ALSO"):
        assert f"\n{name}\n" in text


def test_nothing_in_a_help_is_taken_for_a_command_of_troff() -> None:
    @click.command("odd", epilog="\b\nExamples:\n  .SH forged\n  'quoted' \\n -x ~ ^ `")
    @click.option("--back\\slash", "value", help=".TP here")
    def odd(value: str) -> None:
        r"""Do \fBnothing\fR.

        .so /etc/passwd
        """

    text = page(click.Context(odd, info_name="odd"))
    assert not [line for line in text.splitlines() if line.startswith((".so", ".SH forged", "'", ".TP here"))]
    assert r"\(aqquoted\(aq \en \-x \(ti \(ha \(ga" in text
    assert r"Do \efBnothing\efR." in text


def test_man_writes_into_a_folder(cli: CLI, tmp_path: Path) -> None:
    done = cli.run("man", "--json", str(tmp_path / "share" / "man1"))
    assert (done.returncode, done.stderr) == (0, b"")
    files = [Path(name) for name in json.loads(done.stdout)["pages"]]
    assert all(file.read_text().startswith(".TH RAWPROTO") for file in files)
    assert len(files) == len(list((tmp_path / "share" / "man1").iterdir())) > len(catalogue.TOOLS)
    (tmp_path / "file").touch()
    done = cli.run("man", str(tmp_path / "file"))
    assert done.returncode == 2
    assert "is a file" in done.stderr.decode()


def test_the_version(cli: CLI) -> None:
    done = cli.run("--version")
    assert (done.returncode, done.stdout.decode()) == (0, f"rawproto, version {rawproto.__version__}\n")
