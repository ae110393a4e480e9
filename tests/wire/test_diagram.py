"""Headers drawn as in RFCs."""

from typing import Annotated

from rawproto import ICMP, TCP, Header, IPv4, IPv6
from rawproto.wire.types import (
    Constant,
    bits,
    declare,
    fixed,
    flag,
    flags8,
    length8,
    opaque,
    u8,
    u16,
    u16le,
    u32,
    u48,
)

TCP_DRAWN = """\
    0                   1                   2                   3
    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
   |             sport             |             dport             |
   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
   |                              seq                              |
   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
   |                              ack                              |
   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
   |   A   |  B  |      flags      |             window            |
   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
   |            checksum           |             urgent            |
   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
   /                          options ...                          /
   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

   A: data_offset
   B: reserved
   flags: AE=0x100 CWR=0x80 ECE=0x40 URG=0x20 ACK=0x10 PSH=0x8 RST=0x4 SYN=0x2 FIN=0x1
"""


def test_tcp_looks_as_in_its_rfc():
    assert TCP.diagram() == TCP_DRAWN


class Crooked(Header):
    magic: Annotated[int, u8, Constant(7)]
    odd: Annotated[int, bits(5)]
    last: Annotated[bool, flag] = declare(doc="the last one")
    rest: Annotated[int, bits(2)]
    long: u48
    turned: u16le
    marks: Annotated[int, flags8("UP", "DOWN")]
    name_size: Annotated[int, length8("name")]
    name: opaque
    tail: u16


CROOKED_DRAWN = """\
    0                   1                   2                   3
    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
   |     magic     |   odd   |A| B |                               |
   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+                               +
   |                              long                             |
   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
   |             turned            |     marks     |   name_size   |
   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
   /                            name ...                           /
   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
   |              tail             |
   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

   magic: always 7
   A: last (the last one)
   B: rest
   turned: little-endian
   marks: DOWN=0x2 UP=0x1
"""


def test_every_kind_of_field_has_its_place_and_its_note():
    assert Crooked.diagram() == CROOKED_DRAWN


def test_a_field_over_several_rows_is_one_box_with_its_name_in_the_middle():
    lines = IPv6.diagram().splitlines()
    source = next(index for index, line in enumerate(lines) if " src " in line)
    assert lines[source - 1].strip() == "+" + " " * 63 + "+"
    assert lines[source + 1] == lines[source - 1]


def test_every_row_has_one_width_and_every_field_is_named():
    class Wide(Header):
        body: Annotated[bytes, fixed(9)]
        number: u32

    for header in (IPv4, IPv6, TCP, ICMP, Crooked, Wide):
        text = header.diagram()
        for info in (*header.fields, *header.views):
            assert info.name in text
        drawn = [line for line in text.splitlines() if line[3:4] in "+|/" and line.strip()]
        assert all(line[-1] in "+|/" for line in drawn)


def test_views_are_named():
    assert "mtu: also bits 48 to 63" in ICMP.diagram()
