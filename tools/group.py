"""The command group that loads a tool only when it is called for."""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from .catalogue import TOOLS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """A group over the table of tools: listing and completing them imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all tools, sorted."""
        return sorted(TOOLS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the tool ``cmd_name``; None when there is none of that name."""
        if cmd_name not in TOOLS:
            return None
        module = importlib.import_module(f".{cmd_name}", __package__)
        command = module.command
        assert isinstance(command, click.Command), f"{module.__name__}.command is no click command"
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the tool that ``args`` starts with, or say what was likely meant."""
        name = args[0]
        if name not in TOOLS and not name.startswith("-"):
            near = difflib.get_close_matches(name, TOOLS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of tools."""
        if TOOLS:
            with formatter.section("Commands"):
                formatter.write_dl(sorted(TOOLS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a tool, and the group's own options."""
        tools: Sequence[CompletionItem] = [
            CompletionItem(name, help=text) for name, text in TOOLS.items() if name.startswith(incomplete)
        ]
        return [*tools, *click.Command.shell_complete(self, ctx, incomplete)]
