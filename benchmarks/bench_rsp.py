"""RSP over a clean veth pair, against a C loop without any protocol, against QUIC in Python, against kernel TCP."""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import rsp_work
from benchmarks.bench_link import RAW_PACKETS, Bench, pinned, wait_for
from benchmarks.harness import Row, Unavailable
from rawproto.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
RIVAL = Path(__file__).with_name("aioquic_rival.py")
# In the environment that `make` keeps: not installed twice, and gone with it.
QUIC_HOME = ROOT / ".venv" / "bench-aioquic"
RAW_BYTES = 1480
MEGA = 1e6
SIZE = 64 << 20
QUIC_SIZE = 4 << 20
ROUNDS = 1000


class Transfers(Bench):
    """The hosts of the link's benchmark, and streams between them."""

    def _ready(self) -> Path:
        self._files += 1
        return self.folder / f"stream{self._files}"

    def rate(self, network: str, size: int = SIZE) -> float:
        """Mbit/s of one stream of ``size`` bytes."""
        ready, host = self._ready(), self.receiver.address(4)
        receiving = self.receiver.start(pinned, 1, rsp_work.serve, network, host, str(ready))
        wait_for(ready, receiving)
        seconds = self.sender.call(pinned, 0, rsp_work.send, network, host, size, timeout=60)
        assert receiving.result(10) == size
        receiving.wait()
        return float(size * 8 / seconds / MEGA)

    def latency(self, network: str) -> float:
        """Median microseconds of a request and response of 64 bytes."""
        ready, host = self._ready(), self.receiver.address(4)
        receiving = self.receiver.start(pinned, 1, rsp_work.echo, network, host, str(ready), 64)
        wait_for(ready, receiving)
        answer = self.sender.call(pinned, 0, rsp_work.ask, network, host, 64, ROUNDS, timeout=60)
        receiving.result(10)
        receiving.wait()
        return float(answer)

    def c_mbit(self) -> float:
        """Mbit/s of payload that a C loop of sendmmsg and recvmmsg moves."""
        return self.c_rate("raw", RAW_PACKETS) * RAW_BYTES * 8 / MEGA

    def quic_rate(self) -> float:
        """Mbit/s of one stream of aioquic."""
        python, ready, host = quic_python(), self._ready(), self.receiver.address(4)
        serving = [python, str(RIVAL), "serve", host, str(ready)]
        with self.receiver.popen(serving, stderr=subprocess.PIPE) as process:
            try:
                wait_for(ready, _Watched(process))
                sending = [python, str(RIVAL), "send", host, str(QUIC_SIZE)]
                run = self.sender.run(sending, check=True, capture_output=True, text=True, timeout=60)
            finally:
                process.kill()
        return QUIC_SIZE * 8 / float(run.stdout) / MEGA


class _Watched:
    """A program, for :func:`wait_for`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def poll(self) -> int | None:
        return self._process.poll()

    def result(self, seconds: float) -> None:
        assert self._process.stderr is not None
        raise Unavailable(self._process.stderr.read().decode()[-200:])


@functools.cache
def quic_python() -> str:
    """An interpreter that has aioquic, installed for it alone; raises Unavailable."""
    python = QUIC_HOME / "bin" / "python"
    trial = [str(python), "-c", "import aioquic"]
    if python.exists() and subprocess.run(trial, capture_output=True, check=False).returncode == 0:
        return str(python)
    if not QUIC_HOME.parent.is_dir():
        raise Unavailable("aioquic is only installed into the .venv that make keeps")
    for command in (
        [sys.executable, "-m", "venv", str(QUIC_HOME)],
        [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--only-binary=:all:",
            "aioquic",
        ],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            raise Unavailable(f"aioquic cannot be installed: {done.stderr.strip().splitlines()[-1][:150]}")
    return str(python)


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder, Lab() as lab:
        bench = Transfers(lab, Path(folder))

        def over(network: str) -> Callable[[], float]:
            return lambda: bench.rate(network)

        yield Row(
            "one stream of 64 MiB on raw IP",
            unit="Mbit/s",
            better="higher",
            ours=over("rsp"),
            rivals={
                "C sendmmsg/recvmmsg": bench.c_mbit,
                "aioquic": bench.quic_rate,
                "kernel TCP": over("tcp"),
            },
            expect={"C sendmmsg/recvmmsg": 0.5, "aioquic": 8},
        )
        yield Row(
            "one stream of 64 MiB inside UDP",
            unit="Mbit/s",
            better="higher",
            ours=over("rsp+udp"),
            rivals={"aioquic": bench.quic_rate, "kernel TCP": over("tcp")},
            expect={"aioquic": 8},
        )
        yield Row(
            "request and response of 64 bytes on raw IP, median",
            unit="us",
            better="lower",
            ours=lambda: bench.latency("rsp"),
            rivals={"kernel TCP": lambda: bench.latency("tcp")},
        )
