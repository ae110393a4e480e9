"""Bad networks on one machine: hosts in network namespaces, links that lose and delay, a virtual-time simulator."""

from __future__ import annotations

from rawproto._face import face

_HOMES = {
    ".calls": "Call",
    ".campaign": "Outcome Report find_scenario run_campaign",
    ".cluster": "DaskExecutor",
    ".counters": "DirectionStats",
    ".fates": "Decisions Fate",
    ".faults": "ImpairedLink",
    ".host": "Host",
    ".lab": "Lab",
    ".links": "LabLink",
    ".node": "Node",
    ".rules": "Packet",
    ".script": "Script Seen",
    ".shrink": "Shrunk",
    ".simhost": "SimHost",
    ".simlink": "SimLink",
    ".simulation": "Simulation",
    ".spec": "Blackhole Corruption GilbertElliott Impairments Policer",
    ".topology": "Topology",
}

__all__, __getattr__, __dir__ = face(__name__, _HOMES)
