"""What importing costs, counted in modules: a count is the same on every machine, a time is not."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "matplotlib",
    "numpy",
    "pyroute2",
    "rich",
    "scapy",
    "netaddr",
    "dns",
    "asyncio",
    "subprocess",
    "socket",
}


def modules_after(statement: str) -> set[str]:
    """Modules that ``statement`` loads in a fresh interpreter."""
    code = (
        "import sys, json; before = set(sys.modules)\n"
        f"{statement}\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_rawproto_imports_next_to_nothing() -> None:
    loaded = modules_after("import rawproto")
    assert loaded & HEAVY == set()
    assert {name for name in loaded if name.startswith("rawproto")} == {"rawproto", "rawproto._face"}
    assert len(loaded) < 15, sorted(loaded)


def test_errors_need_no_room() -> None:
    loaded = modules_after("from rawproto import OpError, PrivilegeError")
    assert {name for name in loaded if name.startswith("rawproto")} == {
        "rawproto",
        "rawproto._face",
        "rawproto.errors",
    }


@pytest.mark.parametrize("room", ["addr", "wire", "protocol", "resolve", "link", "rsp", "net", "lab"])
def test_rooms_wait_with_numpy_until_it_is_needed(room: str) -> None:
    loaded = modules_after(f"import rawproto.{room}")
    assert loaded & {"numpy", "scapy", "matplotlib", "rich", "pyroute2"} == set()


def test_single_packets_of_rsp_need_no_numpy() -> None:
    # Its threads would keep the privilege that traceroute drops.
    loaded = modules_after("import rawproto.rsp.header, rawproto.rsp.checks, rawproto_tools.routekit.probes")
    assert "numpy" not in loaded


def test_help_loads_no_tool_and_nothing_heavy() -> None:
    loaded = modules_after(
        "from rawproto_tools.main import main\n"
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    try: main(['--help'])\n"
        "    except SystemExit as stop: assert stop.code in (0, None)\n"
    )
    assert loaded & {"matplotlib", "numpy", "pyroute2", "rich", "scapy", "netaddr", "dns"} == set()
    ours = {name for name in loaded if name.startswith("rawproto_tools.")}
    assert ours == {f"rawproto_tools.{part}" for part in ("catalogue", "failure", "group", "main", "output")}
