"""Benchmarks: ours against rivals in the same run, as ratios. Run them with ``make bench [ARGS=room]``."""
