"""The hosts of bench_rsp.py: one stream, conversations and rivals between them, under several conditions."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import rsp_work, tcp_rival
from benchmarks.bench_link import RAW_PACKETS, Bench, nft, on_processor, pinned, wait_for
from benchmarks.harness import Unavailable
from benchmarks.rsp_rivals import ngtcp2_programs, quic_python, usrsctp_program
from rawproto import RSPConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rawproto.lab import Host

RIVAL = Path(__file__).with_name("aioquic_rival.py")
RAW_BYTES = 1480
MEGA = 1e6
GIGA = 1e9
MIB = 1 << 20
OFFLOADS = ("tso", "tx-udp-segmentation", "gro")
MESSAGE = 64
PINGS = 1500
LOSS = """
table ip loss {
    chain pre {
        type filter hook prerouting priority raw
        meta length >= 600 numgen random mod 100 == 0 drop
    }
}
"""


class Transfers(Bench):
    """The hosts of the link's benchmark, and streams between them; rates are Mbit/s of payload."""

    def _ready(self) -> Path:
        self._files += 1
        return self.folder / f"stream{self._files}"

    def _both(
        self, serve: Callable[..., Any], send: Callable[..., Any], size: int, *words: Any
    ) -> tuple[float, float]:
        """Seconds of a transfer of ``size`` bytes, and seconds of CPU that both ends used."""
        ready, host = self._ready(), self.receiver.address(4)
        front, back = words[:1] if serve is rsp_work.serve else (), words[-1:]
        receiving = self.receiver.start(pinned, 1, serve, *front, host, str(ready), *back)
        wait_for(ready, receiving)
        seconds, used = self.sender.call(pinned, 0, send, *front, host, size, *back, timeout=300)
        total, theirs = receiving.result(10)
        assert total == size
        receiving.wait()
        return seconds, used + theirs

    def rate(self, network: str, size: int, **settings: Any) -> float:
        """Of one stream of ``size`` bytes over RSP."""
        config = RSPConfig(**settings) if settings else None
        seconds, _ = self._both(rsp_work.serve, rsp_work.send, size, network, config)
        return size * 8 / seconds / MEGA

    def cpu(self, network: str, size: int) -> float:
        """Seconds of CPU of both ends a gigabyte."""
        _, used = self._both(rsp_work.serve, rsp_work.send, size, network, None)
        return used / size * GIGA

    def tcp_rate(self, size: int, congestion: str | None = None) -> float:
        """Of one stream of kernel TCP from Python; raises Unavailable without the congestion control."""
        if congestion is not None:
            available(congestion)
        seconds, _ = self._both(tcp_rival.serve, tcp_rival.send, size, congestion)
        return size * 8 / seconds / MEGA

    def c_rate_of_payload(self) -> float:
        """What a C loop of sendmmsg and recvmmsg moves on a raw socket."""
        return self.c_rate("raw", RAW_PACKETS) * RAW_BYTES * 8 / MEGA

    def quic_rate(self, size: int = 4 * MIB) -> float:
        """Of one stream of aioquic."""
        python, ready, host = quic_python(), self._ready(), self.receiver.address(4)
        serving = [python, str(RIVAL), "serve", host, str(ready)]
        with self.receiver.popen(serving, stderr=subprocess.PIPE) as process:
            try:
                wait_for(ready, _Watched(process))
                return self._told_rate(size, [python, str(RIVAL), "send", host, str(size)])
            finally:
                process.kill()

    def sctp_rate(self, size: int = 24 * MIB) -> float:
        """Of one stream of usrsctp on raw IP."""
        program, host = usrsctp_program(), self.receiver.address(4)
        serving = [program, "serve", host]
        with self.receiver.popen(serving, stdout=subprocess.PIPE, env=on_processor(1)) as process:
            try:
                assert process.stdout is not None
                process.stdout.readline()
                return self._told_rate(size, [program, "send", host, str(size)])
            finally:
                process.kill()

    def _told_rate(self, size: int, command: list[str]) -> float:
        """Run ``command`` on the sender; it prints the seconds that ``size`` bytes took."""
        options: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 60, "check": False}
        run = self.sender.run(command, env=on_processor(0), **options)
        if run.returncode:
            raise Unavailable(run.stderr.strip()[-150:] or f"{command[0]} failed")
        return size * 8 / float(run.stdout) / MEGA

    def ngtcp2_rate(self, size: int = 64 * MIB) -> float:
        """Of a download by ngtcp2's example programs, with their own socket buffers; its handshake is in it."""
        server, client, environment, folder = ngtcp2_programs()
        host, window = self.sender.address(4), "64M"
        serving = [
            server,
            "-q",
            "--max-dyn-length=4G",
            host,
            "4434",
            str(folder / "key"),
            str(folder / "cert"),
        ]
        asking = [client, "-q", "--exit-on-all-streams-close", f"--max-data={window}"]
        asking += [f"--max-stream-data-bidi-local={window}", f"--max-window={window}"]
        asking += [f"--max-stream-window={window}", host, "4434", f"https://{host}/{size}"]
        with self.sender.popen(serving, env=environment, stdout=-3, stderr=-3) as process:
            try:
                time.sleep(0.3)  # it does not say when it listens
                began = time.perf_counter()
                run = self.receiver.run(asking, env=environment, capture_output=True, check=False, timeout=60)
                seconds = time.perf_counter() - began
            finally:
                process.kill()
        if run.returncode:
            raise Unavailable(f"gtlsclient: {run.stderr.decode().strip()[-150:]}")
        return size * 8 / seconds / MEGA

    # ---- conversations

    def pings(self, network: str, answering: int) -> list[float]:
        """Sorted microseconds of requests and responses, the answering end on processor ``answering``."""
        ready, host = self._ready(), self.receiver.address(4)
        if network == "tcp":
            receiving = self.receiver.start(pinned, answering, tcp_rival.echo, host, str(ready), MESSAGE)
        else:
            receiving = self.receiver.start(
                pinned, answering, rsp_work.echo, network, host, str(ready), MESSAGE
            )
        wait_for(ready, receiving)
        if network == "tcp":
            times = self.sender.call(pinned, 0, tcp_rival.ask, host, MESSAGE, PINGS, timeout=60)
        else:
            times = self.sender.call(pinned, 0, rsp_work.ask, network, host, MESSAGE, PINGS, timeout=60)
        receiving.result(10)
        receiving.wait()
        return sorted(times)

    def shares(self, networks: tuple[str, str], seconds: float) -> tuple[int, int]:
        """Bytes of two streams that ran at once for ``seconds``; "tcp" is kernel TCP with CUBIC."""
        host, flows = self.receiver.address(4), []
        for index, network in enumerate(networks):
            ready, port = self._ready(), 4100 + index
            if network == "tcp":
                arriving = self.receiver.start(tcp_rival.count_arrivals, host, port, str(ready), seconds)
            else:
                arriving = self.receiver.start(
                    rsp_work.count_arrivals, network, host, port, str(ready), seconds
                )
            wait_for(ready, arriving)
            flows.append((network, port, arriving))
        sending = []
        for network, port, _ in flows:
            if network == "tcp":
                sending.append(self.sender.start(tcp_rival.flood, host, port, seconds + 2, "cubic"))
            else:
                sending.append(self.sender.start(rsp_work.flood, network, host, port, seconds + 2))
        first, second = (arriving.result(seconds + 20) for _, _, arriving in flows)
        for each in (*sending, *(arriving for _, _, arriving in flows)):
            each.wait()
        return first, second


class _Watched:
    """A program, for :func:`wait_for`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def poll(self) -> int | None:
        return self._process.poll()

    def result(self, seconds: float) -> None:
        assert self._process.stderr is not None
        raise Unavailable(self._process.stderr.read().decode()[-200:])


def available(congestion: str) -> None:
    """Raises Unavailable unless the kernel has the congestion control."""
    known = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
    if congestion not in known:
        raise Unavailable(f"this kernel has no {congestion} ({', '.join(known)})")


def _offloads(host: Host, state: str) -> None:
    found = shutil.which("ethtool") or shutil.which("ethtool", path="/usr/sbin:/sbin")
    if found is None:
        raise Unavailable("ethtool is not installed")
    words = [word for name in OFFLOADS for word in (name, state)]
    done = host.run([found, "-K", "eth0", *words], capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"ethtool: {done.stderr.strip()[:150]}")


@contextlib.contextmanager
def segmented(bench: Transfers) -> Iterator[None]:
    """Nothing on the wire is longer than 1,500 bytes; raises Unavailable."""
    hosts = (bench.sender, bench.receiver)
    try:
        for host in hosts:
            _offloads(host, "off")
        yield
    finally:
        for host in hosts:
            _offloads(host, "on")


@contextlib.contextmanager
def losing(bench: Transfers) -> Iterator[None]:
    """As :func:`segmented`, and every hundredth data packet is lost by chance; raises Unavailable."""
    with segmented(bench):
        done = bench.receiver.run([nft(), "-f", "-"], input=LOSS, capture_output=True, text=True)
        if done.returncode:
            raise Unavailable(f"nft: {done.stderr.strip()[:200]}")
        try:
            yield
        finally:
            bench.receiver.run([nft(), "delete", "table", "ip", "loss"], check=True)
