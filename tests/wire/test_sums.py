"""The Internet checksum against a loop over words, and RFC 1624 updates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawproto import checksum, checksum_update, pseudo_header


def slow_checksum(data: bytes, initial: int = 0) -> int:
    """RFC 1071 section 4.1, word by word."""
    total = initial
    for place in range(0, len(data), 2):
        total += int.from_bytes(data[place : place + 2].ljust(2, b"\0"))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def test_known_values() -> None:
    assert checksum(b"") == 0xFFFF
    assert checksum(b"\0" * 4) == 0xFFFF
    assert checksum(b"\xff\xff") == 0
    # RFC 1071 section 3
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF ^ 0xDDF2


@given(st.binary(max_size=3000) | st.integers(0, 5000).map(bytes) | st.integers(0, 5000).map(b"\xff".__mul__))
def test_equal_to_the_loop(data: bytes) -> None:
    assert checksum(data) == slow_checksum(data)
    assert checksum(memoryview(data)) == slow_checksum(data)


@given(st.binary(max_size=700), st.integers(0, 1 << 20))
def test_initial_sum_is_added(data: bytes, initial: int) -> None:
    assert checksum(data, initial) == slow_checksum(data, initial)


@given(st.binary(min_size=40, max_size=40), st.integers(0, 17), st.binary(min_size=4, max_size=4))
def test_update_equals_a_new_sum(data: bytes, word: int, part: bytes) -> None:
    place = 2 * word
    changed = data[:place] + part + data[place + 4 :]
    updated = checksum_update(checksum(data), data[place : place + 4], part)
    # Both zeros of ones-complement arithmetic stand for the same sum.
    assert updated % 0xFFFF == checksum(changed) % 0xFFFF


def test_rfc_1624_example() -> None:
    assert checksum_update(0xDD2F, 0x5555, 0x3285) == 0x0000


def test_update_refuses_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="lengths"):
        checksum_update(0, b"ab", b"abcd")
    with pytest.raises(ValueError, match="word"):
        checksum_update(0, 70000, 0)
    with pytest.raises(ValueError, match="checksum"):
        checksum_update(-1, 0, 0)


def test_pseudo_headers() -> None:
    assert pseudo_header(b"abcd", b"efgh", 17, 300) == b"abcdefgh\0\x11\x01\x2c"
    assert pseudo_header(b"a" * 16, b"b" * 16, 58, 70000) == b"a" * 16 + b"b" * 16 + bytes.fromhex(
        "00011170 0000003a"
    )
    with pytest.raises(ValueError, match="addresses"):
        pseudo_header(b"abcd", b"e" * 16, 17, 1)
