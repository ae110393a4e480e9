"""What ``rawproto bench`` is made of."""
