"""Filter expressions: ``tcp.flags & SYN and ipv4.dst == 10.0.0.0/8``, compiled to what the kernel runs.

    expression  = term { "or" term }
    term        = factor { "and" factor }
    factor      = "not" factor | "(" expression ")" | test
    test        = HEADER | FIELD operator value | "host" ADDRESS | "port" NUMBER
    FIELD       = HEADER "." NAME
    operator    = "==" | "=" | "!=" | "<" | "<=" | ">" | ">=" | "&" | "in"
    value       = a number, name, address, network, or behind "in" several with commas, "{}" around them at will

A header is looked for where its protocol number is announced: behind IPv4 with or without options, and behind IPv6
without extension headers. ``&`` takes packets in which all the flags named are set.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from rawproto import ICMP, TCP, UDP, AddrError, FilterError, ICMPv6, IPv4, IPv6, parse_cidr, parse_ip
from rawproto.rsp.config import DEFAULT_PROTOCOL
from rawproto.rsp.header import LAYOUTS, Common
from rawproto.wire.bpf import Masked

from ..failure import USAGE, Failure
from .values import value_of
from .vocabulary import Vocabulary, field_of

if TYPE_CHECKING:
    from rawproto import BPFProgram, FieldInfo, Header

__all__ = ["compile_expression"]

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<operator>==|!=|<=|>=|&&|\|\||[=<>&!(){},])|(?P<word>[A-Za-z0-9_.:/|+%\[\]-]+))"
)
_COMPARISONS: Final = ("==", "=", "!=", "<", "<=", ">", ">=", "&", "in")
_SYNONYMS: Final = {"&&": "and", "||": "or", "!": "not"}


def compile_expression(text: str, vocabulary: Vocabulary) -> BPFProgram:
    """The program that takes the packets for which ``text`` holds; it sees them from the IP header on.

    Raises:
        Failure: the expression cannot be; says where and what is allowed.
    """
    reader = _Reader(text, vocabulary)
    try:
        return reader.whole()
    except FilterError as error:
        raise Failure(f"filter {text!r}: {error}", USAGE) from error


class _Reader:
    """Recursive descent over the words of an expression."""

    def __init__(self, text: str, vocabulary: Vocabulary) -> None:
        self._text = text
        self._vocabulary = vocabulary
        self._tokens: list[tuple[str, int]] = []
        place = 0
        while place < len(text.rstrip()):
            found = _TOKEN.match(text, place)
            if found is None:
                raise self._wrong(f"{text[place:].strip()[:1]!r} means nothing", place)
            word = found["operator"] or found["word"]
            self._tokens.append((_SYNONYMS.get(word, word), found.start(found.lastgroup or 0)))
            place = found.end()
        self._next = 0

    def whole(self) -> BPFProgram:
        """The expression, to its end."""
        if not self._tokens:
            raise Failure("the filter is empty", USAGE)
        program = self._expression()
        if self._peek():
            raise self._wrong(f"{self._peek()!r} is out of place; join tests with 'and' or 'or'")
        return program

    def _wrong(self, reason: str, place: int | None = None) -> Failure:
        if place is None:
            place = self._tokens[self._next][1] if self._next < len(self._tokens) else len(self._text)
        return Failure(f"filter: {reason}\n  {self._text}\n  {' ' * place}^", USAGE)

    def _peek(self) -> str:
        return self._tokens[self._next][0] if self._next < len(self._tokens) else ""

    def _take(self) -> str:
        word = self._peek()
        self._next += 1
        return word

    def _expression(self) -> BPFProgram:
        program = self._term()
        while self._peek() == "or":
            self._take()
            program = program | self._term()
        return program

    def _term(self) -> BPFProgram:
        program = self._factor()
        while self._peek() == "and":
            self._take()
            program = program & self._factor()
        return program

    def _factor(self) -> BPFProgram:
        word = self._peek()
        if word == "not":
            self._take()
            return ~self._factor()
        if word == "(":
            self._take()
            program = self._expression()
            if self._take() != ")":
                self._next -= 1
                raise self._wrong("')' is missing")
            return program
        return self._test()

    def _test(self) -> BPFProgram:
        word = self._peek()
        if not word or not (word[0].isalnum() or word[0] == "_"):
            raise self._wrong("a test is missing, such as tcp.dport == 80")
        if word == "host":
            self._take()
            return self._host(self._value())
        if word == "port":
            self._take()
            return self._port(self._value())
        name, dot, field = word.partition(".")
        try:
            header = self._vocabulary.find(name)
            info = field_of(_with_fields(header, field), field, name) if dot else None
        except Failure as error:
            raise self._wrong(error.message) from None
        self._take()
        if info is None:
            if self._peek() in _COMPARISONS:
                raise self._wrong(f"{name} is a header: compare one of its fields, as in {name}.FIELD == ...")
            return _placed(header, {})
        if self._peek() not in _COMPARISONS:
            raise self._wrong(f"{word} is to be compared: {word} == ...")
        return self._comparison(_with_fields(header, field), info, word, self._take())

    def _value(self) -> str:
        word = self._peek()
        if not word or word in (*_COMPARISONS, "and", "or", "not", "(", ")"):
            raise self._wrong("a value is missing")
        return self._take()

    def _comparison(self, header: type[Header], info: FieldInfo, place: str, operator: str) -> BPFProgram:
        if operator == "in":
            return self._members(header, info, place)
        at = self._next
        text = self._value()
        try:
            wanted = _wanted(info, text, place, operator)
            program = _placed(header, {info.name: wanted})
        except (Failure, FilterError) as error:
            self._next = at
            raise self._wrong(getattr(error, "message", str(error))) from None
        return _placed(header, {}) & ~program if operator == "!=" else program

    def _members(self, header: type[Header], info: FieldInfo, place: str) -> BPFProgram:
        braced = self._peek() == "{"
        self._next += braced
        values = []
        while True:
            at = self._next
            try:
                values.append(_wanted(info, self._value(), place, "=="))
            except Failure as error:
                self._next = at
                raise self._wrong(error.message) from None
            mark = self._peek()
            self._next += mark == "," or (braced and mark == "}")
            if mark != ",":
                if braced and mark != "}":
                    raise self._wrong("',' or '}' is missing")
                return _placed(header, {info.name: values})

    def _host(self, text: str) -> BPFProgram:
        try:
            address = parse_cidr(text)[0] if "/" in text else parse_ip(text)
        except AddrError:
            self._next -= 1
            raise self._wrong(f"host: {text!r} is neither an address nor a network") from None
        ip = IPv4 if address.version == 4 else IPv6
        both: BPFProgram = ip.filter(src=text) | ip.filter(dst=text)
        return both

    def _port(self, text: str) -> BPFProgram:
        if not (text.isdecimal() and int(text) <= 65535):
            self._next -= 1
            raise self._wrong(f"port: {text!r} is no number from 0 to 65535")
        programs = [
            _placed(header, {side: int(text)}) for header in (TCP, UDP) for side in ("sport", "dport")
        ]
        programs.append(_placed(Common, {"port": int(text)}))
        first, *rest = programs
        for program in rest:
            first = first | program
        return first


def _with_fields(header: type[Header], field: str) -> type[Header]:
    """The header itself; for RSP, the kind of packet that has the field."""
    if header is not Common or any(info.name == field for info in Common.fields):
        return header
    for variant in LAYOUTS.values():
        if any(info.name == field for info in variant.fields):
            return variant
    return header


def _wanted(info: FieldInfo, text: str, place: str, operator: str) -> Any:
    """What a field must be, in the words of :meth:`Header.filter`."""
    if info.kind in ("ip4", "ip6"):
        if operator not in ("==", "=", "!="):
            raise Failure(f"{place}: addresses are compared with == and != only", USAGE)
        return text if "/" in text else value_of(info, text, place)
    low, dash, high = text.partition("-")
    if operator in ("==", "=", "!=") and dash and low[:1].isdigit() and high[:1].isdigit():
        return (value_of(info, low, place), value_of(info, high, place))
    value = value_of(info, text, place)
    if operator in ("==", "=", "!="):
        return value
    if isinstance(value, bytes | tuple):
        raise Failure(f"{place}: is no number; compare it with == or !=", USAGE)
    number = int(value)
    if operator == "&":
        raw = number // info.scale
        return Masked(raw, raw)
    low_end, high_end = {
        "<": (None, number - info.scale),
        "<=": (None, number),
        ">": (number + info.scale, None),
        ">=": (number, None),
    }[operator]
    return (low_end, high_end)


def _placed(header: type[Header], wanted: dict[str, Any]) -> BPFProgram:
    """The filter for a header where IP announces it; RSP's kinds are looked for, too."""
    if header in (IPv4, IPv6):
        program: BPFProgram = header.filter(**wanted)
        return program
    number = header.protocol_number
    if issubclass(header, Common):
        number = DEFAULT_PROTOCOL
        if header is not Common:
            kinds = [kind for kind, variant in LAYOUTS.items() if variant is header]
            wanted = {"kind": kinds, **wanted} if "kind" not in wanted else wanted
    if number is None:
        raise FilterError(f"{header.__name__} has no protocol number, so it cannot be found in a packet")
    programs: list[BPFProgram] = []
    if header is not ICMPv6:
        programs.append(IPv4.filter(protocol=number) & header.filter(base="ipv4", **wanted))
    if header is not ICMP:
        programs.append(IPv6.filter(next_header=number) & header.filter(base="ipv6", **wanted))
    return programs[0] if len(programs) == 1 else programs[0] | programs[1]
