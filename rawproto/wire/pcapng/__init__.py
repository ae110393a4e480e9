"""pcapng capture files: a writer fast enough to sit beside a running link, and a bounded reader."""

from __future__ import annotations

from rawproto._face import face

_HOMES = {
    ".blocks": "CapturedPacket Interface InterfaceStatistics LinkType PacketFlags Secrets SecretsType",
    ".reader": "PcapngReader",
    ".writer": "PcapngWriter",
}

__all__, __getattr__, __dir__ = face(__name__, _HOMES)
