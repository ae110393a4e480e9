"""Words and units: what is taken, what it means, what is refused."""

from __future__ import annotations

import pytest

from rawproto import ConfigError
from rawproto.lab.spec import Blackhole, Corruption, GilbertElliott, Impairments, Policer
from rawproto.lab.units import bits_per_second, byte_count, nanoseconds, queue_limit


@pytest.mark.parametrize(
    ("text", "value"),
    [("10ms", 10_000_000), ("1.5s", 1_500_000_000), ("7 us", 7_000), ("250ns", 250), (0.02, 20_000_000), (0, 0),
     ("2min", 120_000_000_000), ("1h", 3_600_000_000_000), ("1d", 86_400_000_000_000)],
)  # fmt: skip
def test_durations(text: str | float, value: int) -> None:
    assert nanoseconds(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("50mbit", 50_000_000), ("1.5Gbit", 1_500_000_000), ("64kbit", 64_000), ("9bit", 9), (10_000, 10_000)],
)
def test_rates(text: str | float, value: int) -> None:
    assert bits_per_second(text) == value


@pytest.mark.parametrize(
    ("text", "value"), [("64kb", 64_000), ("64KiB", 65_536), ("2mb", 2_000_000), (1500, 1500), ("10b", 10)]
)
def test_sizes(text: str | int, value: int) -> None:
    assert byte_count(text) == value


def test_queue_limits() -> None:
    assert queue_limit(25) == queue_limit("25p") == (25, None)
    assert queue_limit("64kib") == (None, 65_536)


@pytest.mark.parametrize(
    "text", ["10", "ms", "-1ms", "10 parsec", "", "1e3ms", -1, float("nan"), float("inf")]
)
def test_bad_durations_are_refused_by_name(text: str | float) -> None:
    with pytest.raises(ConfigError, match="pause"):
        nanoseconds(text, "pause")


@pytest.mark.parametrize(
    "words",
    [
        {"loss": 1.1}, {"loss": -0.1}, {"loss": "1%"}, {"rate": 0}, {"rate": "10"}, {"delay": "fast"}, {"limit": 0},
        {"reorder": 2}, {"mtu": 0}, {"mtu": "big"}, {"lost": 0.1}, {"burst_loss": 0.1}, {"burst_loss": (2, 0.5)},
        {"corrupt": Ellipsis}, {"policer": "1mbit"}, {"delay": "1ms", "jitter": "2ms"},
    ],
)  # fmt: skip
def test_bad_words_are_refused(words: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Impairments.of(**words)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Corruption(0.1, kind="word"),
        lambda: Corruption(0.1, where="tail"),
        lambda: Corruption(0.1, bits=1),
        lambda: Blackhole("1s", "1s", every=0),
        lambda: Policer("1mbit", "much"),
        lambda: GilbertElliott(0.1, 0.2, bad=3),
    ],
)
def test_bad_parts_are_refused(make: object) -> None:
    with pytest.raises(ConfigError):
        make()  # type: ignore[operator]


def test_words_become_numbers() -> None:
    spec = Impairments.of(
        delay="10ms", rate="50mbit", limit="64kb", corrupt=0.005, burst_loss=(0.01, 0.2),
        policer=("1mbit", "10kb"), blackhole=[("5s", "2s")], mtu=1400,
    )  # fmt: skip
    assert (spec.delay, spec.rate, spec.limit_packets, spec.limit_bytes) == (10**7, 5 * 10**7, None, 64_000)
    assert spec.corrupt == Corruption(0.005)
    assert spec.burst_loss == GilbertElliott(0.01, 0.2)
    assert spec.policer == Policer("1mbit", "10kb")
    assert spec.blackhole[0].covers(5 * 10**9)
    assert spec.but({"delay": None, "limit": None, "corrupt": None}) == Impairments.of(
        rate="50mbit", burst_loss=(0.01, 0.2), policer=("1mbit", "10kb"), blackhole=[("5s", "2s")], mtu=1400
    )
