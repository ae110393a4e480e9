"""The parts of ``rawproto serve``, ``get`` and ``put``: docs/transfer.md is the protocol they speak."""
