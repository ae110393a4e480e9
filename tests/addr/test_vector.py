"""Lists of addresses to arrays and back, against the parser and printer of one address."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawproto import IP, AddrError, format_ips, ips_of, parse_ip, parse_ips

PACKED = st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)
TEXTS = PACKED.map(lambda packed: str(IP(packed)))


@given(st.lists(TEXTS, max_size=40))
def test_many_are_parsed_and_printed_as_each_one(texts):
    rows = parse_ips(texts)
    assert rows.shape == (len(texts), 16)
    assert rows.dtype == np.uint8
    assert [row.tobytes() for row in rows] == [parse_ip(text).to16() for text in texts]
    assert format_ips(rows) == [str(parse_ip(text)) for text in texts]
    assert ips_of(rows) == [parse_ip(text).to4() or parse_ip(text) for text in texts]


@given(st.lists(TEXTS | st.text(alphabet="0123456789.:a\n١ ", max_size=17), max_size=6))
def test_refuses_what_one_parse_refuses_and_names_the_item(texts):
    def wrong(text):
        try:
            parse_ip(text)
        except AddrError:
            return True
        return False

    first = next((index for index, text in enumerate(texts) if wrong(text)), None)
    if first is None:
        assert len(parse_ips(texts)) == len(texts)
        return
    with pytest.raises(AddrError, match=f"^item {first}: ") as caught:
        parse_ips(texts)
    assert caught.value.text == texts[first]


def test_long_lists_are_parsed_piece_by_piece():
    rng = np.random.default_rng(3)
    rows = np.zeros((40_000, 16), np.uint8)
    rows[:, 10:12] = 255
    rows[:, 12:] = rng.integers(0, 256, (40_000, 4), dtype=np.uint8)
    texts = format_ips(rows)
    assert (parse_ips(texts) == rows).all()
    texts[39_999] = "::1"
    assert parse_ips(texts)[39_999].tolist() == [0] * 15 + [1]
    texts[20_000] = "1.2.3"
    with pytest.raises(AddrError, match=r"^item 20000: "):
        parse_ips(texts)


def test_other_shapes_of_ipv4():
    assert format_ips(np.array([[10, 0, 0, 1]], np.uint8)) == ["10.0.0.1"]
    assert format_ips(np.array([0x0A000001], np.uint32)) == ["10.0.0.1"]
    assert ips_of(np.array([0x0A000001], ">u4")) == [IP("10.0.0.1")]
    assert format_ips(np.empty((0, 16), np.uint8)) == []
    for wrong in (np.zeros((1, 4)), np.zeros(3, np.uint8), np.zeros((1, 5), np.uint8)):
        with pytest.raises(AddrError, match="uint8"):
            format_ips(wrong)
