"""Fixtures of the link room: a network namespace with nothing in it but loopback."""

import ctypes
import fcntl
import os
import socket
import struct
import time

import pytest

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, SIOCSIFADDR = 0x8914, 0x8916
IFF_UP_RUNNING = 0x41


def add_address(address):
    """Give lo an IPv6 address and wait until the kernel has made it usable, which it does in its own time."""
    packed = socket.inet_pton(socket.AF_INET6, address)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFADDR, packed + struct.pack("Ii", 128, 1))
    for _ in range(1000):
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((address, 0))
                probe.connect((address, 9))
                return
            except OSError:
                time.sleep(0.001)
    raise RuntimeError(f"lo never got {address}")


@pytest.fixture
def namespace():
    """Puts this thread into a fresh network namespace; lo is up and has fd00::1, fd00::2 and fd00::9 too."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if libc.unshare(CLONE_NEWNET) != 0:
        os.close(before)
        pytest.skip("no network namespace can be made here: " + os.strerror(ctypes.get_errno()))
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", IFF_UP_RUNNING))
        for last in (1, 2, 9):
            add_address(f"fd00::{last}")
        yield
    finally:
        assert libc.setns(before, CLONE_NEWNET) == 0
        os.close(before)
