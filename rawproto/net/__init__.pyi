"""Made by tests/stubs.py from the table in __init__.py: what type checkers see."""

from rawproto.net.conn import Conn as Conn
from rawproto.net.dialing import dial as dial
from rawproto.net.dialing import dial_tcp as dial_tcp
from rawproto.net.dialing import dial_udp as dial_udp
from rawproto.net.dialing import listen as listen
from rawproto.net.dialing import listen_tcp as listen_tcp
from rawproto.net.dialing import listen_udp as listen_udp
from rawproto.net.listener import Listener as Listener
from rawproto.net.pool import ConnectionPool as ConnectionPool
from rawproto.net.running import run as run
from rawproto.net.stats import ConnStats as ConnStats
from rawproto.net.udp import UDPConn as UDPConn

__all__: list[str]
