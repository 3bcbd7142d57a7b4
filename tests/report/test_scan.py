"""What a scan says on its two streams."""

from __future__ import annotations

import contextlib

import pytest
from outcomes import FAILED, NASTY, PLANNED, SKIPPED, UNCHANGED, Pipe, told

from musictag.outcome import Change, Outcome, Problem
from musictag.report.scan import FORMATS, Report


@pytest.mark.parametrize("form", FORMATS)
def test_a_nasty_name_and_value_never_reach_the_terminal_raw(form: str) -> None:
    nasty = "\x1b[2J\u202e"
    outcome = Outcome(
        NASTY,
        "planned",
        fields={"GENRE": Change((nasty,), (nasty, "Rock"))},
        error=Problem("io", nasty),
    )
    stdout, stderr = told([outcome], form, terminal=True)
    for text in (stdout, stderr):
        assert "\x1b[2J" not in text
        assert "\x1b[31m\n" not in text
        assert "\u202e" not in text
        assert "\udce9" not in text


def test_errors_are_one_line_each_on_stderr_and_never_on_stdout() -> None:
    stdout, stderr = told([FAILED, SKIPPED])
    assert stdout == ""
    assert stderr.splitlines()[:2] == [
        "musictag: Purcell/broken.mp3: the file is cut short (copy it again)",
        "musictag: Purcell/silent.mp3: only silence",
    ]


def test_quiet_leaves_failures_only() -> None:
    _, stderr = told([PLANNED, FAILED, SKIPPED], quiet=True)
    assert stderr == "musictag: Purcell/broken.mp3: the file is cut short (copy it again)\n"


def test_failures_are_counted() -> None:
    with Report("table", ("GENRE",), stdout=Pipe(), stderr=Pipe()) as teller:
        for outcome in (PLANNED, FAILED, SKIPPED, FAILED):
            teller.add(outcome)
    assert teller.n_failed == 2


def test_an_interrupted_scan_is_summed_up_as_far_as_it_came() -> None:
    stderr = Pipe()
    with (
        contextlib.suppress(KeyboardInterrupt),
        Report("jsonl", ("GENRE",), stdout=Pipe(), stderr=stderr) as teller,
    ):
        teller.add(UNCHANGED)
        raise KeyboardInterrupt
    assert "1 track, 60 s" not in stderr.getvalue()
    assert "1 track, 1 min of music" in stderr.getvalue()
    assert "Interrupted" in stderr.getvalue()


def test_an_empty_folder_is_called_one() -> None:
    assert told([])[1] == "No tracks found.\n"
