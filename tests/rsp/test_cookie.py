"""The stateless cookie (A14)."""

from __future__ import annotations

import random

import pytest

from rawproto.protocol import SECOND
from rawproto.rsp.cookie import COOKIE_LIFETIME, ROTATION, CookieJar

CONTEXT = b"who and what"


@pytest.fixture
def jar():
    return CookieJar(random.Random(1).randbytes, 0)


@pytest.mark.parametrize(
    ("made_at", "age", "accepted"),
    [
        (0, 0, True),
        (0, ROTATION - 1, True),
        (0, ROTATION, True),
        (0, COOKIE_LIFETIME - 1, True),
        (0, COOKIE_LIFETIME, False),
        (ROTATION - 1, ROTATION, True),
        (ROTATION - 1, ROTATION + 1, False),
        (30 * SECOND, 60 * SECOND, True),
        (30 * SECOND, 89 * SECOND, True),
        (30 * SECOND, 90 * SECOND, False),
        (0, 1000 * SECOND, False),
    ],
)
def test_a14_age_and_rotation(jar, made_at, age, accepted):
    identifier, cookie = jar.make(CONTEXT, made_at)
    assert jar.check(CONTEXT, identifier, cookie, made_at + age) is accepted


def test_a14_a_key_rotated_once_is_good_twice_is_not(jar):
    identifier, cookie = jar.make(CONTEXT, 0)
    jar.make(CONTEXT, ROTATION)
    assert jar.check(CONTEXT, identifier, cookie, ROTATION)
    jar.make(CONTEXT, 2 * ROTATION)
    assert not jar.check(CONTEXT, identifier, cookie, 2 * ROTATION)


def test_every_bit_counts(jar):
    identifier, cookie = jar.make(CONTEXT, 0)
    assert not jar.check(CONTEXT + b"x", identifier, cookie, 0)
    for bit in range(64):
        assert not jar.check(CONTEXT, identifier ^ (1 << bit), cookie, 0)
    for bit in range(128):
        wrong = (int.from_bytes(cookie, "big") ^ (1 << bit)).to_bytes(16, "big")
        assert not jar.check(CONTEXT, identifier, wrong, 0)


def test_the_same_question_gets_the_same_answer(jar):
    # A repeated CONFIRM must name the same connection.
    assert jar.make(CONTEXT, 0) == jar.make(CONTEXT, ROTATION - 1)


def test_two_jars_share_nothing():
    one, other = (CookieJar(random.Random(seed).randbytes, 0) for seed in (1, 2))
    identifier, cookie = one.make(CONTEXT, 0)
    assert not other.check(CONTEXT, identifier, cookie, 0)
    assert other.make(CONTEXT, 0) != (identifier, cookie)


def test_an_identifier_is_never_zero(monkeypatch):
    import hashlib

    class Zero:
        def copy(self):
            return self

        def update(self, data):
            pass

        def digest(self):
            return bytes(24)

    monkeypatch.setattr(hashlib, "blake2s", lambda *args, **kwargs: Zero())
    assert CookieJar(random.Random(1).randbytes, 0).make(b"", 0)[0] == 1


def test_nothing_is_kept_for_a_cookie(jar):
    before = {name: getattr(jar, name) for name in jar.__slots__}
    for number in range(1000):
        jar.make(b"%d" % number, 0)
    assert {name: getattr(jar, name) for name in jar.__slots__} == before
