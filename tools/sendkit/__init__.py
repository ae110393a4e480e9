"""The parts of ``rawproto send``."""
