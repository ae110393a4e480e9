"""The short ways through building and constructing end where the general ways do."""

from __future__ import annotations

import inspect

import pytest

from rawproto.errors import EncodeError
from rawproto.wire import UDP, Datagram, IPv4, IPv6, LooseSourceRoute

SOURCE, DESTINATION = "10.0.0.1", "10.0.0.2"


def general(datagram: Datagram) -> bytes:
    """The bytes built header by header."""
    return datagram._build()


@pytest.mark.parametrize(
    "payload", [b"", b"x", b"even", bytes(511), bytes(512), b"\xff" * 513, b"\xff" * 1400]
)
@pytest.mark.parametrize(
    "outer",
    [
        IPv4(SOURCE, DESTINATION),
        IPv4(SOURCE, DESTINATION, ttl=1, df=True, dscp=3, ident=7),
        IPv4(SOURCE, DESTINATION, checksum=1),
        IPv4(SOURCE, DESTINATION, options=[LooseSourceRoute(pointer=4, route=("10.0.0.9",))]),
        IPv6("::1", "::2"),
    ],
    ids=["plain", "said", "wrong", "routed", "v6"],
)
def test_two_headers_build_as_header_by_header(outer: IPv4 | IPv6, payload: bytes) -> None:
    datagram = outer / UDP(1, 65535) / payload
    assert bytes(datagram) == general(datagram)


def test_assigned_text_of_an_address_is_taken() -> None:
    datagram = IPv4(SOURCE, DESTINATION) / UDP(1, 2) / b"data"
    wanted = bytes(datagram)
    datagram[IPv4].src = SOURCE  # type: ignore[assignment]
    assert bytes(datagram) == wanted
    datagram[IPv4].dst = DESTINATION  # type: ignore[assignment]
    assert bytes(datagram) == wanted


def test_a_misfit_is_named_in_either_header() -> None:
    datagram = IPv4(SOURCE, DESTINATION) / UDP(1, 2) / b"data"
    datagram[UDP].sport = 65536
    with pytest.raises(EncodeError, match=r"UDP.*sport"):
        bytes(datagram)
    datagram[UDP].sport, datagram[IPv4].ttl = 1, 256
    with pytest.raises(EncodeError, match=r"IPv4.*ttl"):
        bytes(datagram)


def test_constructor_without_keywords_is_the_one_with_them() -> None:
    assert list(inspect.signature(IPv4).parameters)[:4] == ["src", "dst", "version", "ihl"]
    short, full = IPv4(SOURCE, DESTINATION), IPv4(SOURCE, DESTINATION, ttl=64)
    assert short._values() == full._values()
    assert IPv4(bytearray(4), DESTINATION).src == bytes(4)
    with pytest.raises(EncodeError, match=r"IPv4.*src"):
        IPv4("nonsense", DESTINATION)
    with pytest.raises(TypeError, match=r"IPv4.__init__\(\).*unexpected keyword argument 'hops'"):
        IPv4(SOURCE, DESTINATION, hops=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="dst"):
        IPv4(SOURCE)  # type: ignore[call-arg]
