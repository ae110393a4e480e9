"""Topologies as data: a TOML text that a lab and a simulation understand alike.

::

    routers = ["r"]
    switches = ["s"]

    [[link]]
    ends = ["a", "r"]
    rate = "50mbit"
    delay = "10ms"
    seed = 7
    forward = { loss = 0.01 }

    [[link]]
    ends = ["r", "s"]

Hosts need no list of their own: they are the ends of links. A link takes the words of ``lab.link``.
"""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rawproto.errors import ConfigError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from rawproto.lab.lab import Lab
    from rawproto.lab.simulation import Simulation

__all__ = ["Topology"]

_KEYS = frozenset({"hosts", "routers", "switches", "link"})


@dataclasses.dataclass(frozen=True)
class Topology:
    """Hosts and links, not built yet.

    Attributes:
        hosts: names of hosts beyond those that the links name.
        routers: names of routers.
        switches: names of switches.
        links: each the two names and the words of ``lab.link``.
    """

    hosts: tuple[str, ...] = ()
    routers: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    links: tuple[tuple[str, str, Mapping[str, Any]], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Topology:
        """A topology from TOML text.

        Raises:
            ConfigError: it is no TOML, or says something else than a topology.
        """
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"the topology is no TOML: {error}") from error
        unknown = data.keys() - _KEYS
        if unknown:
            raise ConfigError(f"a topology has {', '.join(sorted(_KEYS))}, not {', '.join(sorted(unknown))}")
        names = {key: _names(data.get(key, []), key) for key in ("hosts", "routers", "switches")}
        links = tuple(_link(item, number) for number, item in enumerate(data.get("link", []), 1))
        return cls(**names, links=links)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Topology:
        """A topology from a TOML file."""
        return cls.parse(Path(path).read_text(encoding="utf-8"))

    def build(self, place: Lab | Simulation) -> dict[str, Any]:
        """Make the hosts and links in a lab or a simulation; gives the hosts by name."""
        made: dict[str, Any] = {}
        for name in self.routers:
            made[name] = place.router(name)
        for name in self.switches:
            made[name] = place.switch(name)
        for a, b, words in self.links:
            for name in (a, b):
                if name not in made:
                    made[name] = place.host(name)
            place.link(made[a], made[b], **words)
        for name in self.hosts:
            made[name] = place.host(name)
        return made


def _names(value: Any, key: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ConfigError(f"{key}: a list of names is wanted, not {value!r}")
    return tuple(value)


def _link(item: Any, number: int) -> tuple[str, str, Mapping[str, Any]]:
    words = dict(item) if isinstance(item, dict) else {}
    ends = _names(words.pop("ends", []), f"link {number}: ends")
    if len(ends) != 2 or ends[0] == ends[1]:
        raise ConfigError(f"link {number}: ends names two different hosts, not {list(ends)}")
    return ends[0], ends[1], words
