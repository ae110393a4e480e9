"""Where the demo runs: on namespaces of this machine, on those of a user namespace, or in the simulator."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .artefacts import Artefacts
    from .display import Display
    from .result import Result
    from .settings import Settings
    from .source import Source

__all__ = ["Place", "choose_place"]


@dataclasses.dataclass(frozen=True)
class Place:
    """Where, in a sentence, and how to run there."""

    text: str
    run: Callable[[Source, Settings, Display, Artefacts], Result]


def choose_place(*, simulate: bool) -> Place:
    """The most real place that this process may use; it may be entered, or the program run again, to get there."""
    if simulate:
        return Place("the virtual-time simulator, as asked for", _simulated)
    from rawproto.lab import userns

    reason = userns.why_not()
    if reason is not None:
        return Place(f"the virtual-time simulator, for there can be no namespaces here: {reason}", _simulated)
    ours = userns.inside() or not userns.can_make_networks()
    userns.ensure()
    if ours:
        return Place("network namespaces inside a user namespace of our own", _in("user namespace"))
    return Place("network namespaces of this machine", _in("namespaces"))


def _in(where: str) -> Callable[[Source, Settings, Display, Artefacts], Result]:
    def run(source: Source, settings: Settings, display: Display, artefacts: Artefacts) -> Result:
        from .namespaces import run as run_there

        return run_there(source, settings, display, artefacts, where)

    return run


def _simulated(source: Source, settings: Settings, display: Display, artefacts: Artefacts) -> Result:
    from .simulated import run as run_there

    return run_there(source, settings, display, artefacts)
