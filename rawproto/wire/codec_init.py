"""Source of ``__init__``: convert what was given, check it, store it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto.wire import runtime
from rawproto.wire.codec_base import Writer, covered
from rawproto.wire.field import REQUIRED

if TYPE_CHECKING:
    from rawproto.wire.field import FieldInfo

__all__ = ["InitWriter"]


class InitWriter(Writer):
    """Writes ``__init__``."""

    def lines(self) -> list[str]:
        """Source of ``__init__``: convert, check, store."""
        lines = [f"def __init__(self, {', '.join(self._parameters())}):"]
        for view in self.layout.views:
            lines += [f"    if {view.name} is not None:", *self._lay_over(view)]
        lines.append("    try:")
        body: list[str] = []
        for info in self.layout.fields:
            body += self._conversion(info)
        if tests := self._init_tests():
            body.append(f"        if {' or '.join(tests)}: raise _refuse(_type(self), _locals())")
        lines += body or ["        pass"]
        lines += [
            "    except (_TypeError, _ValueError) as _error:",
            "        raise _refuse(_type(self), _locals(), _error) from None",
        ]
        lines += [f"    self.{info.name} = {info.name}" for info in self.layout.fields]
        lines.append("    self._origin = None")
        return lines

    def _parameters(self) -> list[str]:
        """Parameters in declared order; what is keyword-only comes last."""
        positional: list[str] = []
        keyword: list[str] = []
        for info in self.layout.fields:
            text = info.name if info.default is REQUIRED else f"{info.name}=_D_{info.name}"
            (keyword if info.kw_only else positional).append(text)
        keyword += [f"{view.name}=_D_{view.name}" for view in self.layout.views]
        return [*positional, *(["*", *keyword] if keyword else [])]

    def _conversion(self, info: FieldInfo) -> list[str]:
        """Lines that make the given value the one read back."""
        name, pad = info.name, "        "
        nullable = f"{name} is not None and " if info.derived is not None else ""
        if info.kind in ("enum", "flags"):
            guard = f"if {name} is not None: " if nullable else ""
            return [f"{pad}{guard}{name} = _M_{name}[{name}]"]
        if info.kind in ("ip4", "ip6"):
            size = 4 if info.kind == "ip4" else 16
            return [
                f"{pad}if _type({name}) is _str: {name} = _ip{size}[{name}]",
                f"{pad}elif _type({name}) is not _IP or _len({name}) != {size}:",
                f"{pad}    {name} = _to_ip({name}, {size}, _NAME, {name!r})",
            ]
        if info.kind == "bytes":
            size = -1 if info.width is None else info.width // 8
            test = f"_type({name}) is not _bytes" + (f" or _len({name}) != {size}" if size >= 0 else "")
            return [f"{pad}if {test}: {name} = _to_bytes({name}, {size}, _NAME, {name!r})"]
        if info.kind == "options":
            return [f"{pad}if {name} != (): {name} = _C_{name}({name}, _NAME, {name!r})"]
        if info.kind == "list":
            return [f"{pad}if {name} != (): {name} = _to_tuple({name}, _I_{name}, _NAME)"]
        if info.derived is not None:
            return [f"{pad}if {nullable}{name} >> {info.width}: raise _refuse(_type(self), _locals())"]
        if info.scale != 1:
            return [f"{pad}if {name} % {info.scale}: raise _refuse(_type(self), _locals())"]
        return []

    def _init_tests(self) -> list[str]:
        """One test for all plain numbers of a width: their bits together must not reach beyond it."""
        widths: dict[int, list[str]] = {}
        for info in self.layout.fields:
            if info.kind in ("uint", "bool") and info.derived is None:
                width = (info.width or 0) + (
                    info.scale.bit_length() - 1 if info.scale & (info.scale - 1) == 0 else 0
                )
                if info.scale & (info.scale - 1):
                    widths.setdefault(info.width or 0, []).append(f"{info.name} // {info.scale}")
                else:
                    widths.setdefault(width, []).append(info.name)
        tests = []
        for width, names in widths.items():
            joined = names[0] if len(names) == 1 else f"({' | '.join(names)})"
            tests.append(f"{joined} >> {width}")
        return tests

    def _lay_over(self, view: FieldInfo) -> list[str]:
        """Lines that write the bits of a view into the fields under it."""
        start, width = view.offset or 0, view.width or 0
        self.names[f"_V_{view.name}"] = runtime.view_number(view, self.name)
        lines = [f"        _over = _V_{view.name}({view.name})"]
        for info, low, shift, count in covered(self.layout.fields, start, width):
            mask = (1 << count) - 1
            keep = ((1 << (info.width or 0)) - 1) ^ (mask << low)
            lines.append(
                f"        {info.name} = {info.name} & {keep:#x} | (_over >> {shift} & {mask:#x}) << {low}"
            )
        return lines
