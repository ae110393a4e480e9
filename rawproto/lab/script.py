"""Scripts: packets sent by hand to a protocol, and exactly what must come back, and when.

The idea is packetdrill's (N. Cardwell and others, USENIX ATC 2013), for any declared header: the script stands where
the peer would, injects packets that a real peer may never send, and names each packet that the protocol must answer
with. Times are relative to the step before. Every packet counts: one that was not expected fails the script.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rawproto.errors import ConfigError, DecodeError, ExpectationError
from rawproto.lab.stand import stand_on
from rawproto.lab.units import nanoseconds
from rawproto.wire import Header

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from rawproto.lab.host import Host
    from rawproto.lab.simhost import SimHost
    from rawproto.link import RawSocket

__all__ = ["Script", "Seen"]

H = TypeVar("H", bound=Header)

SHOWN = 8
"""Steps that the message of a failure shows, the last ones."""


@dataclasses.dataclass(frozen=True, slots=True)
class Seen(Generic[H]):
    """A packet that came as expected.

    Attributes:
        header: its header.
        payload: what is behind it.
        source: where it came from.
        time: when, in nanoseconds of the simulation, or of the monotonic clock.
    """

    header: H
    payload: bytes
    source: Any
    time: int


class Script:
    """The hand-written peer of a protocol under test.

    Args:
        host: where the peer stands. A host of a :class:`rawproto.Simulation`: time is virtual, and no protocol may
            run there on that channel. A host of a :class:`rawproto.Lab`, or any :class:`rawproto.RawSocket`, such as
            one with ``remote=`` another machine: time is real, and packets have the times at which the kernel got
            them.
        to: whom packets are sent to: a node, or an address. None takes it from the first packet that comes.
        channel: the IP protocol number.
        finish: applied to the bytes of each packet before it is sent, for a checksum that the header does not compute.
        tolerance: how far from its time a packet may come when a step says ``at``; 1 ms in virtual, 20 ms in real
            time unless given.
        version: of IP, on a host of a lab.

    Attributes:
        address: where the protocol under test finds the peer.
    """

    def __init__(
        self,
        host: SimHost | Host | RawSocket,
        to: Any = None,
        *,
        channel: Any = 253,
        finish: Callable[[bytes], bytes] | None = None,
        tolerance: str | float | None = None,
        version: int = 4,
    ) -> None:
        self._stand = stand_on(host, channel, version)
        self._to = getattr(to, "address", to)
        self._finish = finish
        self._tolerance = nanoseconds(self._stand.tolerance if tolerance is None else tolerance, "tolerance")
        self._ignored: list[Callable[[bytes], Any]] = []
        self._told: list[str] = []
        self._last = self._stand.now()
        self._began = self._last
        self.address = self._stand.address

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the place; what comes later finds nobody."""
        self._stand.close()

    # ---- steps ------------------------------------------------------------------------------------------------

    def inject(self, packet: Any, *, after: str | float = 0) -> None:
        """Send a packet (anything with bytes: a header, ``header / payload``, bytes), so long after the last step.

        Raises:
            ConfigError: nobody to send it to was named, and nothing has come yet.
            ExpectationError: something that was not expected came before.
        """
        if self._to is None:
            raise ConfigError("Script(to=...) is needed when the script speaks first")
        self._pass_time(self._last + nanoseconds(after, "after"))
        data = bytes(packet)
        data = data if self._finish is None else self._finish(data)
        self._step(f"inject {_shown(packet, data)}")
        self._stand.send(data, self._to)

    def expect(
        self,
        header: type[H],
        *,
        at: str | float | None = None,
        within: str | float = "1s",
        payload: bytes | None = None,
        when: Callable[[H, bytes], Any] | None = None,
        **fields: Any,
    ) -> Seen[H]:
        """The next packet must be this one.

        Args:
            header: its type.
            at: when it comes, after the last step, give or take the tolerance.
            within: without ``at``: how long after the last step at the latest.
            payload: what is behind the header, where that matters.
            when: more that must be true of header and payload.
            fields: what each field must be, or a function that is true of it.

        Raises:
            ConfigError: the header has no such field.
            ExpectationError: another packet came, or none, or at another time; the message shows the steps before.
        """
        unknown = [
            name for name in fields if not hasattr(header, name) and name not in header.__annotations__
        ]
        if unknown:
            raise ConfigError(f"{header.__name__} has no field {', '.join(unknown)}")
        earliest, latest = self._window(at, within)
        wanted = f"expect {header.__name__}({', '.join(f'{name}={_named(value)}' for name, value in fields.items())})"
        if not self._stand.wait(self._has_heard, latest):
            self._fail(f"{wanted}: nothing came within {_ms(latest - self._last)}")
        time, data, source = self._stand.heard.pop(0)
        try:
            found, rest = header.parse(data)
        except DecodeError as error:
            self._fail(f"{wanted}: {data.hex()} came: {error}")
        wrong = [
            f"{name} is {getattr(found, name)!r}"
            for name, value in fields.items()
            if not _holds(value, getattr(found, name))
        ]
        if payload is not None and rest != payload:
            wrong.append(f"the payload is {rest!r}, not {payload!r}")
        if when is not None and not when(found, rest):
            wrong.append(f"{_named(when)} is not true of it")
        if not earliest <= time <= latest:
            wrong.append(f"it came {_ms(time - self._last)} after the last step, not {at or within}")
        if wrong:
            self._fail(f"{wanted}: {'; '.join(wrong)}, in {found!r}")
        if self._to is None:
            self._to = source
        self._last = time
        self._told.append(f"{(time - self._began) / 1e9:12.6f}  {wanted}")
        return Seen(found, rest, source, time)

    def expect_nothing(self, during: str | float) -> None:
        """No packet may come for so long after the last step.

        Raises:
            ExpectationError: one came.
        """
        self._pass_time(self._last + nanoseconds(during, "during"))
        self._step(f"expect nothing for {during}")

    def ignore(self, when: Callable[[bytes], Any]) -> None:
        """From now on packets of which ``when(data)`` is true do not count."""
        self._ignored.append(when)

    # ---- inside -----------------------------------------------------------------------------------------------

    def _window(self, at: str | float | None, within: str | float) -> tuple[int, int]:
        if at is None:
            return self._last, self._last + nanoseconds(within, "within")
        middle = self._last + nanoseconds(at, "at")
        return middle - self._tolerance, middle + self._tolerance

    def _has_heard(self) -> bool:
        heard = self._stand.heard
        heard[:] = [item for item in heard if not any(when(item[1]) for when in self._ignored)]
        return bool(heard)

    def _pass_time(self, until: int) -> None:
        """Let time go by in which nothing may come."""
        if self._has_heard() or (until > self._stand.now() and self._stand.wait(self._has_heard, until)):
            time, data, _ = self._stand.heard[0]
            self._fail(
                f"nothing was expected, and {data.hex()} came {_ms(time - self._last)} after the last step"
            )

    def _step(self, text: str) -> None:
        self._last = self._stand.now()
        self._told.append(f"{(self._last - self._began) / 1e9:12.6f}  {text}")

    def _fail(self, text: str) -> Any:
        steps = "\n".join(self._told[-SHOWN:])
        raise ExpectationError(f"{text}\n{steps}\n{self._stand.how_to_replay()}")


def _holds(wanted: Any, value: Any) -> bool:
    return bool(wanted(value)) if callable(wanted) else bool(value == wanted)


def _named(value: Any) -> str:
    return str(getattr(value, "__name__", None) or repr(value))


def _shown(packet: Any, data: bytes) -> str:
    return data.hex() if isinstance(packet, bytes | bytearray | memoryview) else repr(packet)


def _ms(span: int) -> str:
    return f"{span / 1e6:.3f} ms"
