"""``rawproto lab``: commands and shells on the hosts of a topology."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rawproto import PcapngReader

if TYPE_CHECKING:
    from .conftest import CLI

netns = pytest.mark.netns

TEXT = """
routers = ["r"]
hosts = ["alone"]

[[link]]
ends = ["a", "r"]

[[link]]
ends = ["r", "b-2"]
delay = "1ms"
seed = 7
"""

# Sends one datagram to the address of its argument, 4 or 6 by the look of it, and waits for the word that nobody
# listens there: then it has arrived.
SEND = """
import socket, sys
to = sys.argv[1], 9
with socket.socket(socket.AF_INET6 if ':' in to[0] else socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.connect(to)
    s.settimeout(60)
    s.send(b'x')
    try: s.recv(1)
    except ConnectionRefusedError: print(s.family.name, to[0])
"""


@pytest.fixture
def net(tmp_path: Path) -> str:
    path = tmp_path / "net.toml"
    path.write_text(TEXT)
    return str(path)


@netns
def test_a_command_runs_on_the_first_host_and_its_status_is_ours(cli: CLI, net: str) -> None:
    script = "import os, sys; print(os.environ['RAWPROTO_LAB_HOST'], os.environ['ip_b_2']); sys.exit(5)"
    done = cli.run("lab", "run", net, "--", sys.executable, "-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (5, b"a 10.0.1.2\n", b"")
    done = cli.run("lab", "run", "--on", "r", net, "--", "sh", "-c", "echo $RAWPROTO_LAB_HOST; kill -9 $$")
    assert (done.returncode, done.stdout) == (128 + signal.SIGKILL, b"r\n")


@netns
@pytest.mark.parametrize(
    ("place", "said"), [("{b-2}", "AF_INET 10.0.1.2"), ("{b-2:6}", "AF_INET6 fd00:0:0:1::2")]
)
def test_packets_go_where_the_words_say(cli: CLI, net: str, tmp_path: Path, place: str, said: str) -> None:
    pcaps = tmp_path / "pcaps"
    done = cli.run(
        "lab", "run", net, "--json", "--capture", str(pcaps), "--", sys.executable, "-c", SEND, place
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["stdout"] == f"{said}\n"
    assert document["host"] == "a"
    assert document["status"] == 0
    assert document["command"][-1] == said.split()[1]
    first, second = document["links"]
    assert (first["ends"], first["means"]) == (["a", "r"], "relay")
    assert (second["ends"], second["means"], second["seed"]) == (["r", "b-2"], "relay", 7)
    assert second["toward"]["b-2"]["received"] == 1
    assert sorted(path.name for path in pcaps.iterdir()) == ["1-a-r.pcapng", "2-r-b-2.pcapng"]
    with PcapngReader(pcaps / "1-a-r.pcapng") as reader:
        assert len(list(reader)) >= 2  # as it left a and as it came to r


@netns
def test_what_runs_beside_is_reached_and_ends_with_the_lab(cli: CLI, net: str, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    server = (
        "import os, socket; s = socket.create_server(('{b-2}', 7));"
        f"open({str(mark)!r}, 'w').write(str(os.getpid()));"
        "c, _ = s.accept(); c.sendall(b'served'); c.close(); s.accept()"
    )
    client = (
        "import socket, sys, time\n"
        "for _ in range(6000):\n"
        "    try: c = socket.create_connection((sys.argv[1], 7)); break\n"
        "    except ConnectionRefusedError: time.sleep(0.01)\n"
        "print(c.recv(100).decode())"
    )
    beside = f'{sys.executable} -c "{server}"'
    done = cli.run(
        "lab", "run", net, "-v", "--with", "b-2", beside, "--", sys.executable, "-c", client, "{b-2}"
    )
    assert (done.returncode, done.stdout) == (0, b"served\n"), done.stderr
    assert b"* a            10.0.0.1 fd00::1 " in done.stderr
    assert b"r - b-2, toward b-2: " in done.stderr
    assert not Path(f"/proc/{mark.read_text()}").exists()


@netns
def test_what_runs_beside_is_waited_for_before_the_command_and_behind_it(cli: CLI, net: str) -> None:
    server = (
        "import os, socket; sum(range(8_000_000))\n"
        "s = socket.create_server(('{a}', 7)); c, _ = s.accept(); pid = c.recv(100).decode()\n"
        "c.sendall(b'served')\n"
        "while os.path.exists('/proc/' + pid): pass\n"
        "print(sum(range(8_000_000)), flush=True); s.accept()"
    )
    client = (
        "import os, socket, sys\n"
        "c = socket.create_connection((sys.argv[1], 7)); c.sendall(str(os.getpid()).encode()); c.recv(100)"
    )
    beside = f'{sys.executable} -c "{server}"'
    done = cli.run("lab", "run", net, "--with", "a", beside, "--", sys.executable, "-c", client, "{a}")
    assert (done.returncode, done.stdout) == (0, b"31999996000000\n"), done.stderr


@netns
def test_a_shell_reaches_the_other_hosts(cli: CLI, net: str) -> None:
    look = b"readlink /proc/self/ns/net\n"
    given = b"echo $RAWPROTO_LAB_HOST $ip_a $ip6_b_2\n$on_b_2 " + look + look + b"exit 3\n"
    done = cli.run("lab", "shell", net, given=given, env={**os.environ, "SHELL": "/bin/sh"})
    assert done.returncode == 3, done.stderr
    where, there, here = done.stdout.decode().splitlines()
    assert where == "a 10.0.0.1 fd00:0:0:1::2"
    assert there.startswith("net:[")
    assert there != here
    done = cli.run("lab", "shell", "--json", given=b"echo hello\n", env={**os.environ, "SHELL": "/bin/sh"})
    document = json.loads(done.stdout)
    assert (document["stdout"], sorted(document["hosts"])) == ("hello\n", ["a", "b"])


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        (TEXT, ("--on", "c", "--", "true"), b"there is no host c"),
        (TEXT, ("--with", "c", "true", "--", "true"), b"there is no host c"),
        (TEXT, (), b"Missing argument"),
        ("hosts = []", ("--", "true"), b"no hosts"),
        ("hosts = 7", ("--", "true"), b"list of names"),
    ],
)
def test_usage_errors_end_with_2(
    cli: CLI, tmp_path: Path, text: str, words: tuple[str, ...], said: bytes
) -> None:
    path = tmp_path / "net.toml"
    path.write_text(text)
    done = cli.run("lab", "run", str(path), *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == b""


@netns
def test_what_cannot_be_run_ends_with_2(cli: CLI, net: str, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("no program")
    surroundings = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for word, message in (
        ("no-such-program", "no-such-program: no such program"),
        ("plain", "plain: no such program"),  # something on the search path is in the way
        (str(tmp_path / "plain"), f"{tmp_path / 'plain'}: Permission denied"),
    ):
        done = cli.run("lab", "run", net, "--json", "--", word, env=surroundings)
        assert done.returncode == 2
        assert json.loads(done.stdout)["error"]["message"] == message
    done = cli.run("lab", "run", net, "--", "echo", "{alone}")
    assert done.returncode == 2
    assert b"{alone}: that host has no such address" in done.stderr
    done = cli.run("lab", "run", str(Path(net).parent / "missing.toml"), "--", "true")
    assert done.returncode == 2
