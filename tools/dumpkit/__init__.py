"""The parts of ``rawproto dump``."""
