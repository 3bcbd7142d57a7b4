"""Damaged files of every container cost themselves and nothing else: see fuzz.py."""

from __future__ import annotations

import contextlib
import os
import sys

import fuzz
import pytest


def test_a_case_is_the_same_file_wherever_it_is_made() -> None:
    for case in fuzz.cases(2 * len(fuzz.CONTAINERS)):
        assert fuzz.damaged(case) == fuzz.damaged(case)
    assert len({fuzz.damaged(f"wav:{number}") for number in range(100)}) > 90


@pytest.mark.parametrize("first", range(0, len(fuzz.CONTAINERS), 8))
def test_damaged_files_cost_themselves_and_nothing_else(first: int) -> None:
    cases = fuzz.cases(len(fuzz.CONTAINERS))[first : first + 8]
    results = list(fuzz.scanned(cases))
    assert [case for case, _, _ in results] == cases
    assert [result for result in results if result[1] in fuzz.FORBIDDEN] == []


WATCHED = """
import json, os, sys, time
for line in sys.stdin:
    for case in json.loads(line):
        if "crash" in case:
            sys.exit("boom")
        if "hang" in case:
            time.sleep(99)
        print(json.dumps([case, "written", ""]), flush=True)
    print(7, flush=True)
"""


def test_who_crashes_or_hangs_is_named_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fuzz, "TIME_S", 2)
    cases = ["a:1", "crash:2", "b:3", "hang:4", "c:5"]
    with contextlib.closing(fuzz.Watched((sys.executable, "-c", WATCHED))) as watched:
        results = list(watched.run(cases))
    assert [result.case for result in results] == cases
    words = [result.word for result in results]
    assert words == ["written", "CRASHED", "written", "HUNG", "written"]
    assert results[1].said == "boom"
    assert watched.peak_mb == 7


@pytest.mark.slow
def test_twenty_thousand_damaged_files() -> None:
    """With -s, prints how they ended; `python tests/fuzz.py 20000` is the same."""
    results, peak_mb = fuzz.run(fuzz.cases(20_000), jobs=os.cpu_count() or 2)
    print()
    print(fuzz.table(results))
    print(f"at most {peak_mb} MB")
    assert [result for result in results if result.word in fuzz.FORBIDDEN] == []
    assert len(results) == 20_000
    assert peak_mb < 1500
