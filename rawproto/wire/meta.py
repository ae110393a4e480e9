"""The metaclass of headers: reads a class body, lays its fields out, compiles their codec when it is first used."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Any, dataclass_transform

from rawproto.errors import DeclarationError, DecodeError
from rawproto.wire import registry
from rawproto.wire.codec import compile_codec
from rawproto.wire.codec_base import covered
from rawproto.wire.field import FieldInfo, NextProtocol
from rawproto.wire.layout import Layout, lay_out, read_fields
from rawproto.wire.runtime import view_number, view_value
from rawproto.wire.types import declare

if TYPE_CHECKING:
    import inspect
    from collections.abc import Mapping

    import numpy as np

__all__ = ["HeaderMeta"]


@dataclass_transform(field_specifiers=(declare,))
class HeaderMeta(type):
    """Reads the fields of a class body, lays them out and compiles their codec."""

    fields: tuple[FieldInfo, ...]
    views: tuple[FieldInfo, ...]
    size: int
    protocol_number: int | None
    _layout: Layout
    _source: str
    _empty_next: int
    _following: Any
    _next_field: str | None

    def __new__(
        mcls,
        name: str,
        bases: tuple[type, ...],
        body: dict[str, Any],
        *,
        protocol: int | None = None,
        empty_next: int | None = None,
        **constants: int,
    ) -> HeaderMeta:
        """Make a header class.

        Args:
            name: as ``type`` takes it.
            bases: as ``type`` takes it; fields of a base header come first.
            body: as ``type`` takes it.
            protocol: IP protocol number (0 to 255) that announces this header.
            empty_next: what a next-protocol field says when nothing follows; 59 ("no next header", RFC 8200
                section 4.7) unless a base says otherwise.
            constants: values that inherited fields are fixed to, as in ``class MSS(TCPOption, kind=2)``.

        Raises:
            DeclarationError: the fields cannot be; says which and why.
        """
        if protocol is not None and not (isinstance(protocol, int) and 0 <= protocol <= 255):
            raise DeclarationError(f"{name}: protocol is {protocol!r}, must be a number from 0 to 255")
        own = _own_fields(name, body)
        inherited = _inherited_fields(name, bases, constants)
        _refuse_reserved(name, bases, own)
        stored = tuple(info.name for info in own if not info.overlays)
        for info in own:
            body.pop(info.name, None)
        body["__slots__"] = stored if inherited or bases else (*stored, "_origin")
        layout = lay_out(name, [*inherited, *own])
        body |= {"fields": layout.fields, "views": layout.views, "size": layout.size, "_layout": layout}
        body |= {view.name: _view_property(view, layout, name) for view in layout.views}
        cls = super().__new__(mcls, name, bases, body)
        number = protocol if protocol is not None else getattr(cls, "protocol_number", None)
        cls.protocol_number = number
        cls._empty_next = getattr(cls, "_empty_next", 59) if empty_next is None else empty_next
        next_field = layout.by_rule(NextProtocol)
        cls._next_field = None if next_field is None else next_field.name
        if next_field is None and "_following" not in body:
            cls._following = None  # nothing to ask: spares a call for each header parsed
        _postpone(cls)
        if protocol is not None:
            registry.register(protocol, cls)
        return cls

    @property
    def __signature__(cls) -> inspect.Signature:
        """The constructor's parameters, for help() and editors."""
        import inspect

        cls._compile()
        signature = inspect.signature(vars(cls).get("_init_all", vars(cls)["__init__"]))
        return signature.replace(parameters=list(signature.parameters.values())[1:])

    def _compile(cls) -> None:
        """Compile the codec, unless that was done."""
        if "_source" not in vars(cls):
            functions, cls._source = compile_codec(
                cls.__name__, cls._layout, cls.protocol_number, cls._empty_next
            )
            _install(cls, functions)

    @property
    def dtype(cls) -> np.dtype[Any]:
        """The fixed part as a big-endian numpy structured dtype; see :mod:`rawproto.wire.dtype`."""
        from rawproto.wire.dtype import dtype_of

        return dtype_of(cls)


def _own_fields(name: str, body: dict[str, Any]) -> list[FieldInfo]:
    """The fields of a class body, its annotations evaluated where the class statement stands."""
    annotations = body.get("__annotations__")
    if annotations is None and sys.version_info >= (3, 14):  # PEP 649: annotations come from a function
        import annotationlib

        annotate = annotationlib.get_annotate_from_class_namespace(body)
        if annotate is not None:
            annotations = annotationlib.call_annotate_function(annotate, annotationlib.Format.VALUE)
    frame = sys._getframe(2)
    # Field names are left out: `options: options(...)` means the type, not the default assigned to the name.
    names = {key: value for key, value in body.items() if key not in (annotations or {})}
    return read_fields(name, annotations or {}, body, (frame.f_globals, {**frame.f_locals, **names}))


def _inherited_fields(name: str, bases: tuple[type, ...], constants: Mapping[str, int]) -> list[FieldInfo]:
    """The fields of the base headers, those named in ``constants`` fixed."""
    fields = [info for base in bases for info in (*getattr(base, "fields", ()), *getattr(base, "views", ()))]
    unknown = set(constants) - {info.name for info in fields}
    if unknown:
        raise DeclarationError(
            f"{name}: {', '.join(sorted(unknown))} is no field of a base, so it cannot be fixed"
        )
    return [
        dataclasses.replace(info, constant=constants[info.name], default=constants[info.name], kw_only=True)
        if info.name in constants
        else info
        for info in fields
    ]


def _refuse_reserved(name: str, bases: tuple[type, ...], own: list[FieldInfo]) -> None:
    """Refuse fields that would hide a method of Header or a field of a base."""
    for info in own:
        for base in bases:
            if hasattr(base, info.name):
                raise DeclarationError(
                    f"{name}.{info.name}: the name is taken by {base.__name__}.{info.name}"
                )
        if bases and info.name in HeaderMeta.__annotations__:
            raise DeclarationError(f"{name}.{info.name}: the name is taken by Header.{info.name}")


def _view_property(view: FieldInfo, layout: Layout, header: str) -> property:
    """Attribute that reads and writes the bits of other fields."""
    parts = [
        (info.name, low, shift, (1 << count) - 1)
        for info, low, shift, count in covered(layout.fields, view.offset or 0, view.width or 0)
    ]
    to_value, to_number = view_value(view), view_number(view, header)

    def read(self: Any) -> Any:
        bits = 0
        for name, low, shift, mask in parts:
            bits |= (getattr(self, name) >> low & mask) << shift
        return to_value(bits)

    def write(self: Any, value: Any) -> None:
        bits = to_number(value)
        for name, low, shift, mask in parts:
            kept = getattr(self, name) & ~(mask << low)
            setattr(self, name, kept | (bits >> shift & mask) << low)

    return property(read, write, doc=view.doc or None)


def _postpone(cls: Any) -> None:
    """Put functions on the class that compile the codec when one of them is first called.

    Most programs use few of the many option and message types: importing them costs no compilation.
    """

    def __init__(self: Any, *args: Any, **values: Any) -> None:  # noqa: N807 - becomes the method
        cls._compile()
        cls.__init__(self, *args, **values)

    def _encode(
        self: Any, payload: bytes, number: int | None, addresses: int | None, inner: Any = None
    ) -> Any:
        cls._compile()
        return cls._encode(self, payload, number, addresses, inner)

    def _decode(buffer: bytes, start: int, end: int, quoted: bool = False) -> Any:
        cls._compile()
        return cls._decode(buffer, start, end, quoted)

    cls.__init__ = __init__
    cls._encode = _encode
    cls._decode = staticmethod(_decode) if vars(cls).get("_choose") is None else staticmethod(_chooser(cls))


def _chooser(cls: Any) -> Any:
    """A decoder for a base of several headers: tries the class its ``_choose`` names, then its ``_other``."""

    def _decode(buffer: bytes, start: int, end: int, quoted: bool = False) -> Any:
        chosen = cls._choose(buffer, start, end)
        if chosen is not None:
            try:
                return chosen._decode(buffer, start, end, quoted)
            except DecodeError:
                pass
        return cls._other._decode(buffer, start, end, quoted)

    return _decode


def _install(cls: Any, functions: Mapping[str, Any]) -> None:
    """Put the compiled functions on the class."""
    functions["_names"]["cls"] = cls
    for key in functions.keys() & {"__init__", "_init_all", "_encode"}:
        function = functions[key]
        # Its name is seen in Python's own errors about parameters.
        function.__qualname__ = f"{cls.__qualname__}.{key.replace('_init_all', '__init__')}"
        function.__module__ = cls.__module__
        setattr(cls, key, function)
    if vars(cls).get("_choose") is None:
        cls._decode = staticmethod(functions["_decode"])
