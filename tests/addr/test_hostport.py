"""host:port text against an oracle: the rules walked character by character, and the way back."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawproto import AddrError, join_host_port, split_host_port


def oracle(text):
    """Host and port, or the reason for a refusal: brackets first, then the rest, one state at a time."""
    if ":" not in text:
        return "missing port"
    host, rest = None, text
    if text[0] == "[":
        inside, closing, rest = text[1:].partition("]")
        if not closing:
            return "missing ']'"
        if not rest:
            return "missing port"
        if rest[0] != ":" or text.rindex(":") != len(text) - len(rest):
            return "too many colons" if rest[0] == ":" else "missing port"
        host, port = inside, rest[1:]
    else:
        *hosts, port = text.split(":")
        if len(hosts) > 1:
            return "too many colons"
        host = hosts[0]
    if "[" in host + port:
        return "unexpected '['"
    # The closing bracket of a host in brackets has been taken off already.
    return "unexpected ']'" if "]" in port or (text[0] != "[" and "]" in host) else (host, port)


def observe(text):
    try:
        return split_host_port(text)
    except AddrError as error:
        refused = error
    assert refused.text == text
    assert 0 <= refused.position <= len(text)
    return refused.reason.removesuffix(" in address")


def test_every_short_text():
    for length in range(7):
        for characters in itertools.product("[]:a", repeat=length):
            text = "".join(characters)
            assert observe(text) == oracle(text), text


@given(st.text(alphabet="[]:%a1.", max_size=16))
def test_longer_texts(text):
    assert observe(text) == oracle(text)


@given(st.text(alphabet=":%a1. ", max_size=8), st.text(alphabet="a1- ", max_size=5))
def test_what_is_joined_is_split_again(host, port):
    assert split_host_port(join_host_port(host, port)) == (host, port)


@pytest.mark.parametrize("wrong", [None, 80, b"a:80", ("a", 80)])
def test_what_is_no_text_is_refused(wrong):
    with pytest.raises(AddrError):
        split_host_port(wrong)
