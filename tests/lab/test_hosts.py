"""Hosts: where sockets, programs and functions run, and what comes back from them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rawproto import Lab, LabError

pytestmark = pytest.mark.netns


def _standing() -> str:
    """The network namespace of this thread."""
    return str(Path("/proc/thread-self/ns/net").readlink())


def test_addresses_are_those_of_the_plan_or_those_asked_for(lab: Lab) -> None:
    a, b, c = lab.hosts("a", "b", "c")
    lab.link(a, b)
    lab.link(b, c, a_addresses=["192.0.2.1/24"], b_addresses=["192.0.2.9/24", "2001:db8::9/64"])
    assert a.address() == "10.0.0.1"
    assert b.address(6) == "fd00::2"
    assert c.addresses() == ["192.0.2.9", "2001:db8::9"]
    assert str(c.ip6) == "2001:db8::9"
    with pytest.raises(LabError, match=r"192\.0\.2\.1"):
        lab.link(a, c, a_addresses=["192.0.2.1"])
    with pytest.raises(LabError, match="no IPv4 address"):
        lab.host("d").address()


def test_a_thread_enters_and_leaves_nested_and_alone(lab: Lab) -> None:
    a, b = lab.hosts("a", "b")
    home = _standing()
    seen: list[str] = []
    with a:
        seen.append(_standing())
        other = threading.Thread(target=lambda: seen.append(_standing()))
        with b:
            seen.append(_standing())
            with a:
                seen.append(_standing())
            seen.append(_standing())
        # A thread starts where its creator stands, and what it does later is its own affair.
        other.start()
        other.join()
    names = dict(zip(lab.namespaces, "ab", strict=True))
    assert "".join(names[int(link[5:-1])] for link in seen) == "ababa"
    assert _standing() == home


def test_the_way_back_is_found_after_an_exception(lab: Lab) -> None:
    home = _standing()
    with pytest.raises(ZeroDivisionError), lab.host("a"):
        raise ZeroDivisionError
    assert _standing() == home


def test_programs_run_on_the_host(lab: Lab) -> None:
    a = lab.host("a")
    script = "import os; print(os.readlink('/proc/self/ns/net'))"
    done = a.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"net:[{lab.namespaces[0]}]"
    with pytest.raises(subprocess.CalledProcessError):
        a.run([sys.executable, "-c", "raise SystemExit(3)"], check=True)
    echo = a.run([sys.executable, "-c", "print(input()[::-1])"], input="abc", text=True, capture_output=True)
    assert echo.stdout == "cba\n"
    with pytest.raises(subprocess.TimeoutExpired):
        a.run(["sleep", "600"], timeout=0.05)


def test_functions_run_in_a_process_of_their_own(lab: Lab) -> None:
    a = lab.host("a")
    offset = 40
    pid, link, answer = a.call(lambda x: (os.getpid(), _standing(), x + offset), 2)
    assert pid != os.getpid()
    assert link == f"net:[{lab.namespaces[0]}]"
    assert answer == 42
    # More than a pipe holds.
    assert a.call(lambda: bytes(1 << 20)) == bytes(1 << 20)


class Sour:
    """Pickles, and fails to come back, whoever may have taught pickle more about exceptions (as dask does)."""

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return int, ("sour",)


def _refuse() -> None:
    raise RuntimeError("refused", Sour())


def test_what_a_function_raises_comes_back(lab: Lab) -> None:
    a = lab.host("a")
    with pytest.raises(KeyError) as caught:
        a.call(lambda: {}["missing"])
    assert any("missing" in note for note in caught.value.__notes__)
    with pytest.raises(LabError, match="refused"):
        a.call(_refuse)
    with pytest.raises(LabError, match="cannot be pickled"):
        a.call(lambda: threading.Lock())
    with pytest.raises(LabError, match="exit status 7"):
        a.call(lambda: os._exit(7))


def test_a_call_can_be_waited_for_in_part_and_ended(lab: Lab) -> None:
    a = lab.host("a")
    read, write = os.pipe()
    call = a.start(os.read, read, 1)
    with pytest.raises(TimeoutError):
        call.result(timeout=0.01)
    assert call.poll() is None
    os.write(write, b"x")
    assert call.result(timeout=60) == b"x"
    assert call.wait() == 0
    hanging = a.start(os.read, read, 1)
    hanging.kill()
    assert hanging.wait() == -9
    os.close(read)
    os.close(write)


def test_a_closed_lab_says_so(lab: Lab) -> None:
    a = lab.host("a")
    lab.close()
    lab.close()
    with pytest.raises(LabError, match="closed"):
        lab.host("b")
    with pytest.raises(LabError, match="closed"):
        a.run(["true"])
