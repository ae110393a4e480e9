"""How the tests of links wait for what was sent: it comes in the end, however slow the machine."""

import select

PATIENCE = 60
"""Seconds that anybody here waits for what is sure to come."""


def datagrams_of(link, count):
    """The next datagrams of a link, until ``count`` came."""
    got = []
    while len(got) < count and select.select([link], [], [], PATIENCE)[0]:
        for batch in link.receive():
            got.extend(batch)
    return got
