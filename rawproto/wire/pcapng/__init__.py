"""pcapng capture files: a writer fast enough to sit beside a running link, and a bounded reader."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rawproto.wire.pcapng.blocks import CapturedPacket as CapturedPacket
    from rawproto.wire.pcapng.blocks import Interface as Interface
    from rawproto.wire.pcapng.blocks import InterfaceStatistics as InterfaceStatistics
    from rawproto.wire.pcapng.blocks import LinkType as LinkType
    from rawproto.wire.pcapng.blocks import PacketFlags as PacketFlags
    from rawproto.wire.pcapng.blocks import Secrets as Secrets
    from rawproto.wire.pcapng.blocks import SecretsType as SecretsType
    from rawproto.wire.pcapng.reader import PcapngReader as PcapngReader
    from rawproto.wire.pcapng.writer import PcapngWriter as PcapngWriter

_MODULE_OF = {
    "CapturedPacket": "blocks",
    "Interface": "blocks",
    "InterfaceStatistics": "blocks",
    "LinkType": "blocks",
    "PacketFlags": "blocks",
    "PcapngReader": "reader",
    "PcapngWriter": "writer",
    "Secrets": "blocks",
    "SecretsType": "blocks",
}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value
