"""``rawproto doctor`` as people run it; what it finds is tested with the library."""

import json

import pytest


def test_text_and_status(cli):
    done = cli.run("doctor")
    text = done.stdout.decode()
    assert done.returncode in (0, 1)
    assert "capability:" in text
    assert ("FAIL" in text) == (done.returncode == 1)


def test_json(cli):
    done = cli.run("doctor", "--json", "--protocol", "6", "-6")
    document = json.loads(done.stdout)
    assert (document["protocol"], document["version"]) == (6, 6)
    problems = [finding for finding in document["findings"] if finding["state"] == "problem"]
    assert document["problems"] == len(problems)
    assert done.returncode == bool(problems)
    assert {"check", "state", "text", "mend"} == set(document["findings"][0])


@pytest.mark.parametrize("words", [["300.1.2.3"], ["--protocol", "256"], ["example.org", "more"]])
def test_usage(cli, words):
    assert cli.run("doctor", *words).returncode == 2
