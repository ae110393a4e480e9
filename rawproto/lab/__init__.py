"""Bad networks on one machine: hosts in network namespaces, links that lose and delay, a virtual-time simulator."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rawproto.lab.campaign import Outcome as Outcome
    from rawproto.lab.campaign import Report as Report
    from rawproto.lab.campaign import find_scenario as find_scenario
    from rawproto.lab.campaign import run_campaign as run_campaign
    from rawproto.lab.cluster import DaskExecutor as DaskExecutor
    from rawproto.lab.fates import Decisions as Decisions
    from rawproto.lab.fates import Fate as Fate
    from rawproto.lab.faults import ImpairedLink as ImpairedLink
    from rawproto.lab.host import Host as Host
    from rawproto.lab.impair import DirectionStats as DirectionStats
    from rawproto.lab.lab import Lab as Lab
    from rawproto.lab.links import LabLink as LabLink
    from rawproto.lab.node import Node as Node
    from rawproto.lab.rules import Packet as Packet
    from rawproto.lab.script import Script as Script
    from rawproto.lab.script import Seen as Seen
    from rawproto.lab.shrink import Shrunk as Shrunk
    from rawproto.lab.simhost import SimHost as SimHost
    from rawproto.lab.simlink import SimLink as SimLink
    from rawproto.lab.simulation import Simulation as Simulation
    from rawproto.lab.spec import Blackhole as Blackhole
    from rawproto.lab.spec import Corruption as Corruption
    from rawproto.lab.spec import GilbertElliott as GilbertElliott
    from rawproto.lab.spec import Impairments as Impairments
    from rawproto.lab.spec import Policer as Policer
    from rawproto.lab.topology import Topology as Topology

_MODULE_OF = {
    "Blackhole": "rawproto.lab.spec",
    "Corruption": "rawproto.lab.spec",
    "DaskExecutor": "rawproto.lab.cluster",
    "Decisions": "rawproto.lab.fates",
    "DirectionStats": "rawproto.lab.impair",
    "Fate": "rawproto.lab.fates",
    "GilbertElliott": "rawproto.lab.spec",
    "Host": "rawproto.lab.host",
    "ImpairedLink": "rawproto.lab.faults",
    "Impairments": "rawproto.lab.spec",
    "Lab": "rawproto.lab.lab",
    "LabLink": "rawproto.lab.links",
    "Node": "rawproto.lab.node",
    "Outcome": "rawproto.lab.campaign",
    "Packet": "rawproto.lab.rules",
    "Policer": "rawproto.lab.spec",
    "Report": "rawproto.lab.campaign",
    "Script": "rawproto.lab.script",
    "Seen": "rawproto.lab.script",
    "Shrunk": "rawproto.lab.shrink",
    "SimHost": "rawproto.lab.simhost",
    "SimLink": "rawproto.lab.simlink",
    "Simulation": "rawproto.lab.simulation",
    "Topology": "rawproto.lab.topology",
    "find_scenario": "rawproto.lab.campaign",
    "run_campaign": "rawproto.lab.campaign",
}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'rawproto.lab' has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
