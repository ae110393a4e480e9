"""A header drawn as RFCs draw it: 32 bits a row, bit numbers above, a legend for what does not fit its cell."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rawproto.wire.field import FieldInfo
    from rawproto.wire.header import Header

__all__ = ["diagram"]

_ROW = 32
_MARGIN = "   "


class _Cell(NamedTuple):
    """The part of a field in one row.

    Attributes:
        field: index of the field.
        bits: width in bits.
        label: what stands in it.
        open: whether the field's length is variable.
    """

    field: int
    bits: int
    label: str
    open: bool


def diagram(header: type[Header]) -> str:
    """The drawing, followed by a legend of short names, flags and remarks where there are any.

    A field of variable length has slashes for its ends; what follows it starts a new row.
    """
    labels = _labels(header.fields)
    rows = _rows(header.fields, labels)
    lines = [
        _MARGIN + " " + "".join(f"{bit // 10 if bit % 10 == 0 else ' '} " for bit in range(_ROW)).rstrip(),
        _MARGIN + " " + " ".join(str(bit % 10) for bit in range(_ROW)),
        _MARGIN + _border([], rows[0] if rows else []),
    ]
    for index, row in enumerate(rows):
        following = rows[index + 1] if index + 1 < len(rows) else []
        lines += [_MARGIN + _contents(row), _MARGIN + _border(row, following)]
    notes = _notes(header.fields, labels) + _views(header.views)
    return "\n".join([*lines, "", *notes] if notes else lines) + "\n"


def _labels(fields: tuple[FieldInfo, ...]) -> list[str]:
    """The field's name where its widest cell holds it, else a letter that the legend explains."""
    names = {info.name for info in fields}
    letters = (letter for letter in string.ascii_letters.swapcase() if letter not in names)
    labels = []
    for info in fields:
        width = min(info.width or _ROW, _ROW)
        if len(info.name) <= 2 * width - 1:
            labels.append(info.name)
        else:
            labels.append(next(letters, "*"))
    return labels


def _rows(fields: tuple[FieldInfo, ...], labels: list[str]) -> list[list[_Cell]]:
    """The cells of each row; all rows but the last one before a variable field and the very last are full."""
    rows: list[list[_Cell]] = []
    row: list[_Cell] = []
    used = 0
    for index, info in enumerate(fields):
        if info.width is None:
            row.append(_Cell(index, _ROW - used, f"{labels[index]} ...", open=True))
            rows.append(row)
            row, used = [], 0
            continue
        left = info.width
        while left:
            taken = min(left, _ROW - used)
            row.append(_Cell(index, taken, "", open=False))
            used, left = used + taken, left - taken
            if used == _ROW:
                rows.append(row)
                row, used = [], 0
    if row:
        rows.append(row)
    return _with_labels(rows, labels)


def _with_labels(rows: list[list[_Cell]], labels: list[str]) -> list[list[_Cell]]:
    """Put each field's label into its widest cell, of equal ones into the middle one."""
    places: dict[int, list[tuple[int, int]]] = {}
    for number, row in enumerate(rows):
        for position, cell in enumerate(row):
            places.setdefault(cell.field, []).append((number, position))
    for field, cells in places.items():
        widest = max(rows[number][position].bits for number, position in cells)
        candidates = [
            (number, position) for number, position in cells if rows[number][position].bits == widest
        ]
        number, position = candidates[(len(candidates) - 1) // 2]
        cell = rows[number][position]
        if not cell.open:
            rows[number][position] = cell._replace(label=labels[field])
    return rows


def _contents(row: list[_Cell]) -> str:
    text = "/" if row[0].open else "|"
    for cell in row:
        text += cell.label.center(2 * cell.bits - 1) + ("/" if cell.open else "|")
    return text


def _columns(row: list[_Cell]) -> list[int]:
    """The field in each bit column of a row."""
    return [cell.field for cell in row for _ in range(cell.bits)]


def _border(above: list[_Cell], below: list[_Cell]) -> str:
    """The line between two rows, left open where one field goes on from one to the next."""
    first, second = _columns(above), _columns(below)
    count = max(len(first), len(second))
    same = [
        column < len(first) and column < len(second) and first[column] == second[column]
        for column in range(count)
    ]
    text = ""
    for column in range(count):
        inside = same[column] and column > 0 and same[column - 1]
        text += (" " if inside else "+") + (" " if same[column] else "-")
    return text + "+"


def _notes(fields: tuple[FieldInfo, ...], labels: list[str]) -> list[str]:
    """One line for each field that has more to say than its cell does."""
    notes = []
    for info, label in zip(fields, labels, strict=True):
        remark = _remark(info)
        if label != info.name:
            notes.append(f"{_MARGIN}{label}: {info.name}" + (f" ({remark})" if remark else ""))
        elif remark:
            notes.append(f"{_MARGIN}{info.name}: {remark}")
    return notes


def _views(views: tuple[FieldInfo, ...]) -> list[str]:
    """One line for each field that is another view of bits drawn under other names."""
    notes = []
    for info in views:
        first, last = info.offset or 0, (info.offset or 0) + (info.width or 0) - 1
        remark = _remark(info)
        notes.append(
            f"{_MARGIN}{info.name}: also bits {first} to {last}" + (f" ({remark})" if remark else "")
        )
    return notes


def _remark(info: FieldInfo) -> str:
    parts = []
    if info.constant is not None and info.kind != "options":
        parts.append(f"always {info.constant}")
    if info.kind == "flags" and info.names:
        bits = sorted(info.names.items(), reverse=True)
        parts.append(" ".join(f"{name}={1 << bit:#x}" for bit, name in bits))
    if info.byteorder == "little":
        parts.append("little-endian")
    if info.scale != 1:
        parts.append(f"in units of {info.scale}")
    if info.doc:
        parts.append(info.doc)
    return "; ".join(parts)
