"""Made by tests/stubs.py from the table in __init__.py: what type checkers see."""

from rawproto.lab.calls import Call as Call
from rawproto.lab.campaign import Outcome as Outcome
from rawproto.lab.campaign import Report as Report
from rawproto.lab.campaign import find_scenario as find_scenario
from rawproto.lab.campaign import run_campaign as run_campaign
from rawproto.lab.cluster import DaskExecutor as DaskExecutor
from rawproto.lab.counters import DirectionStats as DirectionStats
from rawproto.lab.fates import Decisions as Decisions
from rawproto.lab.fates import Fate as Fate
from rawproto.lab.faults import ImpairedLink as ImpairedLink
from rawproto.lab.host import Host as Host
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

__all__: list[str]
