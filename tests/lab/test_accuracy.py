"""Links do what was asked for, within 5 %, as kernel ping and kernel TCP see it.

Only figures that a loaded machine leaves alone: the shortest of many echo times, packets counted, the best of several
rates. Medians are in the benchmark (``make bench ARGS=lab``).
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rawproto import Lab

if TYPE_CHECKING:
    from rawproto import Host

pytestmark = pytest.mark.netns
NEAR = pytest.approx


@pytest.fixture
def ping() -> str:
    found = shutil.which("ping")
    if found is None:
        pytest.skip("ping is not installed: it is the measure of this test")
    return found


def run_ping(host: Host, *command: str) -> str:
    return host.run([*command], stdout=subprocess.PIPE, check=False).stdout.decode()


@pytest.mark.parametrize("version", [4, 6])
def test_delay_by_kernel_ping(lab: Lab, ping: str, version: int) -> None:
    a, b = lab.hosts("a", "b")
    # Long, so that 5 % are more than a slow machine needs to wake up four processes.
    lab.link(a, b, forward={"delay": "150ms"}, backward={"delay": "50ms"})
    said = run_ping(a, ping, f"-{version}", "-c", "40", "-i", "0.02", "-q", b.address(version))
    found = re.search(r"= ([0-9.]+)/", said)
    assert found, said
    # The relay sends 50 us early each way, for what sending takes.
    assert 199.9 <= float(found[1]) <= 210


def echoes_counted(host: Host) -> int:
    """Echo requests that have come to a host, as its kernel counts them (RFC 2011, icmpInEchos)."""
    with host:
        names, values = (
            line.split()
            for line in Path("/proc/thread-self/net/snmp").read_text().splitlines()
            if line.startswith("Icmp:")
        )
    return int(values[names.index("InEchos")])


def test_loss_by_kernel_ping(lab: Lab, ping: str) -> None:
    a, b = lab.hosts("a", "b")
    link = lab.link(a, b, forward={"loss": 0.1}, seed=7)
    said = run_ping(a, ping, "-c", "10000", "-f", "-l", "100", "-q", b.address())
    found = re.search(r"(\d+) packets transmitted", said)
    assert found, said
    sent = int(found[1])
    # ping does not wait long for its last echoes.
    while (stats := link.stats(toward=b)).received < sent or stats.waiting:
        time.sleep(0.01)
    came = echoes_counted(b)
    assert (sent - came) / sent == NEAR(0.1, rel=0.05)
    assert (stats.received, stats.lost) == (sent, sent - came)


def stream(address: Any, size: int) -> None:
    with socket.create_connection(address) as connection:
        connection.sendall(bytes(size))


def tcp_rate(a: Host, b: Host, size: int) -> float:
    """Mbit/s of IP packets behind the first half of a kernel TCP stream, by the bytes that come out."""
    with b:
        listener = socket.create_server((b.address(), 0))
    with listener:
        sending = a.start(stream, listener.getsockname(), size)
        connection, _ = listener.accept()
        got = first = 0
        begin = 0.0
        with connection:
            while data := connection.recv(1 << 16):
                got += len(data)
                if not begin and got >= size // 2:
                    begin, first = time.monotonic(), got
            elapsed = time.monotonic() - begin
        sending.result(timeout=60)
    # 52 bytes of IP and TCP headers with timestamps for each 1448 of payload.
    return (got - first) * 8 / elapsed / 1e6 * 1500 / 1448


@pytest.mark.parametrize("words", [{"delay": "2ms"}, {}], ids=["relay", "kernel"])
def test_rate_by_kernel_tcp(words: dict[str, Any]) -> None:
    with Lab() as lab:  # one without captures, so that the kernel may do it
        a, b = lab.hosts("a", "b")
        lab.link(a, b, rate="20mbit", limit=100, **words)
        check_rate(a, b)


def check_rate(a: Host, b: Host) -> None:
    # A pause of the reader or the sender makes one of the rates too high or too low, never right.
    rates: list[float] = []
    while len(rates) < 10 and NEAR(20, rel=0.05) not in rates:
        rates.append(tcp_rate(a, b, 2_500_000))
    assert NEAR(20, rel=0.05) in rates
