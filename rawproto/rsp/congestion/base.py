"""What every congestion controller does, and the registry that names them.

A controller sees events, never packets: bytes sent, acknowledged and lost, with the times that matter. It owns the
congestion window; pacing reads :attr:`CongestionController.pacing_rate`.
"""

from __future__ import annotations

import abc
import dataclasses
import importlib

from rawproto.errors import ConfigError

__all__ = ["Acknowledged", "CongestionController", "Lost", "controller", "controller_names"]


@dataclasses.dataclass(slots=True)
class Acknowledged:
    """What one acknowledgement newly covers.

    Attributes:
        now: when it arrived, ns.
        bytes: newly acknowledged bytes that were in flight.
        sent_at: when the largest newly acknowledged packet was sent, ns.
        in_flight: bytes in flight before this acknowledgement.
        rtt: latest round-trip sample, ns (0 when this acknowledgement gave none).
        smoothed_rtt: smoothed round trip, ns.
        min_rtt: least round trip, ns.
        delivery_rate: bytes a second at which the acknowledged packet and those before it were delivered
            (draft-ietf-ccwg-bbr section 4.1.2), 0 when unknown.
        app_limited: the delivery rate was limited by the application.
        prior_delivered: bytes that had been delivered when the acknowledged packet was sent.
        delivered: bytes delivered so far, this acknowledgement included.
    """

    now: int
    bytes: int
    sent_at: int
    in_flight: int
    rtt: int
    smoothed_rtt: int
    min_rtt: int
    delivery_rate: float = 0.0
    app_limited: bool = False
    prior_delivered: int = 0
    delivered: int = 0


@dataclasses.dataclass(slots=True)
class Lost:
    """What was newly declared lost.

    Attributes:
        now: when it was declared, ns.
        bytes: bytes of the lost packets.
        sent_at: when the newest lost packet was sent, ns.
        in_flight: bytes in flight after taking the lost ones out.
        persistent: persistent congestion was established (RFC 9002 section 7.6).
    """

    now: int
    bytes: int
    sent_at: int
    in_flight: int
    persistent: bool = False


class CongestionController(abc.ABC):
    """Window and pacing rate of one connection; all sizes in bytes, times in nanoseconds."""

    name: str

    def __init__(self, max_datagram: int, now: int) -> None:
        self.max_datagram = max_datagram

    @property
    @abc.abstractmethod
    def window(self) -> int:
        """Bytes that may be in flight."""

    @abc.abstractmethod
    def pacing_rate(self, smoothed_rtt: int) -> float:
        """Bytes a second at which to send."""

    @abc.abstractmethod
    def on_acknowledged(self, event: Acknowledged, *, window_limited: bool) -> None:
        """Packets were acknowledged; ``window_limited``: the window was what held sending back."""

    @abc.abstractmethod
    def on_lost(self, event: Lost) -> None:
        """Packets were declared lost."""

    @abc.abstractmethod
    def on_congestion_mark(self, now: int, sent_at: int) -> None:
        """The peer saw ECN congestion marks on packets up to one sent at ``sent_at`` (RFC 9002 section 7.1)."""

    @abc.abstractmethod
    def on_spurious_loss(self, now: int) -> None:
        """All losses of the current recovery period were false: undo the reduction."""

    def on_max_datagram(self, size: int) -> None:
        """The datagram size of the path has changed."""
        self.max_datagram = size

    @property
    def state(self) -> str:
        """A word for traces: "slow start", "recovery", ..."""
        return ""


_CONTROLLERS = {
    "newreno": ("rawproto.rsp.congestion.newreno", "NewReno"),
    "cubic": ("rawproto.rsp.congestion.cubic", "Cubic"),
    "bbr": ("rawproto.rsp.congestion.bbr", "BBR"),
}


def controller_names() -> list[str]:
    """The names that :func:`controller` knows."""
    return sorted(_CONTROLLERS)


def controller(name: str) -> type[CongestionController]:
    """The controller class called ``name``.

    Raises:
        ConfigError: there is none of that name.
    """
    try:
        module, attribute = _CONTROLLERS[name]
    except KeyError:
        known = ", ".join(controller_names())
        raise ConfigError(f"unknown congestion controller {name!r} (known: {known})") from None
    found: type[CongestionController] = getattr(importlib.import_module(module), attribute)
    return found
