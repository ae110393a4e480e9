"""Waiting for a descriptor from a blocking thread, with a way for other threads to end the wait."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import time

from rawproto.link.busypoll import Eagerness

__all__ = ["POLLERR", "POLLIN", "POLLOUT", "Poller"]

POLLIN = select.POLLIN
POLLERR = select.POLLERR
POLLOUT = select.POLLOUT
MILLISECOND = 1_000_000
_LOOK = 200_000
"""Nanoseconds to look again at most, twice as long as for a link: to answer, a peer of Python needs as long as waking
does. A request and its response inside UDP, a core each, take 100 us so; with half of it 117 to 220, mostly asleep."""

# poll() counts whole milliseconds, which is too coarse for pacing: the last of them is waited for by ppoll(), which
# costs about a microsecond more to call through ctypes.
_FINE = 2 * MILLISECOND


class _PollFd(ctypes.Structure):
    _fields_ = (("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short))


_TwoPollFds = _PollFd * 2


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


_ppoll = ctypes.CDLL(None, use_errno=True).ppoll
_ppoll.argtypes = [ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_void_p]


class _Idleness:
    """Whether processors are idle, looked up once a second: only then does looking again take nothing from anybody.

    On two processors with fifteen busy programs a stream inside UDP moved 0.7 to 1.9 Gbit/s while looking, 2.9 to 3.6
    without.
    """

    def __init__(self) -> None:
        self._until = 0
        self._idle = False
        self._busy_from = 1.5 * (os.cpu_count() or 1)

    def at(self, now: int) -> bool:
        """Whether there was room at ``now``, nanoseconds."""
        if now >= self._until:
            self._until = now + 1000 * MILLISECOND
            try:
                self._idle = os.getloadavg()[0] < self._busy_from
            except OSError:
                self._idle = False
        return self._idle


_idleness = _Idleness()


class Poller:
    """One descriptor and an eventfd to wait on; one thread waits at a time, any thread may :meth:`wake` it."""

    __slots__ = ("_eagerness", "_fds", "_poll", "_timeout", "_wakefd", "events")

    def __init__(self, fd: int, events: int = POLLIN) -> None:
        self._wakefd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.events = events
        """What is waited for."""
        self._fds = _TwoPollFds(_PollFd(fd, events, 0), _PollFd(self._wakefd, POLLIN, 0))
        self._timeout = _TimeSpec()
        self._poll = select.poll()
        self._poll.register(fd, events)
        self._poll.register(self._wakefd, POLLIN)
        self._eagerness = Eagerness(_LOOK)

    def watch(self, events: int) -> None:
        """Wait for ``events`` (POLLIN, POLLOUT or both) of the descriptor from now on."""
        if events != self.events:
            self.events = events
            self._fds[0].events = events
            self._poll.modify(self._fds[0].fd, events)

    def wait(self, timeout: int | None) -> int:
        """Wait at most ``timeout`` nanoseconds; the descriptor's events (POLLIN, POLLERR, ...), 0 for none.

        A signal may end the wait early: callers look again at what they wait for. While packets come fast it looks
        again for a moment before it sleeps, see :mod:`rawproto.link.busypoll`.
        """
        if self._wakefd < 0:
            return 0
        if timeout is not None and timeout <= _LOOK:
            return self._fine_wait(max(timeout, 0))
        eagerness, clock = self._eagerness, time.monotonic_ns
        begin = clock()
        if eagerness.decide() and _idleness.at(begin):
            poll, until = self._poll.poll, begin + _LOOK
            while (now := clock()) < until:
                if ready := poll(0):
                    # Found late, it came while somebody else had the processor: see BusyPoll.
                    if clock() < until + _LOOK:
                        eagerness.looking_paid()
                    else:
                        eagerness.looking_was_vain()
                    return self._found(ready)
            eagerness.looking_was_vain()
            if timeout is not None:
                timeout -= now - begin
            begin = now
        if timeout is None or timeout >= _FINE:
            found = self._found(self._poll.poll(None if timeout is None else timeout // MILLISECOND))
        else:
            found = self._fine_wait(max(timeout, 0))
        eagerness.slept(clock() - begin)
        return found

    def _found(self, ready: list[tuple[int, int]]) -> int:
        if len(ready) == 1 and ready[0][0] != self._wakefd:  # the usual case
            return ready[0][1]
        found = 0
        for fd, events in ready:
            if fd == self._wakefd:
                self._clear()
            else:
                found = events
        return found

    def _fine_wait(self, timeout: int) -> int:
        # The timeouts of this path are below a second: no division is needed.
        self._timeout.nanoseconds = timeout
        count = _ppoll(ctypes.addressof(self._fds), 2, ctypes.addressof(self._timeout), None)
        if count <= 0:
            number = ctypes.get_errno()
            if count < 0 and number != errno.EINTR:
                raise OSError(number, os.strerror(number))
            return 0
        if self._fds[1].revents:
            self._clear()
        return int(self._fds[0].revents)

    def wake(self) -> None:
        """End the current wait, or the next one if none is on."""
        try:
            os.eventfd_write(self._wakefd, 1)
        except (OSError, ValueError, OverflowError):
            # Already signalled to the brim, or closed: nobody is left asleep in either case.
            pass

    def _clear(self) -> None:
        try:
            os.eventfd_read(self._wakefd)
        except OSError:
            pass

    def close(self) -> None:
        """Give the eventfd back; the watched descriptor is its owner's to close."""
        wakefd, self._wakefd = self._wakefd, -1
        if wakefd >= 0:
            os.close(wakefd)
