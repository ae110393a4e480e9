"""Fixtures of the link room: two hosts, a namespace with nothing in it but loopback, and waiting for what was sent."""

import contextlib
import ctypes
import fcntl
import os
import select
import socket
import struct
import time
from pathlib import Path

import pytest

from tests.link.waiting import PATIENCE

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, SIOCSIFADDR = 0x8914, 0x8916
IFF_UP_RUNNING = 0x41


def add_address(address):
    """Give lo an IPv6 address and wait until the kernel has made it usable, which it does in its own time."""
    packed = socket.inet_pton(socket.AF_INET6, address)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFADDR, packed + struct.pack("Ii", 128, 1))
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((address, 0))
                probe.connect((address, 9))
                return
            except OSError:
                time.sleep(0.001)
    raise RuntimeError(f"lo never got {address}")


@pytest.fixture
def pair(lab):
    """Two hosts on a bare cable."""
    a, b = lab.hosts("a", "b")
    lab.link(a, b)
    return a, b


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
        is_back = libc.setns(before, CLONE_NEWNET) == 0
        os.close(before)
        assert is_back


@contextlib.contextmanager
def on_one_processor():
    """Keep this thread on one processor: the kernel hands over what is sent from there in the order of sending."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@pytest.fixture
def pinned():
    """The context manager that keeps this thread on one processor, for tests that start processes before."""
    return on_one_processor


@pytest.fixture
def one_processor():
    """Keeps this thread on one processor for the whole test."""
    with on_one_processor():
        yield


@pytest.fixture
def settle(one_processor):
    """Call it, and all that this thread sent to its own host or over a veth pair has arrived or was dropped.

    Under load the kernel delivers such packets some time after the call that sent them (ksoftirqd), but each
    processor has one queue for them: once a later packet is here, so are those before it.
    """

    def wait():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.settimeout(PATIENCE)
            last.bind(("127.0.0.1", 0))
            last.sendto(b"last", last.getsockname())
            assert last.recv(4) == b"last"

    return wait


@pytest.fixture
def errors_of():
    """``errors_of(link, count)``: the ICMP errors of a link or raw socket, once there are so many."""

    def wait(link, count):
        poll = select.poll()
        poll.register(link.fileno(), select.POLLIN)
        errors, until = link.errors(), time.monotonic() + PATIENCE
        while len(errors) < count and (left := until - time.monotonic()) > 0:
            poll.poll(left * 1000)
            errors += link.errors()
        return errors

    return wait


@pytest.fixture
def two_users():
    """Another user to become: a user namespace that an ordinary user made has one id alone."""
    if sum(int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text().splitlines()) < 65535:
        pytest.skip("this user namespace has a single user id: there is no other user to become")
