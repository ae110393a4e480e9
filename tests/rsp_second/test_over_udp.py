"""The second implementation and ``rawproto.dial`` and ``rawproto.listen`` over UDP on loopback."""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
from typing import TYPE_CHECKING, Any

import pytest

import rawproto
from rawproto import RSPConfig
from tests.rsp_second.loop import Loop
from tests.rsp_second.wire import FEATURES, Hello, Kind, Packet, Why, decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.rsp_second.connection import Connection

NETWORK = "rsp+udp4"
PATIENCE = 100  # seconds until a test that hangs is given up
BOTH = pytest.mark.parametrize("second_dials", [True, False], ids=["second dials", "second listens"])


class Meeting:
    """A connection: `second` is our end of it, `theirs` rawproto's, whose calls block beside the loop."""

    def __init__(self, loop: Loop, second: Connection, theirs: Any) -> None:
        self.loop, self.second, self.theirs = loop, second, theirs
        self.got = bytearray()

    def beside(self, function: Callable[..., Any], *args: Any) -> Any:
        return self.loop.beside(lambda: function(*args), self.pump)

    def pump(self) -> None:
        self.got += self.second.read(2**30, self.loop.now)

    def until(self, true: Callable[[], Any]) -> None:
        self.loop.until(true, self.pump)

    def read_all(self) -> bytes:
        parts = []
        while part := self.theirs.read():
            parts.append(part)
        return b"".join(parts)


@contextlib.contextmanager
def meet(second_dials: bool, config: RSPConfig | None = None, **settings: Any) -> Iterator[Meeting]:
    """Connect the two, whichever dials."""
    loop = Loop(**settings)
    with contextlib.closing(loop), contextlib.ExitStack() as stack:
        if second_dials:
            listener = stack.enter_context(rawproto.listen(NETWORK, "127.0.0.1:0", config=config))
            second = loop.host.dial(("127.0.0.1", listener.addr.port), listener.addr.port, loop.now)
            theirs = loop.beside(listener.accept)
        else:
            loop.host.listening = True
            # Another connection keeps their socket open, so that who asks can learn how this one ended.
            keeper, _ = dialed(loop, config)
            stack.callback(keeper.abort)
            theirs, second = dialed(loop, config)
        stack.callback(theirs.abort)  # whatever is left: nothing is to be delivered when the loop is gone
        theirs.set_deadline(PATIENCE)
        yield Meeting(loop, second, theirs)


def dialed(loop: Loop, config: RSPConfig | None) -> tuple[Any, Connection]:
    """Both ends of a connection that rawproto dials."""
    theirs = loop.beside(lambda: rawproto.dial(NETWORK, loop.address, timeout=PATIENCE, config=config))
    accepted: list[Connection] = []
    loop.until(lambda: accepted, lambda: accepted.extend(filter(None, [loop.host.accept()])))
    return theirs, accepted[0]


def digest(data: bytes | bytearray) -> str:
    return hashlib.sha256(data).hexdigest()


@BOTH
@pytest.mark.parametrize(("size", "loss"), [(1_000_000, 0.0), (200_000, 0.05), (50_000, 0.2)])
def test_bytes_go_both_ways(second_dials: bool, size: int, loss: float) -> None:
    there, back = random.Random(1).randbytes(size), random.Random(2).randbytes(size)
    with meet(second_dials, loss=loss) as both:
        both.second.write(there)
        both.second.finish()

        def work() -> bytes:
            both.theirs.write(back)
            both.theirs.close_write()
            return both.read_all()

        assert digest(both.beside(work)) == digest(there)
        both.until(lambda: both.second.at_end)
        both.until(lambda: both.second.state == "closed")
        assert digest(both.got) == digest(back)
        assert both.second.error is None


@BOTH
@pytest.mark.parametrize("second_ends_first", [True, False])
def test_half_closed(second_dials: bool, second_ends_first: bool) -> None:
    with meet(second_dials) as both:
        if second_ends_first:
            both.second.write(b"question")
            both.second.finish()
            assert both.beside(both.read_all) == b"question"
            both.beside(both.theirs.write, b"answer")
            both.until(lambda: both.got == b"answer")
            both.theirs.close_write()
        else:
            both.beside(both.theirs.write, b"question")
            both.theirs.close_write()
            both.until(lambda: both.second.at_end)
            assert both.got == b"question"
            both.second.write(b"answer")
            both.second.finish()
            assert both.beside(both.read_all) == b"answer"
        both.until(lambda: both.second.state == "closed")
        assert both.second.error is None


@BOTH
def test_the_server_speaks_first(second_dials: bool) -> None:
    with meet(second_dials) as both:
        if second_dials:
            both.beside(both.theirs.write, b"220 ready")
            both.until(lambda: both.got == b"220 ready")
        else:
            both.second.write(b"220 ready")
            assert both.beside(both.theirs.read_exactly, 9) == b"220 ready"


@BOTH
@pytest.mark.parametrize("integrity", FEATURES)
@pytest.mark.parametrize("check", FEATURES)
def test_checks(second_dials: bool, integrity: str, check: str) -> None:
    with meet(second_dials, RSPConfig(integrity=integrity), check=check) as both:
        both.second.write(b"hello")
        assert both.beside(both.theirs.read_exactly, 5) == b"hello"
        both.beside(both.theirs.write, b"you too")
        both.until(lambda: both.got == b"you too")
        assert both.second.check == max(check, integrity, key=list(FEATURES).index)


@BOTH
def test_an_abort_is_a_reset(second_dials: bool) -> None:
    with meet(second_dials) as both:
        both.beside(both.theirs.write, b"hello")
        both.until(lambda: both.got == b"hello")
        both.theirs.abort()
        both.until(lambda: both.second.state == "closed")
        assert both.second.error is Why.ABORTED
    with meet(second_dials) as both:
        both.second.write(b"hello")
        assert both.beside(both.theirs.read_exactly, 5) == b"hello"
        both.second.reset(Why.ABORTED)
        with pytest.raises(ConnectionResetError):
            both.beside(both.theirs.read)


@BOTH
def test_a_window_that_closes(second_dials: bool) -> None:
    sent = random.Random(3).randbytes(200_000)
    small = RSPConfig(initial_window=16_384, receive_window=16_384)
    with meet(second_dials, small, window=16_384) as both:
        both.second.write(sent)
        both.second.finish()
        both.until(lambda: both.second.persists >= 2)  # it was probed, and is still closed
        assert digest(both.beside(both.read_all)) == digest(sent)
        both.theirs.close_write()
        both.until(lambda: both.second.state == "closed")


def test_refused_ports() -> None:
    loop = Loop()
    with contextlib.closing(loop), rawproto.listen(NETWORK, "127.0.0.1:0") as listener:
        with pytest.raises(ConnectionRefusedError):
            loop.beside(lambda: rawproto.dial(NETWORK, loop.address, timeout=PATIENCE))
        other = ("127.0.0.1", listener.addr.port)
        conn = loop.host.dial(
            other, listener.addr.port ^ 1, loop.now
        )  # a port that the socket's owner has not
        loop.until(lambda: conn.state == "closed")
        assert conn.error is Why.REFUSED


def test_another_version() -> None:
    with (
        rawproto.listen(NETWORK, "127.0.0.1:0") as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain,
    ):
        plain.connect(("127.0.0.1", listener.addr.port))
        plain.settimeout(PATIENCE)
        hello = Hello(plain.getsockname()[1], 1200, 3, 0x1234_5678_9ABC_DEF0, 65_536, version=2)
        plain.send(encode(Packet(Kind.SYN, 0, listener.addr.port, 0, 0, version=2, hello=hello)))
        answer = decode(plain.recv(2048))
    assert (answer.kind, answer.version, answer.reason) == (Kind.RESET, 1, Why.VERSION)
    assert (answer.connection, answer.number) == (hello.identifier, 0)
    assert answer.right()
