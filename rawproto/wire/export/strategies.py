"""``Header.strategy``: hypothesis strategies of headers that build and parse back.

hypothesis is imported when a strategy is asked for; it is no dependency of rawproto.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rawproto.errors import EncodeError
from rawproto.wire.address import IP
from rawproto.wire.field import Length

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from rawproto.wire.field import FieldInfo
    from rawproto.wire.header import Header
    from rawproto.wire.tlv import OptionFormat

__all__ = ["strategy"]

_LONGEST = 64
"""Most bytes of a variable field: enough for every shape, short enough to read in a failing example."""


def strategy(header: type[Header]) -> SearchStrategy[Header]:
    """Headers of type ``header`` with every value that its fields can hold.

    Derived fields are left to be computed, constants are as declared; variable fields have at most 64 bytes, and no
    more than their length field can tell. Enumerations give known and unknown codes, numbers often the ends of their
    range and its middle, where signs and carries go wrong.
    """
    from hypothesis import strategies as st

    if vars(header).get("_choose") is not None:
        # A base of several headers: one of them.
        return st.one_of([strategy(cls) for cls in header.__subclasses__()])
    values = {
        info.name: _values(header, info)
        for info in header.fields
        if info.derived is None and info.constant is None
    }
    return st.builds(header, **values).filter(_builds)


def _builds(header: Header) -> bool:
    """Whether all lengths fit their fields."""
    try:
        bytes(header)
    except EncodeError:
        return False
    return True


def _values(header: type[Header], info: FieldInfo) -> SearchStrategy[Any]:
    from hypothesis import strategies as st

    if info.width is None:
        return _variable(header, info)
    numbers: SearchStrategy[Any] = _numbers(info.mask)
    if info.kind == "bool":
        return st.booleans()
    if info.kind == "bytes":
        return st.binary(min_size=info.width // 8, max_size=info.width // 8)
    if info.kind in ("ip4", "ip6"):
        return st.binary(min_size=info.width // 8, max_size=info.width // 8).map(IP)
    if info.kind == "enum" and info.enum is not None:
        return st.one_of(st.sampled_from([m for m in info.enum if m <= info.mask]), numbers.map(info.enum))
    if info.kind == "flags" and info.flags is not None:
        return numbers.map(info.flags)
    return numbers.map(lambda number: number * info.scale)


def _numbers(most: int) -> SearchStrategy[int]:
    """0 to ``most``, all ones; hypothesis itself comes to the ends of a wide range by chance only."""
    from hypothesis import strategies as st

    middle = most >> 1
    return st.one_of(st.integers(0, most), st.sampled_from(sorted({0, middle, middle + 1, most - 1, most})))


def _variable(header: type[Header], info: FieldInfo) -> SearchStrategy[Any]:
    from hypothesis import strategies as st

    unit, room = _room(header, info)
    if info.kind == "bytes":
        return st.integers(0, room // unit).flatmap(
            lambda count: st.binary(min_size=count * unit, max_size=count * unit)
        )
    if info.kind == "options" and info.options is not None:
        return _options(info.options, room)
    element: Any = info.element
    if not isinstance(info.element, type):
        size = element.width // 8
        return st.lists(_element(element), max_size=room // size).map(tuple)
    return st.lists(strategy(element), max_size=max(1, room // max(element.size, 1))).map(tuple)


def _room(header: type[Header], info: FieldInfo) -> tuple[int, int]:
    """Bytes that a variable field is counted in, and the most it may have."""
    for holder in header.fields:
        rule = holder.derived
        if not isinstance(rule, Length) or holder.width is None:
            continue
        if holder.name == info.length_by or (info.length_by is None and rule.of == "header"):
            measured = (holder.mask - rule.bias) * rule.unit
            fixed = header.size if rule.of == "header" else 0
            unit = (
                rule.unit if info.kind == "bytes" and (rule.of != "header" or fixed % rule.unit == 0) else 1
            )
            return unit, max(0, min(_LONGEST, measured - fixed))
    return 1, _LONGEST


def _element(spec: Any) -> SearchStrategy[Any]:
    from hypothesis import strategies as st

    size = spec.width // 8
    if spec.kind in ("ip4", "ip6"):
        return st.binary(min_size=size, max_size=size).map(IP)
    if spec.kind == "bytes":
        return st.binary(min_size=size, max_size=size)
    make = spec.enum or spec.flags or int
    return st.integers(0, (1 << spec.width) - 1).map(make)


def _options(form: OptionFormat, room: int) -> SearchStrategy[Any]:
    """A few options of every class that the format knows, but those of which a build makes the padding."""
    from hypothesis import strategies as st

    padding = {*form.padding, form.end}
    classes = [cls for kind, cls in sorted(form.classes.items()) if kind not in padding and cls.size <= room]
    if not classes:
        return st.just(())
    one = st.sampled_from(classes).flatmap(strategy)
    return st.lists(one, max_size=3).map(tuple).filter(lambda items: len(form.encode(items)) <= room)
