"""``rawproto cat`` against sockets of the kernel's and against itself."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from .conftest import CLI


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        yield listener


def port_of(server: socket.socket) -> str:
    return str(server.getsockname()[1])


def in_background(function) -> threading.Thread:
    thread = threading.Thread(target=function)
    thread.start()
    return thread


def port_listened_on(process: subprocess.Popen[bytes]) -> str:
    """The port that ``cat -l -v`` says it listens on."""
    assert process.stderr is not None
    line = process.stderr.readline().decode()
    found = re.search(r"listening on \S+:(\d+)", line)
    assert found is not None, line
    return found[1]


def test_sends_the_input_and_prints_the_answer_with_half_close(cli: CLI, server: socket.socket) -> None:
    asked = bytearray()

    def answer() -> None:
        conn, _ = server.accept()
        with conn:
            while data := conn.recv(1 << 16):
                asked.extend(data)
            # Only after the end of the question: the client's half is closed, ours is not.
            conn.sendall(hashlib.sha256(asked).hexdigest().encode())

    thread = in_background(answer)
    question = os.urandom(300_000)
    done = cli.run("cat", "-n", "tcp", "127.0.0.1", port_of(server), given=question)
    thread.join()
    assert (done.returncode, done.stderr) == (0, b"")
    assert bytes(asked) == question
    assert done.stdout.decode() == hashlib.sha256(question).hexdigest()


def test_json_holds_what_arrived_and_the_counts(cli: CLI, server: socket.socket) -> None:
    def answer() -> None:
        conn, _ = server.accept()
        with conn:
            conn.sendall(b"hello\n")
            assert conn.recv(10) == b""

    thread = in_background(answer)
    done = cli.run("cat", "-n", "tcp", f"127.0.0.1:{port_of(server)}", "--json")
    thread.join()
    document = json.loads(done.stdout)
    assert (document["text"], document["received"], document["sent"]) == ("hello\n", 6, 0)
    assert document["remote"] == f"127.0.0.1:{port_of(server)}"


def test_listens_for_one_connection(cli: CLI) -> None:
    process = cli.start("cat", "-n", "tcp", "-l", "-v", "127.0.0.1", "0")
    with socket.create_connection(
        ("127.0.0.1", int(port_listened_on(process))), timeout=cli.patience
    ) as peer:
        peer.sendall(b"to the file")
        peer.shutdown(socket.SHUT_WR)
        assert peer.recv(10) == b""
    out, _ = process.communicate(timeout=cli.patience)
    assert (process.returncode, out) == (0, b"to the file")


def test_keep_gives_the_file_to_everybody_at_once(cli: CLI, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(os.urandom(200_000))
    with file.open("rb") as given:
        process = cli.start("cat", "-n", "tcp", "-l", "-k", "-v", "127.0.0.1", "0", stdin=given)
        port = int(port_listened_on(process))
    peers = [socket.create_connection(("127.0.0.1", port), timeout=cli.patience) for _ in range(3)]
    for peer in reversed(peers):
        with peer, peer.makefile("rb") as stream:
            assert stream.read() == file.read_bytes()
            peer.sendall(b"!")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=cli.patience)
    assert process.returncode == 143
    assert out.count(b"!") <= 3


def test_a_closed_port_is_one_line_and_status_1(cli: CLI, server: socket.socket) -> None:
    port = port_of(server)
    server.close()
    done = cli.run("cat", "-n", "tcp", "127.0.0.1", port)
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.decode().splitlines() == [f"rawproto: dial tcp 127.0.0.1:{port}: Connection refused"]


def test_a_killed_peer_is_an_error(cli: CLI, server: socket.socket) -> None:
    def vanish() -> None:
        conn, _ = server.accept()
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        conn.close()

    thread = in_background(vanish)
    done = cli.run("cat", "-n", "tcp", "127.0.0.1", port_of(server))
    thread.join()
    assert done.returncode == 1
    assert "reset" in done.stderr.decode()


def test_a_full_disk_is_an_error(cli: CLI, server: socket.socket) -> None:
    def answer() -> None:
        conn, _ = server.accept()
        with conn:
            conn.sendall(b"x" * 10)
            conn.recv(1)

    thread = in_background(answer)
    with Path("/dev/full").open("wb") as full:
        process = cli.start("cat", "-n", "tcp", "127.0.0.1", port_of(server), stdout=full)
        _, said = process.communicate(timeout=cli.patience)
    thread.join()
    assert process.returncode == 1
    assert said.decode() == "rawproto: No space left on device\n"


def test_interrupt_ends_with_130(cli: CLI, server: socket.socket) -> None:
    process = cli.start("cat", "-n", "tcp", "-v", "127.0.0.1", port_of(server))
    conn, _ = server.accept()
    with conn:
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=cli.patience) == 130


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(60)
        yield peer


def pinging(cli: CLI, peer: socket.socket, linger: str) -> subprocess.Popen[bytes]:
    """A cat whose first datagram has gone to ``peer``, which answers to it from now on."""
    process = cli.start("cat", "-n", "udp", "-w", linger, "127.0.0.1", port_of(peer), stdin=-1)
    assert process.stdin is not None
    process.stdin.write(b"ping")
    process.stdin.flush()
    data, source = peer.recvfrom(100)
    assert data == b"ping"
    peer.connect(source)
    return process


def test_datagrams_both_ways(cli: CLI, peer: socket.socket) -> None:
    process = pinging(cli, peer, "200ms")
    peer.send(b"pong")
    assert process.stdout is not None
    answer = process.stdout.read(4)  # before the end of the input, after which only so much time is left
    assert process.communicate(timeout=cli.patience) == (b"", b"")
    assert (answer, process.returncode) == (b"pong", 0)


def test_what_has_come_is_printed_however_late_it_is_looked_at(cli: CLI, peer: socket.socket) -> None:
    process = pinging(cli, peer, "0")
    process.send_signal(signal.SIGSTOP)
    for number in range(3):
        peer.send(b"%d" % number)
    assert process.stdin is not None
    process.stdin.close()
    process.stdin = None
    process.send_signal(signal.SIGCONT)
    out, _ = process.communicate(timeout=cli.patience)
    assert (out, process.returncode) == (b"012", 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-k", "1200"), "--keep needs --listen"),
        (("-n", "tcp5", "127.0.0.1:9"), "unknown network tcp5"),
        (("1", "2", "3"), "give HOST:PORT"),
        (("-w", "soon", "127.0.0.1:9"), "'soon' is no time"),
        (("-n", "tcp", "[::1"), "missing ']'"),
    ],
)
def test_wrong_usage_is_status_2(cli: CLI, words: tuple[str, ...], message: str) -> None:
    done = cli.run("cat", *words)
    assert done.returncode == 2
    assert message in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
