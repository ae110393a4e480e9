"""The reference, made from signatures and docstrings: a page a room, every public name on it (a hook of mkdocs)."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOMS = ("addr", "resolve", "wire", "link", "protocol", "rsp", "net", "aio", "lab", "errors")

_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields|Example|Examples|Note):\s*$")
_ROLE = re.compile(r":\w+:`[~!]?([^`]+)`")
_ITEM = re.compile(r"^([*\w, .]+?)( \([^)]*\))?: (.*)$")


def members(room: str) -> list[tuple[str, Any]]:
    """The public names of a room with what they stand for."""
    module = importlib.import_module(f"rawproto.{room}")
    return [(name, getattr(module, name)) for name in sorted(module.__all__, key=str.lower)]


@functools.cache
def public() -> frozenset[Any]:
    """Every class that has an entry of its own."""
    return frozenset(value for room in ROOMS for _, value in members(room) if inspect.isclass(value))


def methods(value: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that a class defines or inherits from classes of ours without an entry.

    Views, the other names of a header's bytes, are told of by the header's own text.
    """
    seen = {view.name for view in getattr(value, "views", ())}
    for kind in value.__mro__:
        if not kind.__module__.startswith("rawproto") or (kind is not value and kind in public()):
            continue
        for name, member in vars(kind).items():
            plain = inspect.unwrap(getattr(member, "__func__", member))
            if name.startswith("_") or name in seen:
                continue
            if inspect.isfunction(plain) or isinstance(member, property):
                seen.add(name)
                yield name, getattr(value, name, member)


def documented(value: Any) -> bool:
    """Whether it should have a docstring of its own: classes, functions, properties; values explain themselves."""
    return inspect.isclass(value) or inspect.isroutine(value) or isinstance(value, property)


def own_doc(value: Any) -> str:
    """The docstring, that of a base where a method has none; nothing of what Python itself would say."""
    if inspect.isclass(value):
        text = vars(value).get("__doc__") or ""
        return "" if text.startswith(f"{value.__name__}(") else inspect.cleandoc(text)
    return inspect.getdoc(value) or ""


def signature(name: str, value: Any) -> str:
    """``name(arguments) -> result`` as Python shows it; nothing for properties and values."""
    try:
        found = str(inspect.signature(value))
    except (TypeError, ValueError):
        return ""
    found = re.sub(r"<[^<>]*>", "...", found).replace("'", "").replace("self, ", "").replace("(self)", "()")
    return textwrap.fill(f"{name}{found}", 100, subsequent_indent="    ", break_long_words=False)


def markdown(docstring: str) -> str:
    """A docstring of Google's style as Markdown."""
    lines, out, literal = docstring.splitlines(), [], False
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if literal and line.strip() and indent == 0:
            out.append("```")
            literal = False
        if not literal and _SECTION.match(line):
            out += ["", f"**{_SECTION.match(line)[1]}**", ""]  # type: ignore[index]
        elif not literal and line.endswith("::"):
            out += [_inline(line[:-1]) if line.strip() != "::" else "", "", "```text"]
            literal = True
        elif (
            not literal and indent == 4 and (item := _ITEM.match(line.strip())) and _in_section(lines, number)
        ):
            out.append(f"- `{item[1]}`: {_inline(item[3])}")
        elif literal:
            out.append(line)
        else:
            out.append(
                _inline(
                    line if not _in_section(lines, number) else f"  {line.strip()}" if line.strip() else ""
                )
            )
    return "\n".join([*out, "```"] if literal else out)


def _in_section(lines: list[str], number: int) -> bool:
    for line in reversed(lines[:number]):
        if _SECTION.match(line):
            return True
        if line.strip() and not line.startswith(" "):
            return False
    return False


def _inline(line: str) -> str:
    """Roles and double backticks as single ones; a table's bars and angle brackets as they are."""
    line = _ROLE.sub(lambda found: f"`{found[1].rsplit('.', 1)[-1]}`", line).replace("``", "`")
    return line if "`" in line else line.replace("<", "&lt;").replace("*", r"\*")


def entry(name: str, value: Any) -> str:
    """One public name."""
    shown = signature(name, value)
    parts = [f"## {name}", "", f"```python\n{shown}\n```\n" if shown else "", markdown(own_doc(value)), ""]
    if not documented(value):
        parts = [f"## {name}", "", f"`{_value_in_words(value)}`", ""]
    if inspect.isclass(value):
        for below, member in methods(value):
            parts += [
                f"### {name}.{below}",
                "",
                f"```python\n{call}\n```\n" if (call := signature(below, member)) else "",
            ]
            parts += [markdown(own_doc(member)), ""]
    return "\n".join(parts)


def _value_in_words(value: Any) -> str:
    return " ".join(repr(value).split())[:200].replace("`", "'")


def page(room: str) -> str:
    """The page of a room."""
    module = importlib.import_module(f"rawproto.{room}")
    head = [f"# rawproto.{room}", "", markdown(inspect.getdoc(module) or ""), ""]
    return "\n".join([*head, *(entry(name, value) for name, value in members(room))])


def on_files(files: Any, config: Any) -> Any:
    """Add the pages to those that mkdocs found."""
    from mkdocs.structure.files import File

    for room in ROOMS:
        files.append(File.generated(config, f"reference/{room}.md", content=page(room)))
    return files
