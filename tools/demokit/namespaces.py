"""The demo on real sockets: two hosts in network namespaces, the relay between them, a process on each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto import Lab

from .relay import relay_of
from .result import Result
from .supervisor import Supervisor

if TYPE_CHECKING:
    from .artefacts import Artefacts
    from .display import Display
    from .settings import Settings
    from .source import Source

__all__ = ["run"]


def run(source: Source, settings: Settings, display: Display, artefacts: Artefacts, where: str) -> Result:
    """Build the lab, send ``source`` across it and take the lab apart again, whatever happens."""
    try:
        with Lab("demo") as lab:
            return _send_across(lab, source, settings, display, artefacts, where)
    finally:
        # Nobody is left to hand over anything.
        artefacts.adopt_trace()


def _send_across(
    lab: Lab, source: Source, settings: Settings, display: Display, artefacts: Artefacts, where: str
) -> Result:
    left, right = lab.hosts("sender", "receiver")
    link = lab.link(left, right, seed=settings.seed, **settings.impairments)
    display.step(f"two hosts, {left.ip4} and {right.ip4}, joined through the relay")
    link.capture(artefacts.wire)
    with Supervisor(source, settings, display, artefacts.handover) as supervisor:
        done = supervisor.transfer(left, right)
    return Result(
        where=where,
        name=source.name,
        seconds=done.seconds,
        wall=done.seconds,
        rate=settings.rate,
        sender=done.sender,
        receiver=done.receiver,
        relay=relay_of(link),
    )
