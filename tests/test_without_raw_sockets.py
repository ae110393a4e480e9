"""addr, wire, protocol, rsp and the simulator on a system that has no raw sockets: their names are taken away first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# What other systems' socket modules do not have, or not all of it.
PREAMBLE = """
import socket, sys
TAKEN = (
    "AF_ALG", "AF_NETLINK", "AF_PACKET", "AF_UNIX", "CMSG_", "IPPROTO_RAW", "IPV6_", "IP_", "MSG_ERRQUEUE",
    "PACKET_", "SCM_", "SOCK_RAW", "SOCK_SEQPACKET", "SO_BINDTODEVICE", "SO_MARK", "sendmsg_afalg",
)
for name in dir(socket):
    if name.startswith(TAKEN):
        delattr(socket, name)
    import _socket
    if name not in dir(socket) and hasattr(_socket, name):
        delattr(_socket, name)
"""

ROOMS = """
import rawproto, rawproto.addr, rawproto.errors, rawproto.wire, rawproto.protocol, rawproto.rsp, rawproto.lab
import pkgutil, importlib
for room in ("addr", "wire", "rsp"):
    package = importlib.import_module(f"rawproto.{room}")
    for module in pkgutil.walk_packages(package.__path__, f"rawproto.{room}."):
        importlib.import_module(module.name)
    for name in package.__all__:
        getattr(package, name)
"""

SIMULATION = """
from rawproto import IP, UDP, Datagram, IPv4, Simulation, parse_cidr
from rawproto.lab.swarm import rsp_transfer

assert Datagram.parse(bytes(IPv4("10.0.0.1", "10.0.0.2") / UDP(1, 2) / b"x"))[UDP].length == 9
assert IP("10.0.0.1") in parse_cidr("10.0.0.0/8")[1]
for seed in range(3):
    rsp_transfer(Simulation(seed))
"""


# Of each room what needs neither the kernel nor a rival; the simulator with the protocols of the documentation.
SUITES = {
    "addr": ["tests/addr"],
    "wire": [f"tests/wire/test_{name}.py" for name in ("declaration", "batch_codec", "reassembly", "sums")],
    "rsp": [f"tests/rsp/test_{name}.py" for name in ("d_close", "receiver", "state", "spec")],
    "simulator": ["tests/lab/test_simulation.py", "tests/lab/test_script.py", "tests/docs/test_examples.py"],
}


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT, timeout=500
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_names_are_gone() -> None:
    run(PREAMBLE + "assert not hasattr(socket, 'AF_PACKET') and not hasattr(socket, 'SOCK_RAW')")


@pytest.mark.parametrize("code", [ROOMS, SIMULATION], ids=["import", "simulate"])
def test_what_needs_no_raw_socket_works_without(code: str) -> None:
    run(PREAMBLE + code)


@pytest.mark.parametrize("room", SUITES)
def test_their_own_tests_pass_without(room: str) -> None:
    # The plugin of pytest is loaded too, as it would be there: it is installed with the package.
    words = ["-q", "-p", "no:cacheprovider", "-m", "not netns and not long", *SUITES[room]]
    told = run(PREAMBLE + f"import pytest\nsys.exit(pytest.main({words!r}))")
    assert "passed" in told
    assert "skipped" not in told
