"""Made by tests/stubs.py from the table in __init__.py: what type checkers see."""

from rawproto.wire.pcapng.blocks import CapturedPacket as CapturedPacket
from rawproto.wire.pcapng.blocks import Interface as Interface
from rawproto.wire.pcapng.blocks import InterfaceStatistics as InterfaceStatistics
from rawproto.wire.pcapng.blocks import LinkType as LinkType
from rawproto.wire.pcapng.blocks import PacketFlags as PacketFlags
from rawproto.wire.pcapng.blocks import Secrets as Secrets
from rawproto.wire.pcapng.blocks import SecretsType as SecretsType
from rawproto.wire.pcapng.reader import PcapngReader as PcapngReader
from rawproto.wire.pcapng.writer import PcapngWriter as PcapngWriter

__all__: list[str]
