"""The parts of ``rawproto traceroute``: probes, the socket they share, the order they go in, what is printed."""
