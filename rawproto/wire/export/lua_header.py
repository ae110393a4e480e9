"""One Lua function a header class: adds every field to the tree and checks what the declaration says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rawproto.wire.export.lua_fields import FieldTable, lua_string
from rawproto.wire.field import Checksum, Length

if TYPE_CHECKING:
    from rawproto.wire.field import FieldInfo
    from rawproto.wire.header import Header
    from rawproto.wire.layout import Run
    from rawproto.wire.tlv import OptionFormat

__all__ = ["Functions", "element"]

_LUA_KEYWORDS = frozenset(
    {
        "and",
        "break",
        "do",
        "else",
        "elseif",
        "end",
        "false",
        "for",
        "function",
        "goto",
        "if",
        "in",
        "local",
        "nil",
    }
    | {"not", "or", "repeat", "return", "then", "true", "until", "while"}
)


def element(table: str, name: str) -> str:
    """Lua expression for the entry ``name`` of ``table``."""
    return f'{table}["{name}"]' if name in _LUA_KEYWORDS else f"{table}.{name}"


def _at(table: str, info: FieldInfo) -> str:
    return element(table, info.name)


class Functions:
    """Generates the functions of headers, their elements and options, each once.

    A function takes ``(b, first, limit, tree, pinfo, note)``: the buffer, where the header starts and where its packet
    ends, the tree, and a function that takes words for the info column (nil for inner headers). It returns the header's
    end, the packet's end as far as the header tells it, and a table of field values, or nil after a complaint.
    """

    def __init__(self, fields: FieldTable) -> None:
        self.lines: list[str] = []
        self._fields = fields
        self._names: dict[Any, str] = {}

    def header(self, header: type[Header], group: str = "") -> str:
        """Name of the function that dissects ``header``."""
        if header not in self._names:
            name = f"dissect_{len(self._names)}_{header.__name__}"
            self._names[header] = name
            if vars(header).get("_choose") is not None:
                body = self._dispatch(header, group)
            else:
                body = _Body(self, self._fields, header, group).lines()
            self.lines += [
                f"-- {header.__name__}",
                f"local function {name}(b, first, limit, tree, pinfo, note)",
                *(f"    {line}" for line in body),
                "end",
                "",
            ]
        return self._names[header]

    def _dispatch(self, header: type[Header], group: str) -> list[str]:
        """Statements that hand over to the class whose constants the bytes have, else to the one for all others."""
        open_fields = {info.name for info in header.fields if info.constant is None}
        arguments = "(b, first, limit, tree, pinfo, note)"
        lines = [f"if limit - first >= {header.size} then"]
        for cls in header.__subclasses__():
            fixed = [info for info in cls.fields if info.constant is not None and info.name in open_fields]
            conditions = [_reads(info) for info in fixed if info.offset is not None]
            if conditions:
                call = self.header(cls, group)
                lines.append(f"    if {' and '.join(conditions)} then return {call}{arguments} end")
        return [*lines, "end", f"return {self.header(header._other, group)}{arguments}"]

    def options(self, form: OptionFormat, group: str) -> str:
        """Name of the function that dissects a list of options: ``(b, at, finish, tree, pinfo)``."""
        if form not in self._names:
            classes = {kind: self._option(cls, group) for kind, cls in sorted(form.classes.items())}
            raw = self._option(form.raw, group)
            name = self._names[form] = f"options_{len(self._names)}"
            self.lines += _options_function(name, form, classes, raw)
        return self._names[form]

    def _option(self, cls: type[Header], group: str) -> tuple[str, str]:
        inner = ".".join(part for part in (group, cls.__name__.lower()) if part)
        return self.header(cls, inner), cls.__name__


def _reads(info: FieldInfo) -> str:
    """Lua condition: the bytes have the field's constant."""
    start, bit = divmod(info.offset or 0, 8)
    width = info.width or 0
    span = f"b(first + {start}, {(bit + width + 7) // 8})"
    read = "le_uint()" if info.byteorder == "little" else f"bitfield({bit}, {width})"
    return f"{span}:{read} == {int(info.constant or 0)}"


def _options_function(
    name: str, form: OptionFormat, classes: dict[int, tuple[str, str]], raw: tuple[str, str]
) -> list[str]:
    """A loop over type, length, value; every step moves on, so it ends."""
    known = [
        f"        [{int(kind)}] = {{ {call}, {lua_string(title)} }},"
        for kind, (call, title) in classes.items()
    ]
    single = ", ".join(f"[{int(kind)}] = true" for kind in sorted(form.single))
    return [
        f"-- options of {form.name}",
        f"local function {name}(b, at, finish, tree, pinfo)",
        "    local known = {",
        *known,
        "    }",
        f"    local single = {{ {single} }}",
        "    while at < finish do",
        "        local kind, size = b(at, 1):uint(), 1",
        f"        if kind == {-1 if form.end is None else int(form.end)} then",
        "            size = finish - at",
        "        elseif not single[kind] then",
        "            if at + 2 > finish then",
        '                complain(tree, "option " .. kind .. " has no length byte")',
        "                return",
        "            end",
        f"            size = (b(at + 1, 1):uint() - ({form.bias})) * {form.unit}",
        "            if size < 2 or at + size > finish then",
        '                complain(tree, "option " .. kind .. " says " .. size .. " bytes")',
        "                return",
        "            end",
        "        end",
        f"        local found = known[kind] or {{ {raw[0]}, {lua_string(raw[1])} }}",
        "        local branch = tree:add(b(at, size), found[2])",
        "        found[1](b, at, at + size, branch, pinfo, nil)",
        "        at = at + size",
        "    end",
        "end",
        "",
    ]


class _Body:
    """The statements of one header's function."""

    def __init__(self, functions: Functions, fields: FieldTable, header: type[Header], group: str) -> None:
        self._functions = functions
        self._fields = fields
        self._header = header
        self._group = group
        self._owner = header.__name__
        self._out: list[str] = []

    def lines(self) -> list[str]:
        self._say("local at, v, items, header_end = first, {}, {}, nil")
        # What follows a segment bounds a field that takes all that is left of the header.
        segments = self._header._layout.segments
        for index, segment in enumerate(segments):
            if isinstance(segment, tuple):
                self._fixed(segment)
            else:
                self._variable(segment, segments[index + 1 :])
        if any(self._rule(info, Length, "header") for info in self._header.fields):
            self._say("if at ~= header_end then")
            self._say('    complain(tree, "header length leaves " .. (header_end - at) .. " bytes over")')
            self._say("end")
        for info in self._header.fields:
            if isinstance(info.derived, Length) and info.derived.of == "payload":
                self._end("limit", info, info.derived, "at", "at")
        for info in self._header.fields:
            if isinstance(info.derived, Checksum):
                self._checksum(info, info.derived)
        self._say("return at, limit, v")
        return self._out

    def _say(self, line: str) -> None:
        self._out.append(line)

    @staticmethod
    def _rule(info: FieldInfo, kind: type, of: str) -> bool:
        return isinstance(info.derived, kind) and getattr(info.derived, "of", None) == of

    def _fixed(self, runs: tuple[Run, ...]) -> None:
        size = sum(run.size for run in runs)
        self._say(f"if limit - at < {size} then")
        text = lua_string(f"{self._owner} needs {size} bytes here, ")
        self._say(f'    complain(tree, {text} .. (limit - at) .. " are there")')
        self._say("    return nil")
        self._say("end")
        place = 0
        for run in runs:
            self._run(run, place)
            place += run.size
        self._say(f"at = at + {size}")
        for run in runs:
            for info in run.fields:
                self._after(info)

    def _run(self, run: Run, place: int) -> None:
        bit = 0
        for info in run.fields:
            span = f"b(at + {place}, {run.size})"
            if info.kind in ("bytes", "ip4", "ip6"):
                self._say(f"tree:add({self._fields.plain(self._group, self._owner, info, info)}, {span})")
            else:
                self._number(info, run, span, bit)
            bit += info.width or 0

    def _number(self, info: FieldInfo, run: Run, span: str, bit: int) -> None:
        """One number: by mask where the tree can show its bits, else by its value."""
        width, value, item = info.width or 0, _at("v", info), _at("items", info)
        little = info.byteorder == "little"
        if little:
            self._say(f"{value} = {span}:{'le_uint' if width <= 32 else 'le_uint64'}()")
        else:
            self._say(f"{value} = {span}:bitfield({bit}, {width})")
        shift = 8 * run.size - bit - width
        whole = len(run.fields) == 1
        masked = run.size <= 4 and info.scale == 1
        mask = None if whole or not masked else info.mask << shift
        if info.kind == "bool":
            field = self._fields.switch(self._group, self._owner, info.name, run.size, mask)
            shown = "" if mask is not None else f", {value} == 1"
        else:
            size = run.size if masked else max(1, -(-width // 8)) if info.scale == 1 else 8
            field = self._fields.number(self._group, self._owner, info, size, mask)
            scaled = f"{value} * {info.scale}" if width <= 32 else value
            shown = "" if masked else f", {'UInt64(' + scaled + ')' if info.scale != 1 else value}"
        self._say(f"{item} = tree:{'add_le' if little else 'add'}({field}, {span}{shown})")
        if info.kind == "flags":
            self._flags(info, run, span, shift if masked else None, little=little)
        if info.constant is not None and width <= 32:
            self._say(f"if {value} ~= {int(info.constant)} then")
            self._say(f'    complain({item}, "must be {int(info.constant)}")')
            self._say("end")
        if info.kind in ("enum", "flags", "uint") and info.derived is None and width <= 32:
            self._note(info)

    def _flags(self, info: FieldInfo, run: Run, span: str, shift: int | None, *, little: bool) -> None:
        """The bits of a flag field below it."""
        for number, name in sorted(info.names.items()):
            mask = None if shift is None else 1 << number + shift
            group = ".".join(part for part in (self._group, info.name.lower()) if part)
            field = self._fields.switch(group, self._owner, name, run.size, mask)
            shown = "" if mask is not None else f", math.floor({_at('v', info)} / {1 << number}) % 2 == 1"
            self._say(f"{_at('items', info)}:{'add_le' if little else 'add'}({field}, {span}{shown})")

    def _note(self, info: FieldInfo) -> None:
        """A few words for the info column."""
        value = _at("v", info)
        if info.kind == "enum" and info.names:
            names = ", ".join(
                f"[{number}] = {lua_string(name)}" for number, name in sorted(info.names.items())
            )
            words = f"(({{ {names} }})[{value}] or {value})"
        else:
            words = f'string.format("0x%x", {value})' if info.kind == "flags" else value
        self._say(f"if note then note({lua_string(info.name)}, {words}) end")

    def _after(self, info: FieldInfo) -> None:
        """What a length says about where the header or its packet ends."""
        rule = info.derived
        if isinstance(rule, Length) and rule.of in ("header", "packet"):
            name = "header_end" if rule.of == "header" else "limit"
            self._end(name, info, rule, "first", f"first + {self._header.size}")

    def _end(self, name: str, info: FieldInfo, rule: Length, start: str, least: str) -> None:
        self._say(f"local told = {start} + ({_at('v', info)} - ({rule.bias})) * {rule.unit}")
        self._say(f"if told > limit or told < {least} then")
        item = _at("items", info)
        self._say(f'    complain({item}, "means " .. (told - first) .. " bytes, " .. (limit - first) ..')
        self._say('        " are there")')
        self._say("    return nil")
        self._say("end")
        self._say(f"{name} = told")

    def _variable(self, info: FieldInfo, following: tuple[Any, ...]) -> None:
        holder = next((other for other in self._header.fields if other.name == info.length_by), None)
        if holder is not None and isinstance(holder.derived, Length):
            rule = holder.derived
            size = f"({_at('v', holder)} - ({rule.bias})) * {rule.unit}"
        else:
            fixed = sum(run.size for part in following if isinstance(part, tuple) for run in part)
            size = f"(header_end or limit) - at - {fixed}"
            names = {other.length_by for other in following if not isinstance(other, tuple)}
            for by in self._header.fields:
                if by.name in names and isinstance(by.derived, Length):
                    size += f" - ({_at('v', by)} - ({by.derived.bias})) * {by.derived.unit}"
        self._say("do")
        self._say(f"    local size = {size}")
        self._say("    if size < 0 or at + size > (header_end or limit) then")
        self._say(
            f'        complain(tree, "{info.name} of " .. size .. " bytes, " .. ((header_end or limit) - at) ..'
        )
        self._say('            " are left")')
        self._say("        return nil")
        self._say("    end")
        self._out += [f"    {line}" for line in self._contents(info)]
        self._say("    at = at + size")
        self._say("end")

    def _contents(self, info: FieldInfo) -> list[str]:
        """Statements that show ``size`` bytes from ``at`` on."""
        inner = ".".join(part for part in (self._group, info.name.lower()) if part)
        if info.kind == "options" and info.options is not None:
            call = self._functions.options(info.options, inner)
            return [
                "if size > 0 then",
                f"    {call}(b, at, at + size, tree:add(b(at, size), {lua_string(info.name)}), pinfo)",
                "end",
            ]
        if info.kind != "list":
            field = self._fields.plain(self._group, self._owner, info, info)
            return [f"if size > 0 then tree:add({field}, b(at, size)) end"]
        element: Any = info.element
        if not isinstance(info.element, type):
            return self._plain_list(info, element)
        call = self._functions.header(element, inner)
        return [
            "local place = at",
            "while place < at + size do",
            f"    local branch = tree:add(b(place, at + size - place), {lua_string(element.__name__)})",
            f"    local finish = {call}(b, place, at + size, branch, pinfo, nil)",
            "    if not finish or finish <= place then break end",
            "    branch:set_len(finish - place)",
            "    place = finish",
            "end",
        ]

    def _plain_list(self, info: FieldInfo, element: Any) -> list[str]:
        """Elements of one size, one below the other."""
        size = element.width // 8
        field = self._fields.plain(self._group, self._owner, info, element)
        add = "add_le" if element.byteorder == "little" else "add"
        return [
            f"if size % {size} ~= 0 then",
            f'    complain(tree, "{info.name} of " .. size .. " bytes, not a multiple of {size}")',
            "    return nil",
            "end",
            f"for place = at, at + size - 1, {size} do tree:{add}({field}, b(place, {size})) end",
        ]

    def _checksum(self, info: FieldInfo, rule: Checksum) -> None:
        number = self._header.protocol_number
        if rule.pseudo and number is None:
            return  # the pseudo header is not known
        last = "at" if rule.covers == "header" else "limit"
        protocol = str(number) if rule.pseudo else "nil"
        absent = "true" if rule.zero == "absent" else "false"
        self._say(
            f"verify({_at('items', info)}, b(first, {last} - first), {_at('v', info)}, {info.byte_offset}, pinfo, "
            f"{protocol}, {absent})"
        )
