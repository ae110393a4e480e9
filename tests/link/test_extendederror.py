"""The kernel's struct sock_extended_err: built here by hand, field by field, and read back."""

from __future__ import annotations

import errno
import socket
import struct
import sys

import pytest

from rawproto.link.extendederror import ExtendedError
from rawproto.link.linux import SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6, SO_EE_ORIGIN_LOCAL

FROM_V4 = struct.pack("=H2s4s8s", socket.AF_INET, b"", bytes((192, 0, 2, 1)), b"")
FROM_V6 = struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, socket.inet_pton(socket.AF_INET6, "2001:db8::1"), 3)


def built(
    number: int = errno.EHOSTUNREACH, origin: int = SO_EE_ORIGIN_ICMP, *, data: bytes = bytes(4), rest: bytes
) -> bytes:
    return struct.pack("=IBBBBI4s", number, origin, 11, 0, 0xFF, 1400, data) + rest


@pytest.mark.parametrize(("rest", "address"), [(FROM_V4, "192.0.2.1"), (FROM_V6, "2001:db8::1"), (b"", "")])
def test_every_field_is_where_the_kernel_has_it(rest: bytes, address: str) -> None:
    error = ExtendedError.parse(built(rest=rest, data=(7).to_bytes(4, sys.byteorder)))
    assert error is not None
    assert (error.errno, error.type, error.code, error.info) == (errno.EHOSTUNREACH, 11, 0, 1400)
    assert (error.number, error.reporter, error.address) == (7, rest, address)


@pytest.mark.parametrize(
    ("origin", "local", "icmp"),
    [(SO_EE_ORIGIN_LOCAL, True, False), (SO_EE_ORIGIN_ICMP, False, True), (SO_EE_ORIGIN_ICMP6, False, True)],
)
def test_the_origin_says_who_refused(origin: int, local: bool, icmp: bool) -> None:
    error = ExtendedError.parse(built(origin=origin, rest=FROM_V4))
    assert error is not None
    assert (error.is_local, error.is_icmp) == (local, icmp)


@pytest.mark.parametrize(("flags", "place"), [(0, 128), (1, 0)], ids=["good", "broken"])
def test_extensions_begin_where_the_kernel_found_them(flags: int, place: int) -> None:
    error = ExtendedError.parse(built(rest=FROM_V4, data=struct.pack("=HBB", 128, flags, 0)))
    assert error is not None
    assert error.extensions_at == place


@pytest.mark.parametrize("rest", [FROM_V4[:7], FROM_V6[:23], struct.pack("=H14s", 77, b"")])
def test_what_is_no_address_is_none(rest: bytes) -> None:
    error = ExtendedError.parse(built(rest=rest))
    assert error is not None
    assert error.address == ""


def test_what_is_cut_is_no_error() -> None:
    whole = built(rest=b"")
    assert all(ExtendedError.parse(whole[:size]) is None for size in range(len(whole)))
