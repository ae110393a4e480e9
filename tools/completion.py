"""``rawproto completion``: the script that makes a shell complete commands, options and values."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from .failure import USAGE, Failure
from .output import emit_json, json_option

__all__ = ["command"]

SHELLS = ("bash", "zsh", "fish")

EXAMPLES = """\b
Examples:
  eval "$(rawproto completion bash)"           in this shell; in ~/.bashrc for all
  rawproto completion zsh > ~/.zfunc/_rawproto
  rawproto completion fish > ~/.config/fish/completions/rawproto.fish
"""


@click.command("completion", epilog=EXAMPLES)
@click.argument("shell", required=False, type=click.Choice(SHELLS))
@json_option
def command(shell: str | None, as_json: bool) -> None:
    """Print what makes the shell complete commands, options and values.

    Without SHELL the script is for the one in $SHELL.
    """
    name = shell or Path(os.environ.get("SHELL", "")).name
    found = get_completion_class(name) if name in SHELLS else None
    if found is None:
        raise Failure(f"say which shell: {', '.join(SHELLS)} ($SHELL is {name or 'not set'})", USAGE)
    from .main import command as rawproto

    # click's source() also runs bash to see that it is 4.4 or later: ten years on, that can be taken for granted.
    maker = found(rawproto, {}, "rawproto", "_RAWPROTO_COMPLETE")
    script = maker.source_template % maker.source_vars()
    if as_json:
        emit_json({"shell": name, "script": script})
    else:
        click.echo(script)
