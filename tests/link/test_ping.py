"""The kernel's own ping, answered from user space on a host whose kernel keeps silent."""

import shutil
import threading
from pathlib import Path

import pytest

from rawproto.addr import IPAddr
from rawproto.errors import ClosedError
from rawproto.link import RawSocket
from rawproto.wire import checksum

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(shutil.which("ping") is None, reason="ping is not installed"),
]

SILENCE = {4: "/proc/sys/net/ipv4/icmp_echo_ignore_all", 6: "/proc/sys/net/ipv6/icmp/echo_ignore_all"}


def answer_echo_requests(sock, version):
    """Until the socket is closed."""
    request, reply = (8, 0) if version == 4 else (128, 129)
    try:
        while True:
            got = sock.receive()
            if got.payload[0] != request:
                continue
            message = bytes([reply, 0, 0, 0]) + got.payload[4:]
            if version == 4:
                message = message[:2] + checksum(message).to_bytes(2, "big") + message[4:]
            sock.send(message, IPAddr(got.source.ip))
    except ClosedError:
        pass


@pytest.mark.parametrize("version", [4, 6])
def test_ping_is_answered_from_user_space(lab, version):
    a, b = lab.hosts("a", "b")
    lab.link(a, b)
    to = str(b.ip4 if version == 4 else b.ip6)
    ping = ["ping", f"-{version}", "-n", "-i", "0.01", "-c", "5", "-W", "60", to]
    with b:
        Path(SILENCE[version]).write_text("1")
    unheard = a.run(["ping", f"-{version}", "-n", "-c", "1", "-W", "1", to], capture_output=True)
    assert unheard.returncode == 1
    with b:
        sock = RawSocket(1 if version == 4 else 58, version=version)
    thread = threading.Thread(target=answer_echo_requests, args=(sock, version))
    with sock:
        thread.start()
        done = a.run(ping, capture_output=True, text=True, timeout=100)
    thread.join(60)
    assert " 5 received" in done.stdout, done.stdout
    assert done.returncode == 0
