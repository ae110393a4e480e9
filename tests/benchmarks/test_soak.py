"""What the soak in real time calls wrong."""

import pytest

from benchmarks import soak_net


def samples(*resident):
    return [{"resident": each, "blocks": 10} for each in resident]


def tally(**fields):
    usual = {"descriptors": 12, "threads": 1}
    return {
        "transfers": 5,
        "failures": [],
        "samples": samples(*[100] * 8),
        "before": usual,
        "after": usual,
        "aborted": [],
        "cut": [],
    } | fields


def test_growth_is_from_the_second_quarter_to_the_last():
    assert soak_net.growth(samples(1, 1, 100, 100, 999, 999, 110, 110)) == pytest.approx(0.1)
    assert soak_net.growth(samples(1, 1, 100, 100, 999, 999, 110, 110), "blocks") == 0
    assert soak_net.growth(samples(1, 2, 3)) == 0


def test_nothing_is_wrong_with_a_process_that_did_well():
    assert soak_net.verdict("client", tally()) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"transfers": 0}, "no transfer was made"),
        ({"failures": ["hashes differ"]}, "hashes differ"),
        ({"samples": samples(*[100] * 6, 106, 106)}, "memory grew by 6.0%"),
        ({"after": {"descriptors": 13, "threads": 1}}, "descriptors 12 -> 13"),
        ({"after": {"descriptors": 12, "threads": 2}}, "threads 1 -> 2"),
    ],
)
def test_what_is_wrong_with_a_process_is_said(fields, said):
    assert soak_net.verdict("server", tally(**fields)) == [f"server: {said}"]


def test_a_connection_that_the_client_aborted_explains_one_that_was_cut_for_the_server():
    one, other = "rsp4 10.0.0.1:50000", "rsp+udp4 10.0.0.1:50001"
    client = tally(aborted=[one, other])
    cut = [(other, "TimedOutError()"), (one, "ConnectionReset()")]
    assert soak_net.unexplained({"client": client, "server": tally(cut=cut)}) == []
    again = soak_net.unexplained({"client": client, "server": tally(cut=[*cut, (one, "TimedOutError()")])})
    assert again == [f"server: {one} was not aborted, but ended with TimedOutError()"]
