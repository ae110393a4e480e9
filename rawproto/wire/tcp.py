"""The TCP header (RFC 9293)."""

from __future__ import annotations

from typing import Annotated, Any

from rawproto.wire.flags import Flag, Flags
from rawproto.wire.header import Header
from rawproto.wire.tcp_options import TCP_OPTIONS
from rawproto.wire.types import bits, declare, flag_bits, length_bits, pseudo_checksum16, u16, u32
from rawproto.wire.types import options as options_in

__all__ = ["TCP", "TCPFlags"]


class TCPFlags(Flags):
    """The control bits (RFC 9293 section 3.1; AE: RFC 9768)."""

    FIN = Flag(0)
    SYN = Flag(1)
    RST = Flag(2)
    PSH = Flag(3)
    ACK = Flag(4)
    URG = Flag(5)
    ECE = Flag(6)
    CWR = Flag(7)
    AE = Flag(8)


class TCP(Header, protocol=6):
    """The TCP header with its options (RFC 9293 section 3.1)."""

    sport: u16
    dport: u16
    seq: u32 = 0
    ack: u32 = 0
    data_offset: Annotated[int | None, length_bits(4, "header", unit=4)] = declare(default=None, kw_only=True)
    reserved: Annotated[int, bits(3)] = declare(default=0, kw_only=True)
    flags: Annotated[Any, flag_bits(9, TCPFlags)] = 0
    window: u16 = 65535
    checksum: pseudo_checksum16 = declare(default=None, kw_only=True)
    urgent: u16 = 0
    options: Annotated[tuple[Any, ...], options_in(TCP_OPTIONS)] = ()
