"""From a class body to its layout: annotations become fields with places; what cannot be is refused with a reason."""

from __future__ import annotations

import dataclasses
import keyword
from typing import TYPE_CHECKING, Any, ClassVar, get_args, get_origin

from rawproto.errors import DeclarationError
from rawproto.wire.enums import OpenEnum
from rawproto.wire.field import (
    REQUIRED,
    Checksum,
    Computed,
    Constant,
    FieldInfo,
    Length,
    NextProtocol,
    Overlay,
)
from rawproto.wire.flags import Flags
from rawproto.wire.types import FieldOptions, spec_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Layout", "Run", "lay_out", "read_fields"]

_RULES = (Length, Checksum, NextProtocol, Computed)


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring fixed fields that start and end on byte borders and cannot be split at one.

    Attributes:
        fields: the fields, most significant bits first.
        size: bytes.
    """

    fields: tuple[FieldInfo, ...]
    size: int


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """Fields with places, and the order in which they are packed.

    Attributes:
        fields: all fields, in the order of the wire.
        views: fields that overlay others.
        segments: lists of runs (fixed parts) and single variable fields, in turn.
        size: bytes of all fixed parts.
    """

    fields: tuple[FieldInfo, ...]
    views: tuple[FieldInfo, ...]
    segments: tuple[tuple[Run, ...] | FieldInfo, ...]
    size: int

    def by_rule(self, kind: type, of: str | None = None) -> FieldInfo | None:
        """The field derived by a rule of type ``kind`` (a Length of ``of``), or None."""
        for info in self.fields:
            rule = info.derived
            if isinstance(rule, kind) and (of is None or getattr(rule, "of", None) == of):
                return info
        return None


def read_fields(
    header: str,
    annotations: Mapping[str, Any],
    values: Mapping[str, Any],
    scope: tuple[dict[str, Any], Mapping[str, Any]],
) -> list[FieldInfo]:
    """The fields that a class body declares, not yet placed.

    Args:
        header: name of the class, for messages.
        annotations: name to annotation, text where annotations are postponed.
        values: the class body; an assigned value is the default.
        scope: globals and locals in which textual annotations are evaluated.
    """
    found = []
    for name, written in annotations.items():
        annotation = _evaluated(header, name, written, scope)
        if annotation is ClassVar or get_origin(annotation) is ClassVar:
            continue
        try:
            found.append(_field(name, annotation, values.get(name, REQUIRED)))
        except DeclarationError as error:
            raise DeclarationError(f"{header}.{name}: {error}") from None
    return found


def _evaluated(header: str, name: str, written: Any, scope: tuple[dict[str, Any], Mapping[str, Any]]) -> Any:
    """An annotation as an object."""
    if not isinstance(written, str):
        return written
    try:
        return eval(written, scope[0], dict(scope[1]))  # noqa: S307 - the class's own source, as typing does
    except DeclarationError as error:
        raise DeclarationError(f"{header}.{name}: {error}") from None
    except Exception as error:
        raise DeclarationError(
            f"{header}.{name}: annotation {written!r} does not evaluate: {error}"
        ) from error


def _field(name: str, annotation: Any, value: Any) -> FieldInfo:
    """One field from its annotation and assigned value."""
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_") or name == "self":
        raise DeclarationError("a field's name is an identifier without leading underscore")
    spec = spec_of(annotation)
    if spec is None:
        raise DeclarationError(
            f"{annotation!r} is no field type; see rawproto.wire.types (u8, bits(4), ip4, ...)"
        )
    options = value if isinstance(value, FieldOptions) else FieldOptions(value)
    rule, enum, flags = spec.derived, spec.enum, spec.flags
    constant: int | None = None
    offset: int | None = None
    kind = spec.kind
    for item in get_args(annotation):
        if isinstance(item, _RULES):
            rule = item
        elif isinstance(item, Constant):
            constant = item.value
        elif isinstance(item, Overlay):
            offset = item.offset
        elif isinstance(item, type) and issubclass(item, OpenEnum):
            kind, enum = "enum", item
        elif isinstance(item, type) and issubclass(item, Flags):
            kind, flags = "flags", item
    if rule is not None and kind not in ("uint", "enum"):
        raise DeclarationError(f"a derived field is a number, not {kind}")
    return FieldInfo(
        name=name,
        kind=kind,
        offset=offset,
        width=spec.width,
        byteorder=spec.byteorder,
        default=_default(options.default, kind, rule, constant, overlay=offset is not None),
        derived=rule,
        constant=constant,
        scale=spec.scale,
        enum=enum,
        flags=flags,
        element=spec.element,
        options=spec.options,
        kw_only=options.kw_only or offset is not None,
        overlays=offset is not None,
        doc=options.doc,
    )


def _default(given: Any, kind: str, rule: object, constant: int | None, *, overlay: bool) -> Any:
    """The default: as given, else what leaves the field empty, where there is such a value."""
    if given is not REQUIRED:
        return given
    if rule is not None or overlay:
        return None
    if constant is not None:
        return constant
    return {"flags": 0, "options": (), "list": ()}.get(kind, REQUIRED)


def lay_out(header: str, declared: Sequence[FieldInfo]) -> Layout:
    """Give every field its place and check that the whole can be encoded and decoded again.

    Raises:
        DeclarationError: with the reason.
    """
    views = tuple(info for info in declared if info.overlays)
    plain = _order_parameters(header, [info for info in declared if not info.overlays])
    plain = _link_lengths(header, plain)
    placed: list[FieldInfo] = []
    segments: list[tuple[Run, ...] | FieldInfo] = []
    runs: list[Run] = []
    pending: list[FieldInfo] = []
    offset: int | None = 0
    for info in plain:
        info = dataclasses.replace(info, offset=offset)
        placed.append(info)
        if info.width is None:
            _check_byte_border(header, pending, info.name)
            if runs:
                segments.append(tuple(runs))
                runs = []
            segments.append(info)
            offset = None
            continue
        offset = None if offset is None else offset + info.width
        pending.append(info)
        total = sum(item.width or 0 for item in pending)
        if total % 8 == 0:
            runs.append(Run(tuple(pending), total // 8))
            pending = []
    _check_byte_border(header, pending, "the end")
    if runs:
        segments.append(tuple(runs))
    size = sum(run.size for part in segments if isinstance(part, tuple) for run in part)
    layout = Layout(tuple(placed), views, tuple(segments), size)
    _check(header, layout)
    return layout


def _order_parameters(header: str, fields: list[FieldInfo]) -> list[FieldInfo]:
    """Make fields that need no value keyword-only where a required one follows them.

    A default that was written down before a required field is a mistake, as it is for functions and dataclasses.
    """
    required = [index for index, info in enumerate(fields) if info.required and not info.kw_only]
    last = required[-1] if required else -1
    ordered = []
    for index, info in enumerate(fields):
        early = index < last and not info.required and not info.kw_only
        if early and info.derived is None and info.constant is None and info.default not in (0, ()):
            raise DeclarationError(
                f"{header}.{fields[last].name}: has no default but follows {info.name}, which has one; "
                "give it a default or mark one of them declare(kw_only=True)"
            )
        ordered.append(dataclasses.replace(info, kw_only=True) if early else info)
    return ordered


def _link_lengths(header: str, fields: list[FieldInfo]) -> list[FieldInfo]:
    """Set ``length_by`` of the variable fields whose length another field holds."""
    holders: dict[str, str] = {}
    names = {info.name: info for info in fields}
    for index, info in enumerate(fields):
        rule = info.derived
        if not isinstance(rule, Length) or rule.of in ("header", "payload", "packet"):
            continue
        target = names.get(rule.of)
        if target is None or target.width is not None:
            raise DeclarationError(
                f'{header}.{info.name}: measures {rule.of!r}, which is neither "header", "payload", "packet" nor a '
                "variable field of this header"
            )
        if fields.index(target) < index:
            raise DeclarationError(
                f"{header}.{info.name}: must be declared before {rule.of}, whose length it holds"
            )
        if rule.of in holders:
            raise DeclarationError(
                f"{header}.{rule.of}: its length is held by {holders[rule.of]} and {info.name}"
            )
        holders[rule.of] = info.name
    return [dataclasses.replace(info, length_by=holders.get(info.name)) for info in fields]


def _check_byte_border(header: str, pending: Iterable[FieldInfo], where: str) -> None:
    """Refuse bits that do not fill a byte before ``where``."""
    names = [info.name for info in pending]
    if names:
        raise DeclarationError(
            f"{header}: the bits of {', '.join(names)} do not end on a byte border before {where}; add reserved bits"
        )


def _check(header: str, layout: Layout) -> None:
    """Refuse a layout that could not be encoded, or not be decoded again."""
    _check_values(header, layout)
    for part in layout.segments:
        for run in part if isinstance(part, tuple) else ():
            _check_run(header, run)
    open_ended = [info.name for info in layout.fields if info.variable and info.length_by is None]
    if len(open_ended) > 1:
        raise DeclarationError(
            f"{header}: {' and '.join(open_ended)} both take all that is left; give all but one a length field"
        )
    for kind, of in ((Checksum, None), (NextProtocol, None), (Length, "header")):
        same = [
            i.name
            for i in layout.fields
            if isinstance(i.derived, kind) and of in (None, getattr(i.derived, "of", 0))
        ]
        if len(same) > 1:
            raise DeclarationError(
                f"{header}: {' and '.join(same)} are derived by the same rule; only one can be"
            )
    if layout.by_rule(Length, "payload") is not None and layout.by_rule(Length, "packet") is not None:
        raise DeclarationError(
            f"{header}: both the payload's and the packet's length are declared; one must do"
        )


def _check_values(header: str, layout: Layout) -> None:
    """Refuse names used twice and overlays outside of the fixed fields."""
    names: set[str] = set()
    for info in (*layout.fields, *layout.views):
        if info.name in names:
            raise DeclarationError(f"{header}.{info.name}: declared twice")
        names.add(info.name)
    for view in layout.views:
        end = (view.offset or 0) + (view.width or 0)
        covered = [i for i in layout.fields if i.offset is not None and i.width is not None]
        last = max((i.offset + (i.width or 0) for i in covered if i.offset is not None), default=0)
        if view.width is None or end > last:
            raise DeclarationError(
                f"{header}.{view.name}: overlays bits up to {end}, the fixed fields end at {last}"
            )


def _check_run(header: str, run: Run) -> None:
    """Refuse a run that no sequence of machine words can hold."""
    for info in run.fields:
        aligned = len(run.fields) == 1
        if info.kind in ("bytes", "ip4", "ip6") and not aligned:
            raise DeclarationError(f"{header}.{info.name}: bytes and addresses start and end on byte borders")
        if info.byteorder == "little" and not aligned:
            raise DeclarationError(
                f"{header}.{info.name}: a little-endian field starts and ends on byte borders"
            )
        if (
            info.derived is not None
            and isinstance(info.derived, Checksum)
            and (info.width != 16 or not aligned)
        ):
            raise DeclarationError(f"{header}.{info.name}: an Internet checksum has 16 bits of its own")
    if run.size > 8 and len(run.fields) > 1:
        names = ", ".join(info.name for info in run.fields)
        raise DeclarationError(f"{header}: the run of bits {names} is longer than 64 bits")
