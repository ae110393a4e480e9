"""A command's help as a manual page (man(7))."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["STATUS", "page", "pages"]

STATUS = (
    ("0", "done"),
    ("1", "no answer, or a failed transfer"),
    ("2", "wrong usage, or a privilege that is missing"),
    ("130", "ended by Ctrl-C (SIGINT)"),
    ("143", "ended by SIGTERM"),
)
_WORD = re.compile(r"[^\s,]+|[\s,]+")


def pages(context: click.Context) -> Iterator[tuple[str, str]]:
    """The name and the text of the page of ``context``'s command, and of every command below it."""
    name = context.command_path.replace(" ", "-")
    yield name, page(context)
    command = context.command
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            child = command.get_command(context, below)
            assert child is not None, below
            yield from pages(_context(child, below, context))


def _context(command: click.Command, name: str, parent: click.Context) -> click.Context:
    return click.Context(command, info_name=name, parent=parent)


def page(context: click.Context) -> str:
    """The manual page of the command of ``context``."""
    command = context.command
    lines = [*_head(context), *_described(command.help or "")]
    lines += _options(context)
    if isinstance(command, click.Group):
        lines += _commands(context, command)
    lines += _examples(command.epilog or "")
    lines += [".SH EXIT STATUS"]
    for number, meaning in STATUS:
        lines += [".TP", rf"\fB{number}\fR", _text(meaning)]
    lines += _see_also(context)
    return "\n".join(lines) + "\n"


def _head(context: click.Context) -> list[str]:
    from rawproto import __version__

    path = context.command_path
    name = path.replace(" ", "-")
    usage = " ".join(rf"\fI{_text(piece)}\fR" for piece in context.command.collect_usage_pieces(context))
    return [
        f'.TH {_text(name.upper())} 1 "" "rawproto {__version__}" "rawproto"',
        ".SH NAME",
        rf"{_text(name)} \- {_text(context.command.get_short_help_str(limit=200).rstrip('.'))}",
        ".SH SYNOPSIS",
        rf"\fB{_text(path)}\fR {usage}".rstrip(),
    ]


def _described(text: str) -> list[str]:
    lines = [".SH DESCRIPTION"]
    for paragraph in _paragraphs(text):
        lines += [".PP", _text(" ".join(paragraph.split()))]
    return lines


def _options(context: click.Context) -> list[str]:
    lines = [".SH OPTIONS"]
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        # An argument without a word about it is in the synopsis.
        if record is not None and record[1]:
            names, meaning = record
            lines += [".TP", _names(names), _text(" ".join(meaning.split()))]
    return lines


def _names(text: str) -> str:
    """The names in a text as "-c, --count NUMBER" in bold, and what they take in italics."""
    marked = []
    for word in _WORD.findall(text.replace("INTEGER RANGE", "N")):
        if word[0].isspace() or word[0] == ",":
            marked.append(word)
        else:
            marked.append(rf"\f{'B' if word.startswith('-') else 'I'}{_text(word)}\fR")
    return "".join(marked)


def _commands(context: click.Context, command: click.Group) -> list[str]:
    lines = [".SH COMMANDS"]
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None, name
        path = f"{context.command_path} {name}".replace(" ", "-")
        lines += [".TP", rf"\fB{_text(path)}\fR(1)", _text(child.get_short_help_str(limit=200))]
    return lines


def _examples(epilog: str) -> list[str]:
    """The end of the help: blocks that are to stay as they are, each with a title; other text is not for the manual."""
    lines: list[str] = []
    for block in epilog.split("\b\n")[1:]:
        title, _, body = block.strip("\n").partition("\n")
        heading = title.rstrip(":").upper()
        lines += [f'.SH "{_text(heading)}"', ".nf"]
        lines += [_text(line.removeprefix("  ")) for line in body.splitlines()]
        lines += [".fi"]
    return lines


def _see_also(context: click.Context) -> list[str]:
    parent = context.parent
    if parent is None:
        return []
    return [".SH SEE ALSO", rf"\fB{_text(parent.command_path.replace(' ', '-'))}\fR(1)"]


def _paragraphs(text: str) -> Iterable[str]:
    return (paragraph for paragraph in text.split("\n\n") if paragraph.strip())


def _text(text: str) -> str:
    """``text`` with nothing in it that troff takes for a command of its own."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("^", r"\(ha")
    escaped = escaped.replace("~", r"\(ti").replace("`", r"\(ga").replace('"', r"\(dq")
    return rf"\&{escaped}" if escaped.startswith(".") else escaped
