"""The kernel's token bucket (tc-tbf(8)) on an interface, made and changed by netlink; no `tc` binary.

pyroute2 encodes no size tables, and a token bucket counts Ethernet headers without one, so the two messages are packed
here. Everything acts in the network namespace of the calling thread.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from rawproto.link import netlink
from rawproto.link.netlink import attribute

if TYPE_CHECKING:
    from rawproto.lab.spec import Impairments

__all__ = ["WAKING_SIZE", "Counts", "clear", "read", "shape", "wake"]

_ACK, _REPLACE, _CREATE = 0x4, 0x100, 0x400  # include/uapi/linux/netlink.h

# include/uapi/linux/rtnetlink.h and pkt_sched.h
_NEW, _DELETE = 36, 37
_TC: Final = struct.Struct("=Bxxxi3I")  # struct tcmsg: family, interface, handle, parent, info
_KIND, _OPTIONS, _STAB = 1, 2, 8
_ROOT: Final = 0xFFFFFFFF
_BUCKET, _ITS_CLASS, _PACKETS, _OCTETS = 0x10000, 0x10001, 0x20000, 0x30000  # 1:, 1:1, 2: and 3: in tc(8)
_ETHERNET_LAYER: Final = 1
# struct tc_ratespec: cells, link layer, overhead, align, mpu, bytes/s
_RATE: Final = struct.Struct("=BBHhHI")
_REST: Final = struct.Struct("=3I")  # of struct tc_tbf_qopt: limit, buffer, mtu
_TBF_PARMS, _TBF_RATE64, _TBF_BURST = 1, 4, 6
_SIZES: Final = struct.Struct("=BBhiIIII")  # struct tc_sizespec; the fourth is the overhead
_INT: Final = struct.Struct("=I")
_MOST: Final = (1 << 32) - 1

_ETHERNET: Final = 14
WAKING_SIZE: Final = 46
"""Bytes behind the Ethernet header of the frame that :func:`wake` sends."""
# To no hardware address, of the EtherType for experiments (IEEE 802): whoever gets it drops it.
_NOBODYS_FRAME: Final = bytes(12) + b"\x88\xb5" + bytes(WAKING_SIZE)
# The bucket holds what the rate carries in this part of a second, so that a late timer loses nothing of it.
_BURST_PART: Final = 1000
# Of a direction without a rate, in bit/s: more than a veth pair carries.
_UNLIMITED: Final = 10**11


class Counts(NamedTuple):
    """What a token bucket counts.

    Attributes:
        dropped: packets that found no room since it was made.
        waiting: packets in it.
    """

    dropped: int
    waiting: int


def shape(interface: str, spec: Impairments, mtu: int) -> None:
    """Let packets out at ``spec.rate``, counted over whole IP packets, behind a queue of ``spec``'s limit.

    May be called again to change it. What waits stays, unless the limit changes from packets to bytes or back. When
    ``spec.up`` is false no more packets are taken in; those inside still leave.

    Raises:
        OSError: ENOENT when this kernel has no token bucket.
    """
    in_packets = spec.limit_packets is not None
    limit = 0 if not spec.up else min(spec.limit_packets or spec.limit_bytes or 0, _MOST)
    octets = (spec.rate or _UNLIMITED) // 8
    rate = _RATE.pack(0, _ETHERNET_LAYER, 0, 0, 0, min(octets, _MOST))
    # The kernel passes the limit on to the queue that is there, whatever it counts in.
    parameters = rate + bytes(_RATE.size) + _REST.pack(limit, 0, 0)
    options = attribute(_TBF_PARMS, parameters)
    options += attribute(_TBF_BURST, _INT.pack(min(mtu + octets // _BURST_PART, _MOST)))
    options += attribute(_TBF_RATE64, struct.pack("=Q", octets))
    # A size table takes the frame's header off.
    sizes = attribute(1, _SIZES.pack(0, 0, 0, -_ETHERNET, _ETHERNET_LAYER, 0, 0, 0))
    _make("tbf", interface, _ROOT, _BUCKET, options, attribute(_STAB, sizes))
    kind, handle = ("pfifo", _PACKETS) if in_packets else ("bfifo", _OCTETS)
    _make(kind, interface, _ITS_CLASS, handle, _INT.pack(limit))


def wake(interface: str) -> bool:
    """Have the kernel look at what waits, as it does when a frame is sent; gives whether there was room for the frame.

    Else it looks when the next packet was due at the rate before a change.
    """
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as sender:
        sender.bind((interface, 0))
        try:
            sender.send(_NOBODYS_FRAME)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            return False
    return True


def clear(interface: str) -> None:
    """Take the token bucket away, with what waits in it."""
    _talk(_DELETE, 0, interface, _ROOT, _BUCKET)


def read(interface: str) -> Counts:
    """The counters of the token bucket."""
    from pyroute2 import IPRoute

    with IPRoute() as ip:
        for found in ip.get_qdiscs(index=socket.if_nametoindex(interface)):
            if found["parent"] == _ROOT:
                counts = found.get_attr("TCA_STATS")
                return Counts(counts["drop"], counts["qlen"])
    return Counts(0, 0)


def _make(kind: str, interface: str, parent: int, handle: int, options: bytes, more: bytes = b"") -> None:
    attributes = attribute(_KIND, kind.encode() + b"\0") + attribute(_OPTIONS, options) + more
    _talk(_NEW, _CREATE | _REPLACE, interface, parent, handle, attributes)


def _talk(
    request: int, flags: int, interface: str, parent: int, handle: int, attributes: bytes = b""
) -> None:
    """Send one request and wait for the kernel's acknowledgement."""
    body = _TC.pack(0, socket.if_nametoindex(interface), handle, parent, 0) + attributes
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    with socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE) as talk:
        talk.send(netlink.message(request, netlink.REQUEST | _ACK | flags, 1, body))
        answer = talk.recv(8192)
    # The one answer is a struct nlmsgerr: the negated error number, 0 for success.
    (number,) = struct.unpack_from("=i", answer, netlink.HEADER.size)
    if number:
        raise OSError(-number, f"queueing discipline of {interface}: {os.strerror(-number)}")
