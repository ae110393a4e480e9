"""What the tests of connections share: one harness a transport and face, so that one suite runs over all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import threading
import time

import pytest
import trustme

import rawproto
from rawproto import aio
from rawproto.net import stream_front


class Harness:
    """A network through one face: ``listen``, ``accept`` and ``dial`` are the face's."""

    def pair(self, **options):
        """A connected pair: (dialled, accepted), both with a deadline, so that nothing hangs."""
        listener = self.listen(**options)
        with spawned(self.accept, listener) as accepted:
            client = self.dial(listener.addr)
        server = accepted.result()
        for conn in (client, server):
            conn.set_deadline(100)
        return client, server


class Blocking(Harness):
    """The blocking face."""

    def __init__(self, network, tls=None):
        self.network = network
        self.tls = tls
        self._stack = contextlib.ExitStack()

    def listen(self, **options):
        server = self.tls[0] if self.tls else None
        host = "[::1]" if self.network.endswith("6") else "127.0.0.1"
        listener = rawproto.listen(self.network, f"{host}:0", tls=server, **options)
        return self._stack.enter_context(listener)

    def dial(self, address, **options):
        if self.tls:
            options.setdefault("tls", self.tls[1])
        conn = rawproto.dial(self.network, address, **{"timeout": 100, **options})
        return self._stack.enter_context(conn)

    def accept(self, listener):
        return self._stack.enter_context(listener.accept())

    def close(self):
        self._stack.close()


class Task:
    """A call in a thread of its own, with its result or exception."""

    def __init__(self, function, *args):
        self._value = None
        self._error = None
        self._thread = threading.Thread(target=self._run, args=(function, *args), daemon=True)
        self._thread.start()

    def _run(self, function, *args):
        try:
            self._value = function(*args)
        except BaseException as error:
            self._error = error

    def result(self, timeout=300):
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "a call did not come back"
        if self._error is not None:
            raise self._error
        return self._value

    @property
    def running(self):
        return self._thread.is_alive()


@contextlib.contextmanager
def spawned(function, *args):
    """``function`` runs in a thread during the block and is over behind it."""
    task = Task(function, *args)
    yield task
    task.result()


class Bridge:
    """An asyncio connection or listener with blocking methods: each runs its coroutine in the harness's loop."""

    def __init__(self, harness, inner):
        self._harness = harness
        self._inner = inner

    def __getattr__(self, name):
        value = getattr(self._inner, name)
        if not callable(value):
            return value

        def call(*args, **options):
            async def run():
                result = value(*args, **options)
                return await result if asyncio.iscoroutine(result) else result

            return self._harness.call(run())

        return call

    def __enter__(self):
        self._harness.call(self._inner.__aenter__())
        return self

    def __exit__(self, *what):
        self._harness.call(self._inner.__aexit__(*what))

    def __iter__(self):
        while True:
            try:
                yield self._harness.wrap(self.accept())
            except rawproto.ClosedError:
                return


class Async(Harness):
    """The asyncio face, seen through :class:`Bridge` so that one suite serves both."""

    def __init__(self, network, tls=None):
        self.network = network
        self.tls = tls
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self._open = []

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(300)

    def wrap(self, inner):
        bridge = Bridge(self, inner)
        self._open.append(bridge)
        return bridge

    def listen(self, **options):
        server = self.tls[0] if self.tls else None
        host = "[::1]" if self.network.endswith("6") else "127.0.0.1"
        return self.wrap(self.call(aio.listen(self.network, f"{host}:0", tls=server, **options)))

    def dial(self, address, **options):
        if self.tls:
            options.setdefault("tls", self.tls[1])
        return self.wrap(self.call(aio.dial(self.network, address, **{"timeout": 100, **options})))

    def accept(self, listener):
        return self.wrap(listener.accept())

    def close(self):
        for bridge in reversed(self._open):
            bridge.close()
        self.call(self._drain())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(100)
        self.loop.close()

    async def _drain(self):
        await asyncio.sleep(0)


def eventually(condition, seconds=100):
    """Wait until ``condition()`` is true; fails when it does not become so in a generous time."""
    stop = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < stop, f"{condition} did not become true"
        time.sleep(0.002)


def open_descriptors():
    return sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a Path each would be work for nothing


@pytest.fixture(autouse=True)
def nothing_broke(caplog):
    """A driver that breaks is an error even if the test itself got over it."""
    yield
    broken = [
        record
        for when in ("setup", "call")
        for record in caplog.get_records(when)
        if record.levelname == "ERROR"
    ]
    assert not broken, broken[0].getMessage()


@pytest.fixture(autouse=True)
def patient_handshakes(monkeypatch):
    """A TLS handshake may take as long as anything else on a machine that does much else."""
    monkeypatch.setattr(stream_front, "TLS_HANDSHAKE_TIMEOUT", 100)


@pytest.fixture
def spawn():
    return spawned


@pytest.fixture
def background():
    """Starts a call in a thread; returns the Task."""
    return Task


@pytest.fixture
def wait_until():
    return eventually


@pytest.fixture
def descriptors():
    return open_descriptors


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def contexts(authority):
    """(server context, client context) that trust each other by way of a private authority."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "::1", "example.org").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


@pytest.fixture
def make_harness(request):
    """Generates a harness for a face and a network, and closes it; on raw IP in a host of its own."""

    def make(face, network, tls=None):
        with contextlib.ExitStack() as stack:
            if network.startswith("rsp") and "udp" not in network:
                # Threads started inside belong to the host as well.
                stack.enter_context(request.getfixturevalue("lab").host("a"))
            harness = (Blocking if face == "blocking" else Async)(network, tls)
            yield harness
            harness.close()

    return make
