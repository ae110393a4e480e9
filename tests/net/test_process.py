"""fork, the end of the interpreter, signals, threads and descriptors."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

import rawproto
from rawproto import aio
from rawproto.net.rsp_aio import REGISTRY

NETWORK = "rsp+udp4"


def program(text, **options):
    """Runs a Python program of its own; returns the finished process."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)], capture_output=True, text=True, timeout=400, **options
    )


def serve_once(listener, received):
    with listener.accept() as conn:
        conn.set_deadline(300)
        data = b""
        while piece := conn.read():
            data += piece
        received.append(data)


class TestExit:
    @pytest.mark.parametrize("ending", ["conn.close()", "pass", "sys.exit(3)"])
    def test_what_was_written_is_delivered_by_a_program_that_ends(self, ending, background):
        received = []
        with rawproto.listen(NETWORK, "127.0.0.1:0") as listener:
            serving = background(serve_once, listener, received)
            done = program(f"""
                import sys, rawproto
                conn = rawproto.dial("{NETWORK}", "{listener.addr}", timeout=100)
                conn.write(bytes(1_000_000))
                {ending}
            """)
            serving.result()
        assert done.stderr == ""
        assert done.returncode == (3 if "exit" in ending else 0)
        assert len(received[0]) == 1_000_000

    def test_of_a_program_with_asyncio(self, background):
        received = []
        with rawproto.listen(NETWORK, "127.0.0.1:0") as listener:
            serving = background(serve_once, listener, received)
            done = program(f"""
                import asyncio
                from rawproto import aio
                async def main():
                    conn = await aio.dial("{NETWORK}", "{listener.addr}", timeout=100)
                    await conn.write(bytes(1_000_000))
                asyncio.run(main())
            """)
            serving.result()
        assert done.stderr == ""
        assert len(received[0]) == 1_000_000

    def test_threads_that_still_wait_do_not_hold_the_program(self):
        done = program(f"""
            import rawproto, threading
            listener = rawproto.listen("{NETWORK}", "127.0.0.1:0")
            threading.Thread(target=listener.accept, daemon=True).start()
            print("over")
        """)
        assert done.stdout == "over\n"
        assert done.returncode == 0


class TestFork:
    def test_a_child_is_refused_and_the_parent_goes_on(self, background):
        received = []
        with rawproto.listen(NETWORK, "127.0.0.1:0") as listener:
            serving = background(serve_once, listener, received)
            with rawproto.dial(NETWORK, listener.addr, timeout=100) as conn:
                conn.write(b"before ")
                reading, writing = os.pipe()
                child = os.fork()
                if not child:
                    try:
                        conn.write(b"from the child")
                    except rawproto.ClosedError as error:
                        os.write(writing, str(error).encode())
                    finally:
                        conn.close()
                        listener.close()
                        os._exit(0)
                os.waitpid(child, 0)
                said = os.read(reading, 1000).decode()
                os.close(reading)
                os.close(writing)
                conn.write(b"and after")
            serving.result()
        assert "fork" in said
        assert "again in the child" in said
        assert received == [b"before and after"]

    def test_a_child_can_dial_for_itself(self, background):
        received = []
        with rawproto.listen(NETWORK, "127.0.0.1:0") as listener:
            serving = background(serve_once, listener, received)
            done = program(f"""
                import os, rawproto, warnings
                warnings.simplefilter("ignore", DeprecationWarning)  # of CPython 3.12: any fork beside threads
                mine = rawproto.listen("{NETWORK}", "127.0.0.1:0")
                child = os.fork()
                if not child:
                    with rawproto.dial("{NETWORK}", "{listener.addr}", timeout=100) as conn:
                        conn.write(b"mine")
                else:
                    assert os.waitpid(child, 0)[1] == 0
                    print(mine.addr.port > 0)
            """)
            serving.result()
        assert done.stderr == ""
        assert done.stdout == "True\n"
        assert received == [b"mine"]


def drivers():
    """The threads of drivers that run."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("rawproto")}


class TestLeaks:
    @pytest.mark.parametrize("network", ["tcp4", NETWORK])
    def test_nothing_is_left_when_all_is_closed(self, network, descriptors, wait_until):
        others = drivers()  # of earlier tests, that still deliver

        def use():
            with rawproto.listen(network, "127.0.0.1:0") as listener:
                accepting = []
                thread = threading.Thread(target=lambda: accepting.append(listener.accept()))
                thread.start()
                with rawproto.dial(network, listener.addr, timeout=100) as client:
                    thread.join()
                    client.set_deadline(100)
                    client.write(b"x")
                    accepting[0].read_exactly(1)
                    accepting[0].close()

        use()  # what is loaded and opened once and for all
        wait_until(lambda: drivers() <= others)
        gc.collect()  # what earlier tests dropped is not ours
        before = len(descriptors())
        for _ in range(5):
            use()
        wait_until(lambda: drivers() <= others)
        wait_until(lambda: len(descriptors()) <= before)

    def test_dials_that_fail_leave_nothing(self, descriptors, wait_until):
        others = drivers()
        with rawproto.listen(NETWORK, "127.0.0.1:0") as listener:
            address = listener.addr
        wait_until(lambda: drivers() <= others)
        gc.collect()  # what earlier tests dropped is not ours
        before = len(descriptors())
        for _ in range(5):
            with pytest.raises(ConnectionRefusedError):
                rawproto.dial(NETWORK, address, timeout=100)
        wait_until(lambda: drivers() <= others)
        wait_until(lambda: len(descriptors()) <= before)


async def leave_open(address=None):
    """Ends with connections open: one to ``address`` with data on its way, or to a listener of its own."""
    listener = None
    if address is None:
        listener = await aio.listen(NETWORK, "127.0.0.1:0")
        address = listener.addr
    conn = await aio.dial(NETWORK, address, timeout=100)
    if listener is not None:
        accepted = await listener.accept()
        await conn.write(b"x")
        await accepted.read_exactly(1)
    else:
        await conn.write(bytes(1_000_000))


class TestClosedLoops:
    """What connections of an event loop come to when it is closed and the program goes on."""

    def test_their_drivers_end_when_another_loop_needs_one(self, wait_until):
        others = set(REGISTRY)
        for _ in range(4):
            asyncio.run(leave_open())
        # A listener's and a dialer's; those of the last loop are left to the next one, or to the exit.
        wait_until(lambda: len(set(REGISTRY) - others) <= 2)

    def test_what_was_written_is_delivered(self, background):
        received = []
        with rawproto.listen(NETWORK, "127.0.0.1:0") as listener:
            serving = background(serve_once, listener, received)
            asyncio.run(leave_open(listener.addr))
            asyncio.run(leave_open())
            serving.result()
        assert len(received[0]) == 1_000_000


class TestSignals:
    def test_a_handler_may_close_what_its_thread_waits_in(self):
        done = program(f"""
            import rawproto, signal, threading, os, time
            listener = rawproto.listen("{NETWORK}", "127.0.0.1:0")
            signal.signal(signal.SIGTERM, lambda *_: listener.close())
            def kill():
                while not listener._side.polling:
                    time.sleep(0.01)
                os.kill(os.getpid(), signal.SIGTERM)
            try:
                threading.Thread(target=kill).start()
                listener.accept()
            except rawproto.ClosedError:
                print("closed")
        """)
        assert done.stdout == "closed\n", done.stderr

    def test_ctrl_c_ends_a_blocked_read(self):
        done = program(f"""
            import rawproto, signal, threading, os, time
            listener = rawproto.listen("{NETWORK}", "127.0.0.1:0")
            conn = rawproto.dial("{NETWORK}", listener.addr, timeout=100)
            def kill():
                while not conn._reader.polling:
                    time.sleep(0.01)
                os.kill(os.getpid(), signal.SIGINT)
            try:
                threading.Thread(target=kill).start()
                conn.read()
            except KeyboardInterrupt:
                print("interrupted")
            conn.close()
        """)
        assert done.stdout == "interrupted\n", done.stderr


class TestPeerDies:
    def test_a_killed_peer_is_one_clear_error_in_the_stated_time(self):
        """SIGKILL of the receiver in mid-transfer: the sender's write ends with an error, not with a hang."""
        config = rawproto.RSPConfig(idle_timeout=10)
        peer = subprocess.Popen(
            [
                sys.executable,
                "-c",
                textwrap.dedent(f"""
                    import rawproto
                    listener = rawproto.listen("{NETWORK}", "127.0.0.1:0")
                    print(listener.addr, flush=True)
                    conn = listener.accept()
                    conn.read_exactly(100_000)
                    print("reading", flush=True)
                    while conn.read():
                        pass
                """),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            address = peer.stdout.readline().strip()
            with rawproto.dial(NETWORK, address, timeout=100, config=config) as conn:
                conn.set_deadline(300)
                conn.write(bytes(200_000))
                assert peer.stdout.readline() == "reading\n"
                peer.send_signal(signal.SIGKILL)
                peer.wait()
                with pytest.raises((ConnectionAbortedError, ConnectionResetError)) as caught:
                    write_until_it_fails(conn)
                assert not isinstance(caught.value, rawproto.DeadlineExceeded)
                # The error is the same for whoever comes next.
                with pytest.raises(type(caught.value)):
                    conn.read()
        finally:
            peer.kill()
            peer.wait()
            peer.stdout.close()


def write_until_it_fails(conn):
    while True:
        conn.write(bytes(100_000))
