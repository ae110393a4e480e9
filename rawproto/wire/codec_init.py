"""Source of ``__init__``: convert what was given, check it, store it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto.wire import runtime
from rawproto.wire.codec_base import Writer, covered
from rawproto.wire.field import REQUIRED

if TYPE_CHECKING:
    from collections.abc import Container

    from rawproto.wire.field import FieldInfo

__all__ = ["InitWriter"]

# From so many keywords on, two ways to construct pay: each costs a look-up in a dict, 11 ns, when it is not given.
_MANY = 4


class InitWriter(Writer):
    """Writes ``__init__``."""

    def lines(self) -> list[str]:
        """Source of ``__init__``: convert, check, store.

        Defaults of keywords are looked up one by one at every call. Where there are many, ``__init__`` stores them
        itself when no keyword is given, and leaves the rest to ``_init_all``.
        """
        kw_only = sum(info.kw_only for info in self.layout.fields)
        if kw_only < _MANY or self.layout.views:
            return self._full("__init__")
        return [*self._full("_init_all"), "", "", *self._short()]

    def _short(self) -> list[str]:
        """Source of the ``__init__`` that takes its way only without keywords."""
        given = [info for info in self.layout.fields if not info.kw_only]
        names = {info.name for info in given}
        call = ", ".join(["self", *(info.name for info in given)])
        lines = [
            f"def __init__(self, {', '.join([*self._positional(), '**_given'])}):",
            f"    if _given: return _init_all({call}, **_given)",
            "    try:",
        ]
        body: list[str] = []
        for info in given:
            body += self._conversion(info)
        for _, tests in self._init_tests(names):
            body.append(f"        if {' or '.join(tests)}: raise _ValueError")
        lines += [
            *(body or ["        pass"]),
            "    except (_TypeError, _ValueError):",
            "        pass  # said what and where by the other",
            "    else:",
        ]
        for info in self.layout.fields:
            value = info.name if info.name in names else f"_D_{info.name}"
            lines.append(f"        self.{info.name} = {value}")
        return [*lines, "        self._origin = None", "        return", f"    _init_all({call})"]

    def _full(self, name: str) -> list[str]:
        """Source of the constructor that takes every field."""
        lines = [f"def {name}(self, {', '.join(self._parameters())}):"]
        for view in self.layout.views:
            lines += [f"    if {view.name} is not None:", *self._lay_over(view)]
        lines.append("    try:")
        body: list[str] = []
        for info in self.layout.fields:
            body += self._conversion(info)
        for given, tests in self._init_tests():
            test = " or ".join(tests)
            if given:
                test = f"({' or '.join(given)}) and ({test})"
            body.append(f"        if {test}: raise _refuse(_type(self), _locals())")
        lines += body or ["        pass"]
        lines += [
            "    except (_TypeError, _ValueError) as _error:",
            "        return _start_over(self, _locals(), _error)",
        ]
        lines += [f"    self.{info.name} = {info.name}" for info in self.layout.fields]
        lines.append("    self._origin = None")
        return lines

    def _parameters(self) -> list[str]:
        """Parameters in declared order; what is keyword-only comes last."""
        keyword = [_parameter(info) for info in self.layout.fields if info.kw_only]
        keyword += [f"{view.name}=_D_{view.name}" for view in self.layout.views]
        return [*self._positional(), *(["*", *keyword] if keyword else [])]

    def _positional(self) -> list[str]:
        return [_parameter(info) for info in self.layout.fields if not info.kw_only]

    def _conversion(self, info: FieldInfo) -> list[str]:
        """Lines that make the given value the one read back."""
        name, pad = info.name, "        "
        nullable = f"{name} is not None and " if info.derived is not None else ""
        if info.kind in ("enum", "flags"):
            guard = f"if {name} is not None: " if nullable else ""
            return [f"{pad}{guard}{name} = _M_{name}[{name}]"]
        if info.kind in ("ip4", "ip6"):
            size = 4 if info.kind == "ip4" else 16
            return [f"{pad}{name} = _known{size}({name}) or _to_ip({name}, {size}, _NAME, {name!r})"]
        if info.kind == "bytes":
            size = -1 if info.width is None else info.width // 8
            test = f"_type({name}) is not _bytes" + (f" or _len({name}) != {size}" if size >= 0 else "")
            return [f"{pad}if {test}: {name} = _to_bytes({name}, {size}, _NAME, {name!r})"]
        if info.kind == "options":
            return [f"{pad}if {name} is not _D_{name}: {name} = _C_{name}({name}, _NAME, {name!r})"]
        if info.kind == "list":
            return [f"{pad}if {name} != (): {name} = _to_tuple({name}, _I_{name}, _NAME)"]
        if info.derived is not None:
            return [f"{pad}if {nullable}{name} >> {info.width}: raise _refuse(_type(self), _locals())"]
        return []

    def _init_tests(self, only: Container[str] | None = None) -> list[tuple[list[str], list[str]]]:
        """Tests of the plain numbers, one for all of a width; those that stand at their defaults are not tested.

        With ``only``, of the fields of these names.

        Returns pairs: what shows that a value was given (nothing for fields without default), and the tests.
        """
        plain = [
            info
            for info in self.layout.fields
            if info.kind in ("uint", "bool") and info.derived is None and (only is None or info.name in only)
        ]
        found = []
        for required in (True, False):
            widths: dict[int, list[str]] = {}
            scaled: list[str] = []
            for info in plain:
                if info.required is required:
                    if info.scale == 1:
                        widths.setdefault(info.width or 0, []).append(info.name)
                    else:
                        scaled.append(
                            f"{info.name} % {info.scale} or {info.name} // {info.scale} >> {info.width}"
                        )
            tests = scaled + [
                f"({' | '.join(names)}) >> {width}" if len(names) > 1 else f"{names[0]} >> {width}"
                for width, names in widths.items()
            ]
            given = [
                # A number that is 0 by default is tested fastest by its truth.
                info.name if info.default in (0, False) else f"{info.name} is not _D_{info.name}"
                for info in plain
                if not required and not info.required
            ]
            if tests:
                found.append((given, tests))
        return found

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


def _parameter(info: FieldInfo) -> str:
    return info.name if info.default is REQUIRED else f"{info.name}=_D_{info.name}"
