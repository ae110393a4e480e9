"""What ``rawproto demo`` is made of: a lab, a sender, a receiver, and something to look at."""
