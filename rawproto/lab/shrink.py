"""From a failing seed to the few packets that matter.

A scenario is a function that takes a :class:`rawproto.Simulation`, builds hosts and links in it, runs, and raises when
something is wrong. Of all that chance did to packets in a failing run, :func:`shrink` finds a set that still makes
it fail and of which nothing can be left out, by the delta debugging of A. Zeller and R. Hildebrandt ("Simplifying and
isolating failure-inducing input", 2002, algorithm ddmin).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from rawproto.errors import LabError
from rawproto.lab.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Shrunk", "shrink"]

Fault = tuple[int, str, int]


@dataclasses.dataclass(frozen=True)
class Shrunk:
    """A failing run with as few faults as possible.

    Attributes:
        seed: of the simulation.
        faults: (number of the link, direction, number of the packet) of each fault that is needed.
        error: what the scenario raises.
        tried: how many runs it took to find.
    """

    seed: int
    faults: tuple[Fault, ...]
    error: Exception
    tried: int

    def as_test(self, scenario: str) -> str:
        """A pytest test, as text, that repeats the run; ``scenario`` is "module:function"."""
        module, _, function = scenario.partition(":")
        if not (module and function.isidentifier()):
            raise LabError(f"{scenario!r} is not of the form module:function")
        lines = "".join(f"        {fault!r},\n" for fault in self.faults)
        return (
            f"from rawproto import Simulation\nfrom {module} import {function}\n\n\n"
            f"def test_{function}_seed_{self.seed}():\n"
            f"    # Raised {type(self.error).__name__} when it was found.\n"
            f"    faults = [\n{lines}    ]\n"
            f"    {function}(Simulation({self.seed}, faults=faults))\n"
        ).replace("    faults = [\n    ]\n", "    faults = []\n")


def shrink(scenario: Callable[[Simulation], Any], seed: int, *, most: int = 2000) -> Shrunk:
    """Find the few faults that make ``scenario`` fail with this seed.

    Args:
        scenario: raises when something is wrong.
        seed: with which it fails.
        most: runs to spend; what is found by then is given.

    Raises:
        LabError: it does not fail with this seed.
    """
    search = _Search(scenario, seed, most)
    whole = Simulation(seed)
    error = search.run(whole)
    if error is None:
        raise LabError(f"the scenario does not fail with seed {seed}")
    faults = search.minimise(whole.happened())
    return Shrunk(seed, tuple(faults), search.error or error, search.tried)


class _Search:
    def __init__(self, scenario: Callable[[Simulation], Any], seed: int, most: int) -> None:
        self._scenario = scenario
        self._seed = seed
        self._most = most
        self.tried = 0
        self.error: Exception | None = None

    def run(self, simulation: Simulation) -> Exception | None:
        self.tried += 1
        try:
            self._scenario(simulation)
        except Exception as error:  # whatever the scenario finds wrong
            return error
        return None

    def _fails(self, faults: Sequence[Fault]) -> bool:
        if self.tried >= self._most:
            return False
        error = self.run(Simulation(self._seed, faults=faults))
        if error is not None:
            self.error = error
        return error is not None

    def minimise(self, faults: list[Fault]) -> list[Fault]:
        """The algorithm ddmin: leave out ever smaller parts as long as the run still fails."""
        if self._fails([]):
            return []
        parts = 2
        while len(faults) >= 2:
            size = -(-len(faults) // parts)
            for start in range(0, len(faults), size):
                rest = faults[:start] + faults[start + size :]
                if self._fails(rest):
                    faults = rest
                    parts = max(parts - 1, 2)
                    break
            else:
                if size == 1:
                    break
                parts = min(parts * 2, len(faults))
        return faults
