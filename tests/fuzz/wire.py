"""Coverage-guided fuzzing of what reads bytes from strangers: headers, fragments, captures, filter programs.

    make fuzz ARGS="datagram -atheris_runs=1000000"

The first argument names the target, the others are libFuzzer's. A target fails on any exception but the one that the
interface promises, and on a broken promise; time and memory are libFuzzer's to watch.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

with atheris.instrument_imports(include=["rawproto"]):
    from rawproto import BPFProgram, Datagram, DecodeError, FilterError, PcapngReader, Reassembler, assemble
    from rawproto.wire import icmp, icmpv6, ipv4, ipv6, ipv6_ext, tcp, udp  # noqa: F401 - instrumented here
    from rawproto.wire.bpf import disassembler, interpreter  # noqa: F401
    from rawproto.wire.registry import BUILT_IN, HEADERS

CODECS = tuple(HEADERS[number] for number in sorted(BUILT_IN))


def datagram(data: bytes) -> None:
    """Whatever parses builds to the bytes that came, and can be looked at."""
    try:
        parsed = Datagram.parse(data)
    except DecodeError:
        return
    assert bytes(parsed) + parsed.trailer == data
    parsed.verify()
    repr(parsed)


def header(data: bytes) -> None:
    """The same for each built-in header by itself; the first byte chooses."""
    if not data:
        return
    kind, data = CODECS[data[0] % len(CODECS)], data[1:]
    try:
        parsed, payload = kind.parse(data)
    except DecodeError:
        return
    assert data.startswith(bytes(parsed) + payload)
    parsed.verify()


def reassembly(data: bytes) -> None:
    """Datagrams of up to 255 bytes, one after another, a second apart: books balance, caps hold."""
    reassembler = Reassembler(max_bytes=8_192, max_datagrams=8, max_source_bytes=4_096, max_pieces=8)
    place, now = 0, 0
    while place < len(data):
        size = data[place]
        reassembler.add(data[place + 1 : place + 1 + size], now)
        place, now = place + 1 + size, now + 1_000_000_000
        assert reassembler.memory <= 8_192
        assert len(reassembler) <= 8
    stats = reassembler.stats()
    assert stats.received == stats.used + stats.duplicates + sum(stats.drops.values()) + stats.held


def pcapng(data: bytes) -> None:
    """A capture reads or is refused."""
    try:
        for packet in PcapngReader(data):
            assert len(packet.data) <= len(data)
    except DecodeError:
        return


def bpf(data: bytes) -> None:
    """A program that is accepted ends, and its text assembles to the same program."""
    try:
        program = BPFProgram.from_bytes(data[: len(data) // 16 * 8])
    except FilterError:
        return
    packet = data[len(data) // 2 :]
    try:
        verdict = program.run(packet)
        assert assemble(program.disassemble()).run(packet) == verdict
    except FilterError as error:
        # Ancillary data is for the caller to give; nothing else may be missing.
        if "not given" not in str(error):
            raise


def text(data: bytes) -> None:
    """Text assembles or is refused."""
    try:
        assemble(data.decode("utf-8", "replace"))
    except FilterError:
        return


TARGETS = {target.__name__: target for target in (datagram, header, reassembly, pcapng, bpf, text)}


def main() -> None:
    """Run the target that the command line names."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: {sys.argv[0]} {{{','.join(TARGETS)}}} [libFuzzer options]")
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[sys.argv[1]])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
