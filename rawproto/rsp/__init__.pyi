"""Made by tests/stubs.py from the table in __init__.py: what type checkers see."""

from rawproto.rsp.config import RSPConfig as RSPConfig
from rawproto.rsp.connection import Connection as Connection
from rawproto.rsp.endpoint import Endpoint as Endpoint
from rawproto.rsp.listener import Listener as Listener
from rawproto.rsp.reasons import Reason as Reason
from rawproto.rsp.state import State as State
from rawproto.rsp.stats import ConnectionStats as ConnectionStats
from rawproto.rsp.stats import EndpointStats as EndpointStats
from rawproto.rsp.trace import Trace as Trace

__all__: list[str]
