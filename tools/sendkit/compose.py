"""A datagram out of words: ``ipv4 dst=10.0.0.2 / udp sport=1 dport=9 / text hello``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rawproto import TCP, UDP, Datagram, EncodeError, IPv4, IPv6
from rawproto.rsp.checks import crc32
from rawproto.rsp.config import DEFAULT_PROTOCOL
from rawproto.rsp.header import LAYOUTS, Common, Kind
from rawproto.wire.field import REQUIRED, Checksum, NextProtocol

from ..failure import USAGE, Failure
from ..packetkit.values import from_hex, value_of
from ..packetkit.vocabulary import RSP, field_of

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from rawproto import FieldInfo, Header

    from ..packetkit.vocabulary import Vocabulary

__all__ = ["Layer", "Recipe", "recipe_of"]

_PAYLOADS = ("text", "hex", "file", "zeros")
_EPHEMERAL = (49152, 65535)
"""Ports for a sender without one of its own (RFC 6335 section 6)."""
_MOST_ZEROS = 65535


@dataclasses.dataclass
class Layer:
    """One header as it was asked for.

    Attributes:
        name: as it was typed.
        header: its class.
        values: what was given.
        wrong: derived fields that are to be anything but right.
        drawn: fields that are drawn anew for each datagram.
    """

    name: str
    header: type[Header]
    values: dict[str, Any] = dataclasses.field(default_factory=dict)
    wrong: list[FieldInfo] = dataclasses.field(default_factory=list)
    drawn: list[FieldInfo] = dataclasses.field(default_factory=list)

    def make(self, chance: random.Random) -> Header:
        """The header, its drawn fields drawn.

        Raises:
            Failure: a value is missing or does not fit.
        """
        values = dict(self.values)
        for info in self.drawn:
            values[info.name] = _draw(info, chance)
        if self.header in (TCP, UDP):
            values.setdefault("sport", chance.randint(*_EPHEMERAL))
        missing = [
            info.name for info in self.header.fields if info.default is REQUIRED and info.name not in values
        ]
        if missing:
            raise Failure(f"{self.name} needs {' and '.join(missing)}, as in {missing[0]}=...", USAGE)
        try:
            return self.header(**values)
        except EncodeError as error:
            raise Failure(f"{self.name}.{error.field or '?'}: {error.reason}", USAGE) from None


@dataclasses.dataclass
class Recipe:
    """What is to be sent: headers and a payload."""

    layers: list[Layer]
    payload: bytes = b""

    @property
    def varies(self) -> bool:
        """Whether each datagram is another one."""
        return any(
            layer.drawn or (layer.header in (TCP, UDP) and "sport" not in layer.values)
            for layer in self.layers
        )

    @property
    def outer(self) -> Layer | None:
        """The IP header, if the datagram begins with one."""
        first = self.layers[0] if self.layers else None
        return first if first is not None and first.header in (IPv4, IPv6) else None

    def make(self, chance: random.Random) -> Datagram:
        """One datagram, every value that is to be computed or wrong filled in."""
        headers = [layer.make(chance) for layer in self.layers]
        wanted = [
            (index, info) for index, layer in enumerate(self.layers) for info in layer.wrong
        ]  # a checksum covers what else is wrong, so it comes last
        for index, info in sorted(wanted, key=lambda pair: isinstance(pair[1].derived, Checksum)):
            setattr(headers[index], info.name, self._wrong(headers, index, info))
        self._seal(headers)
        return Datagram(tuple(headers), self.payload)

    def _wrong(self, headers: list[Header], index: int, info: FieldInfo) -> int:
        """Any value but the right one, and not zero, which says "absent" in a checksum."""
        if info.offset is None or info.width is None:
            place = f"{self.layers[index].name}.{info.name}"
            raise Failure(f"{place}: stands behind a field of variable length; give a number instead", USAGE)
        whole = bytes(Datagram(tuple(headers), self.payload))
        start = 8 * sum(len(bytes(header)) for header in headers[:index]) + info.offset
        # Read bit by bit: with another field wrong the header may be one that nobody can parse.
        beyond = 8 * len(whole) - start - info.width
        right = int.from_bytes(whole, "big") >> beyond & info.mask
        return ((right + 1) & info.mask or 1) * info.scale

    def _seal(self, headers: list[Header]) -> None:
        """Fill in the CRC of RSP, which its declaration does not compute."""
        for index, (layer, header) in enumerate(zip(self.layers, headers, strict=True)):
            if isinstance(header, Common) and "check" not in layer.values:
                inner = bytes(Datagram(tuple(headers[index:]), self.payload))
                header.check = crc32(inner)


def recipe_of(words: Sequence[str], vocabulary: Vocabulary) -> Recipe:
    """The recipe that ``words`` tell, layers parted by ``/``.

    Raises:
        Failure: a name or value cannot be; names the layer, the field and what is allowed.
    """
    recipe = Recipe([])
    ended = False
    for name, *rest in _groups(words):
        if name.lower() in _PAYLOADS:
            recipe.payload += _payload(name.lower(), rest)
            ended = True
        elif ended:
            raise Failure(f"nothing but a payload can follow a payload, and {name} is a header", USAGE)
        else:
            recipe.layers.append(_layer(name, rest, vocabulary))
    _check_protocols(recipe)
    return recipe


def _groups(words: Sequence[str]) -> list[list[str]]:
    groups: list[list[str]] = [[]]
    for word in words:
        if word == "/":
            groups.append([])
        else:
            groups[-1].append(word)
    if not all(groups):
        raise Failure("there is nothing between two '/', or at an end", USAGE)
    return groups


def _layer(name: str, words: Sequence[str], vocabulary: Vocabulary) -> Layer:
    header = vocabulary.find(name)
    given: dict[str, str] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            raise Failure(f"{name}: {word!r} is no FIELD=VALUE; the next header begins behind a '/'", USAGE)
        if key in given:
            raise Failure(f"{name}.{key} is given twice", USAGE)
        given[key] = text
    if header is Common:
        header = _rsp_header(name, given)
    layer = Layer(name, header)
    for key, text in given.items():
        _take(layer, field_of(header, key, name), text)
    return layer


def _rsp_header(name: str, given: dict[str, str]) -> type[Header]:
    """RSP's header for the kind that was asked for."""
    kind = value_of(field_of(Common, "kind", name), given.get("kind", "DATA"), f"{name}.kind")
    given.setdefault("kind", Kind.DATA.name)
    return LAYOUTS.get(int(kind), Common)


def _take(layer: Layer, info: FieldInfo, text: str) -> None:
    """Sort one value in."""
    place = f"{layer.name}.{info.name}"
    if text == "random":
        if info.kind in ("options", "list") or info.width is None:
            raise Failure(f"{place}: a field of fixed size can be random, this has none", USAGE)
        layer.drawn.append(info)
    elif text in ("auto", "wrong") and info.kind != "bytes":
        if info.derived is None:
            raise Failure(f"{place}: is not computed, so it cannot be {text}; give a value", USAGE)
        if text == "wrong":
            layer.wrong.append(info)
    else:
        layer.values[info.name] = value_of(info, text, place)


def _draw(info: FieldInfo, chance: random.Random) -> Any:
    if info.kind in ("bytes", "ip4", "ip6"):
        return chance.randbytes((info.width or 0) // 8)
    return chance.randint(0, info.mask) * info.scale


def _payload(name: str, words: Sequence[str]) -> bytes:
    text = " ".join(words)
    if not words:
        raise Failure(f"{name} of what? Put it behind the word", USAGE)
    if name == "text":
        return text.encode()
    if name == "hex":
        return from_hex(text, "hex")
    if name == "file":
        return Path(text).read_bytes()
    if not (text.isdecimal() and int(text) <= _MOST_ZEROS):
        raise Failure(f"zeros: {text!r} is no number of bytes from 0 to {_MOST_ZEROS}", USAGE)
    return bytes(int(text))


def _check_protocols(recipe: Recipe) -> None:
    """See that every field that names the next header can be filled in."""
    for index, layer in enumerate(recipe.layers):
        following = recipe.layers[index + 1] if index + 1 < len(recipe.layers) else None
        field = next((i for i in layer.header.fields if isinstance(i.derived, NextProtocol)), None)
        if field is None or field.name in layer.values or field in layer.drawn:
            continue
        if following is None and not recipe.payload:
            continue
        if following is not None and issubclass(following.header, Common):
            layer.values[field.name] = DEFAULT_PROTOCOL
        elif following is None or following.header.protocol_number is None:
            what = "a payload" if following is None else following.name
            raise Failure(
                f"{layer.name}.{field.name}: {what} has no protocol number of its own: "
                f"give one, as in {field.name}={DEFAULT_PROTOCOL}",
                USAGE,
            )
    if not recipe.layers and not recipe.payload:
        raise Failure(f"nothing to send: name headers, {RSP} among them, parted by '/'", USAGE)
