"""Source ports: free ones, and none that another endpoint of this host listens on."""

from __future__ import annotations

import pytest

from rawproto.errors import OpError
from rawproto.rsp.ports import Ports

ENTROPY = b"\x00\x00\x00\x01"


def ports(elsewhere=None):
    return Ports((5000, 5003), lambda size: ENTROPY[:size], elsewhere)


def test_the_first_free_one_from_a_random_place_is_taken():
    one = ports()
    assert [one.take(0, "dial") for _ in range(4)] == [5001, 5002, 5003, 5000]
    with pytest.raises(OpError, match="all local ports from 5000 to 5003 are taken"):
        one.take(0, "dial")


def test_no_port_that_another_endpoint_listens_on():
    # It would get a copy of every answer and, knowing no such connection, say so to the peer.
    one = ports({5001, 5003}.__contains__)
    assert [one.take(0, "dial") for _ in range(2)] == [5002, 5000]
    with pytest.raises(OpError, match="all local ports"):
        one.take(0, "dial")
    with pytest.raises(OpError, match="port 5003 is taken"):
        one.take(5003, "dial")
