"""What ``rawproto ping`` is made of: a socket, targets with their statistics, a loop, and what is printed."""
