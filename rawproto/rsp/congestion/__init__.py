"""Congestion controllers: one a file, chosen by name (see base.py)."""
