"""Made by tests/stubs.py from the table in __init__.py: what type checkers see."""

from rawproto.link.aio import AsyncRawSocket as AsyncRawSocket
from rawproto.link.base import Link as Link
from rawproto.link.base import LinkStats as LinkStats
from rawproto.link.broker import Allow as Allow
from rawproto.link.broker import Broker as Broker
from rawproto.link.broker import ask_broker as ask_broker
from rawproto.link.causes import DatagramError as DatagramError
from rawproto.link.ipconn import IPConn as IPConn
from rawproto.link.ipconn import dial_ip as dial_ip
from rawproto.link.ipconn import listen_ip as listen_ip
from rawproto.link.memory import MemoryLink as MemoryLink
from rawproto.link.memory import MemoryNetwork as MemoryNetwork
from rawproto.link.packet import PacketLink as PacketLink
from rawproto.link.privilege import drop_privileges as drop_privileges
from rawproto.link.privilege import has_capability as has_capability
from rawproto.link.raw import RawLink as RawLink
from rawproto.link.rawsocket import RawSocket as RawSocket
from rawproto.link.received import ChecksumState as ChecksumState
from rawproto.link.received import Received as Received
from rawproto.link.udp import UDPLink as UDPLink

__all__: list[str]
