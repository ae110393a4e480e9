"""Socket options that every kernel link sets: buffers, path MTU discovery, filters, drop counters."""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from typing import TYPE_CHECKING, Final, Literal, SupportsBytes

from rawproto.errors import FilterError, OpError
from rawproto.link import linux

if TYPE_CHECKING:
    from typing import TypeAlias

    MTUDiscovery: TypeAlias = Literal["probe", "kernel", "off"]

__all__ = [
    "attach_filter",
    "include_header",
    "kernel_drops",
    "lock_filter",
    "set_buffer",
    "set_mtu_discovery",
]

_INSTRUCTION_SIZE: Final = 8  # struct sock_filter (linux/filter.h): u16 code, u8 jt, u8 jf, u32 k
_PROGRAM: Final = struct.Struct("@HP")  # struct sock_fprog: unsigned short len, struct sock_filter *filter

_DISCOVERY: Final = {
    "probe": linux.IP_PMTUDISC_PROBE,
    "kernel": linux.IP_PMTUDISC_DO,
    "off": linux.IP_PMTUDISC_DONT,
}


def set_buffer(sock: socket.socket, option: int, size: int) -> int:
    """Size a socket buffer (``SO_RCVBUF`` or ``SO_SNDBUF``) and return what the kernel granted, in bytes.

    Beyond the limits of net.core.rmem_max and wmem_max only with CAP_NET_ADMIN; without it as much as they allow.
    The kernel grants twice what is asked, for its own bookkeeping (socket(7)).
    """
    force = linux.SO_RCVBUFFORCE if option == socket.SO_RCVBUF else linux.SO_SNDBUFFORCE
    try:
        sock.setsockopt(socket.SOL_SOCKET, force, size)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, option, size)
    return sock.getsockopt(socket.SOL_SOCKET, option)


def set_mtu_discovery(sock: socket.socket, version: int, mode: MTUDiscovery) -> None:
    """Choose what becomes of datagrams larger than the path takes.

    "probe": never fragmented, and refused only above the interface's own MTU: for protocols that find the path MTU
    themselves (RFC 8899). "kernel": refused above the path MTU that the kernel has learnt. "off": fragmented.
    """
    if version == 4:
        sock.setsockopt(socket.IPPROTO_IP, linux.IP_MTU_DISCOVER, _DISCOVERY[mode])
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, linux.IPV6_MTU_DISCOVER, _DISCOVERY[mode])


def include_header(sock: socket.socket, version: int) -> None:
    """What is sent begins with its own IP header (raw(7); on IPv6 since Linux 4.5)."""
    if version == 4:
        sock.setsockopt(socket.IPPROTO_IP, linux.IP_HDRINCL, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, linux.IPV6_HDRINCL, 1)


def ask_for_transmit_times(sock: socket.socket) -> None:
    """Software timestamps of departures on the error queue, numbered from 0, without the packets (timestamping)."""
    flags = (
        linux.SOF_TIMESTAMPING_TX_SOFTWARE
        | linux.SOF_TIMESTAMPING_SOFTWARE
        | linux.SOF_TIMESTAMPING_OPT_ID
        | linux.SOF_TIMESTAMPING_OPT_TSONLY
    )
    sock.setsockopt(socket.SOL_SOCKET, linux.SO_TIMESTAMPING, flags)


def attach_filter(sock: socket.socket, program: SupportsBytes | None) -> None:
    """Replace the socket's classic BPF program in one step; None takes it off.

    Raises FilterError when the bytes are no program or the kernel does not accept it, and OpError (EPERM) when the
    filter was locked.
    """
    if program is None:
        try:
            sock.setsockopt(socket.SOL_SOCKET, linux.SO_DETACH_FILTER, 0)
        except FileNotFoundError:  # there was none
            pass
        except PermissionError as error:
            raise OpError("the filter is locked", op="filter", errno=errno.EPERM) from error
        return
    code = bytes(program)
    count, rest = divmod(len(code), _INSTRUCTION_SIZE)
    if rest or not count:
        raise FilterError(f"a filter program is whole 8-byte instructions, these are {len(code)} bytes")
    buffer = ctypes.create_string_buffer(code, len(code))
    try:
        sock.setsockopt(
            socket.SOL_SOCKET, linux.SO_ATTACH_FILTER, _PROGRAM.pack(count, ctypes.addressof(buffer))
        )
    except PermissionError as error:
        raise OpError("the filter is locked", op="filter", errno=errno.EPERM) from error
    except OSError as error:
        why = "too large for net.core.optmem_max" if error.errno == errno.ENOMEM else "invalid"
        raise FilterError(f"the kernel refuses the filter of {count} instructions as {why}") from error


def lock_filter(sock: socket.socket) -> None:
    """Make the attached filter final: whoever holds the socket can neither change nor remove it (socket(7))."""
    sock.setsockopt(socket.SOL_SOCKET, linux.SO_LOCK_FILTER, 1)


def kernel_drops(sock: socket.socket) -> int:
    """Datagrams dropped for want of room in the receive buffer since the socket was made; wraps at 2**32."""
    record = sock.getsockopt(socket.SOL_SOCKET, linux.SO_MEMINFO, 4 * linux.SK_MEMINFO_VARS)
    return int(struct.unpack(f"={len(record) // 4}I", record)[linux.SK_MEMINFO_DROPS])
