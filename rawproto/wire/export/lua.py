"""A Wireshark dissector, in Lua, out of a declaration.

Save it as ``NAME.lua`` in Wireshark's plugin folder, or try it with ``tshark -X lua_script:NAME.lua -r FILE``. Every
field can be filtered on as ``name.field``; lengths, constants and checksums are checked, and what is wrong is marked.

Lua written behind the script may use its ``proto``, ``abbreviation``, ``cut``, ``wrong_sum`` and
``complain(item, text)``, and put another function in the place of ``choose``, which gives the function that takes a
packet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto.errors import DeclarationError
from rawproto.wire.export.lua_fields import FieldTable, lua_string
from rawproto.wire.export.lua_header import Functions, element
from rawproto.wire.export.lua_prelude import PRELUDE
from rawproto.wire.registry import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rawproto.wire.header import Header

__all__ = ["dissector"]


def dissector(
    header: type[Header],
    *,
    name: str | None = None,
    protocol: int | None = None,
    udp_port: int | None = None,
    by: str | None = None,
    variants: Mapping[int, type[Header]] | None = None,
) -> str:
    """The text of a dissector.

    Args:
        header: the header every packet begins with.
        name: the protocol's name; by default the class's. In lower case it is what filters begin with.
        protocol: IP protocol number to register for; by default the header's own. The numbers of built-in headers stay
            with Wireshark's own dissectors.
        udp_port: UDP port to register for, too. "Decode as" is possible for every port.
        by: field of ``header`` that tells which of ``variants`` a packet is.
        variants: number in that field to the header class, which begins with the fields of ``header``.

    Raises:
        DeclarationError: ``by`` is no number at a fixed place, or a variant does not begin with ``header``.
    """
    title = name or header.__name__
    fields = FieldTable(title.lower())
    functions = Functions(fields)
    base = functions.header(header)
    calls = {number: functions.header(cls) for number, cls in sorted((variants or {}).items())}
    for cls in (variants or {}).values():
        if not issubclass(cls, header):
            raise DeclarationError(f"{cls.__name__} does not begin with the fields of {header.__name__}")
    return "\n".join(
        [
            f"-- {title}: a Wireshark dissector made from its declaration by rawproto.",
            f"local abbreviation = {lua_string(fields.abbreviation)}",
            f"local free, proto = pcall(Proto, abbreviation, {lua_string(title)})",
            "-- Wireshark may know another protocol by that name.",
            f"if not free then proto = Proto('rawproto.' .. abbreviation, {lua_string('rawproto ' + title)}) end",
            *fields.lines(),
            "",
            PRELUDE,
            *functions.lines,
            *_choice(header, base, by, calls),
            "",
            *_main(header, title),
            "",
            *_registration(header, protocol, udp_port),
            "",
        ]
    )


def _choice(header: type[Header], base: str, by: str | None, calls: Mapping[int, str]) -> list[str]:
    """The function that takes the packet, chosen by a field where there are variants."""
    if by is None or not calls:
        return ["local function choose(b)", f"    return {base}", "end"]
    info = next((info for info in header.fields if info.name == by), None)
    if info is None or info.offset is None or info.width is None or info.width > 32:
        raise DeclarationError(f"{header.__name__}.{by} is no number at a fixed place to tell variants by")
    start, bit = divmod(info.offset, 8)
    size = (bit + info.width + 7) // 8
    read = "le_uint()" if info.byteorder == "little" else f"bitfield({bit}, {info.width})"
    table = ", ".join(f"[{int(number)}] = {call}" for number, call in calls.items())
    return [
        f"local variants = {{ {table} }}",
        "local function choose(b)",
        f"    if b:len() < {start + size} then return {base} end",
        f"    return variants[b({start}, {size}):{read}] or {base}",
        "end",
    ]


def _main(header: type[Header], title: str) -> list[str]:
    """The entry point: one header, then whatever follows it."""
    following = []
    if header._next_field is not None:
        following = [
            f"    local number = {element('values', header._next_field)}",
            '    if DissectorTable.get("ip.proto"):try(number, rest, pinfo, root) > 0 then return limit end',
        ]
    return [
        "function proto.dissector(b, pinfo, root)",
        f"    pinfo.cols.protocol = {lua_string(title)}",
        "    cut = b:len() < b:reported_len()",
        "    local tree = root:add(proto, b())",
        "    local words = {}",
        "    local function note(field, value) words[#words + 1] = field .. '=' .. tostring(value) end",
        "    local finish, limit, values = choose(b)(b, 0, b:len(), tree, pinfo, note)",
        "    pinfo.cols.info = table.concat(words, ' ', 1, math.min(#words, 8))",
        "    if not finish then return b:len() end",
        "    tree:set_len(finish)",
        "    if limit <= finish then return finish end",
        "    local rest = b(finish, limit - finish):tvb()",
        *following,
        '    Dissector.get("data"):call(rest, pinfo, root)',
        "    return limit",
        "end",
    ]


def _registration(header: type[Header], protocol: int | None, udp_port: int | None) -> list[str]:
    number = protocol if protocol is not None else header.protocol_number
    lines = []
    if number is not None and number not in BUILT_IN:
        lines.append(f'DissectorTable.get("ip.proto"):add({number}, proto)')
    if udp_port is not None:
        lines.append(f'DissectorTable.get("udp.port"):add({udp_port}, proto)')
    lines.append('DissectorTable.get("udp.port"):add_for_decode_as(proto)')
    return lines
