"""Linux numbers that Python's socket module lacks, and the system calls it has no name for.

The numbers are those of the kernel's user-space headers (the file is named at each group); they are the same on
every architecture Python runs on except where ``asm-generic`` is replaced (alpha, mips, parisc, sparc), which the
import refuses.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["recvmmsg", "sendmmsg"]

if platform.machine().startswith(("alpha", "mips", "parisc", "sparc")):  # pragma: no cover - exotic machines
    raise ImportError(f"rawproto.link does not know the socket numbers of {platform.machine()}")

# asm-generic/socket.h
SO_RCVBUFFORCE = 33
SO_SNDBUFFORCE = 32
SO_ATTACH_FILTER = 26
SO_DETACH_FILTER = 27
SO_LOCK_FILTER = 44
SO_MEMINFO = 55
SO_TIMESTAMPNS = 35
SCM_TIMESTAMPNS = SO_TIMESTAMPNS
SO_TIMESTAMPING = 37
SCM_TIMESTAMPING = SO_TIMESTAMPING

# linux/sock_diag.h: index of the drop counter in the array that SO_MEMINFO gives
SK_MEMINFO_DROPS = 8
SK_MEMINFO_VARS = 9

# linux/net_tstamp.h
SOF_TIMESTAMPING_TX_SOFTWARE = 1 << 1
SOF_TIMESTAMPING_SOFTWARE = 1 << 4
SOF_TIMESTAMPING_OPT_ID = 1 << 7
SOF_TIMESTAMPING_OPT_TSONLY = 1 << 11

# linux/in.h
IP_TTL = 2
IP_HDRINCL = 3
IP_PKTINFO = 8
IP_MTU_DISCOVER = 10
IP_RECVERR = 11
IP_RECVTTL = 12
IP_RECVTOS = 13
IP_MTU = 14
IP_RECVERR_RFC4884 = 26
IP_PMTUDISC_DONT = 0
IP_PMTUDISC_DO = 2
IP_PMTUDISC_PROBE = 3

# linux/in6.h
IPV6_FLOWINFO = 11
IPV6_MTU_DISCOVER = 23
IPV6_MTU = 24
IPV6_RECVERR = 25
IPV6_RECVERR_RFC4884 = 31
IPV6_HDRINCL = 36
IPV6_RECVPKTINFO = 49
IPV6_PKTINFO = 50
IPV6_RECVHOPLIMIT = 51
IPV6_HOPLIMIT = 52
IPV6_RECVTCLASS = 66
IPV6_TCLASS = 67

# linux/socket.h
SOL_RAW = 255

# linux/udp.h
SOL_UDP = 17
UDP_SEGMENT = 103
UDP_GRO = 104
UDP_MAX_SEGMENTS = 64
"""Segments a call may hold; newer kernels take 128, all take 64."""

# linux/errqueue.h
SO_EE_ORIGIN_LOCAL = 1
SO_EE_ORIGIN_ICMP = 2
SO_EE_ORIGIN_ICMP6 = 3
SO_EE_ORIGIN_TIMESTAMPING = 4

# linux/if_ether.h and linux/if_packet.h
ETH_P_ALL = 0x0003
ETH_P_IP = 0x0800
ETH_P_IPV6 = 0x86DD
SOL_PACKET = 263
PACKET_STATISTICS = 6
PACKET_QDISC_BYPASS = 20
PACKET_IGNORE_OUTGOING = 23
PACKET_OUTGOING = 4

# struct msghdr (bits/socket.h), which struct mmsghdr begins with: name, its length, iovecs, their number, control
# data, its length, flags; padded to whole pointers
_MESSAGE_SIZE = struct.calcsize("@PIPNPNi0P")

_libc = ctypes.CDLL(None, use_errno=True)

_sendmmsg = _libc.sendmmsg
_sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
_sendmmsg.restype = ctypes.c_int
_sendmsg = _libc.sendmsg
_sendmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
_sendmsg.restype = ctypes.c_ssize_t
_recvmsg = _libc.recvmsg
_recvmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
_recvmsg.restype = ctypes.c_ssize_t
_recvmmsg = _libc.recvmmsg
_recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
_recvmmsg.restype = ctypes.c_int


def sendmmsg(fd: int, table: int, count: int, flags: int) -> int:
    """Messages the kernel took (sendmmsg, section 2 of the manual), or the negated errno when the first was not."""
    while True:
        taken: int = _sendmmsg(fd, table, count, flags)
        if taken >= 0:
            return taken
        number = ctypes.get_errno()
        if number == errno.ENOSYS:
            return _one(_sendmsg, fd, table, flags)
        if number != errno.EINTR:
            return -number


def recvmmsg(fd: int, table: int, count: int, flags: int) -> int:
    """Messages received without waiting for more (recvmmsg, section 2 of the manual), or the negated errno."""
    while True:
        arrived: int = _recvmmsg(fd, table, count, flags, None)
        if arrived >= 0:
            return arrived
        number = ctypes.get_errno()
        if number == errno.ENOSYS:
            return _one(_recvmsg, fd, table, flags)
        if number != errno.EINTR:
            return -number


def _one(call: Callable[[int, int, int], int], fd: int, table: int, flags: int) -> int:
    """The first message alone, where a sandbox has no calls for many: 1, or the negated errno."""
    while True:
        size = call(fd, table, flags)
        if size >= 0:
            ctypes.c_uint.from_address(table + _MESSAGE_SIZE).value = size
            return 1
        number = ctypes.get_errno()
        if number != errno.EINTR:
            return -number
