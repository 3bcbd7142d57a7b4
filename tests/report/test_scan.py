"""What a scan says on its two streams."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from outcomes import FAILED, NASTY, PLANNED, REPLACED, SKIPPED, UNCHANGED, Pipe, Screen, told

from musictag.outcome import Change, Outcome, Problem
from musictag.report import FORMATS
from musictag.report.progress import NowAndThen
from musictag.report.scan import Report


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


@pytest.mark.parametrize(
    ("terminal", "quiet", "form", "is_told"),
    [
        (False, False, "jsonl", True),
        (False, True, "jsonl", False),
        (False, False, "line", False),
        (True, False, "jsonl", False),
    ],
)
def test_without_a_terminal_progress_is_a_line_now_and_then(
    terminal: bool, quiet: bool, form: str, is_told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = Screen() if terminal else Pipe()
    with Report(form, ("GENRE",), stdout=Pipe(), stderr=stderr, quiet=quiet) as teller:
        teller.add(PLANNED)
        monkeypatch.setattr(NowAndThen, "EVERY_S", 0)
        teller.add(UNCHANGED)
        monkeypatch.setattr(NowAndThen, "EVERY_S", 1000)
        teller.add(UNCHANGED)
        lines = stderr.getvalue().split("\n")[:-1]
        assert [line.split("   ")[0] for line in lines] == ["2 tracks"] * is_told


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


def full(name: str, code: str = "no_space", why: str = "no room (make room)") -> Outcome:
    return Outcome(Path("Purcell") / name, "failed", error=Problem(code, why))


@pytest.mark.parametrize("quiet", [False, True])
def test_a_medium_that_takes_nothing_is_said_once_with_a_count(quiet: bool) -> None:
    outcomes = [full(f"{i}/song.mp3") for i in range(300)]
    _, stderr = told([*outcomes, FAILED], quiet=quiet)
    assert stderr.splitlines()[:3] == [
        "musictag: Purcell/0/song.mp3: no room (make room)",
        "musictag: Purcell/broken.mp3: the file is cut short (copy it again)",
        "musictag: 299 more files: no room (make room); see --verbose",
    ]
    assert stderr.count("no room") == 2


def test_files_that_may_not_be_written_are_counted_by_the_reason() -> None:
    protected, foreign = ("permission", "write-protected"), ("permission", "not yours (ask)")
    outcomes = [full(f"{folder}/{i}.mp3", *protected) for folder in "ab" for i in range(3)]
    _, stderr = told([*outcomes, full("c.mp3", *foreign)])
    assert [line for line in stderr.splitlines() if line.startswith("musictag: ")] == [
        "musictag: Purcell/a/0.mp3: write-protected",
        "musictag: Purcell/c.mp3: not yours (ask)",
        "musictag: 5 more files: write-protected; see --verbose",
    ]


def test_verbose_names_every_file_that_may_not_be_written() -> None:
    _, stderr = told([full("1.mp3"), full("2.mp3")], verbose=True)
    assert stderr.count("no room") == 2
    assert "more file" not in stderr


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_programs_get_every_file_that_may_not_be_written(form: str) -> None:
    stdout, _ = told([full(f"{i}.mp3") for i in range(300)], form)
    assert stdout.count("no_space") == 300


def test_messages_break_between_words_on_a_terminal_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "dumb")
    error = Problem("truncated", "only 3.1 s of 75.0 s are in it: cut short or damaged (copy it)")
    outcome = Outcome(Path("Music/Bach/broken.mp3"), "failed", error=error)
    line = f"musictag: {outcome.path}: {error.message}"
    assert told([outcome])[1].splitlines()[0] == line
    lines = told([outcome], terminal=True)[1].splitlines()
    assert lines[:2] == [
        "musictag: Music/Bach/broken.mp3: only 3.1 s of 75.0 s are in",
        "  it: cut short or damaged (copy it)",
    ]


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
@pytest.mark.parametrize("no_color", [False, True])
def test_all_that_a_scan_says_fits_the_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: int, term: str, no_color: bool
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", term)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    outcomes = [PLANNED, REPLACED, UNCHANGED, SKIPPED, FAILED, *[full("a.mp3")] * 1000]
    stdout, stderr = told(outcomes, terminal=True)
    if no_color or term == "dumb":
        assert not re.search("\x1b\\[[0-9;]*[34][0-9]m", stdout + stderr), "a colour"
    shown = re.sub("\x1b\\[[0-9;]*[mK]", "", stdout + stderr).replace("\r", "\n")
    assert max(map(len, shown.splitlines())) <= columns
    assert ("\x1b[2K" in stderr) == (term != "dumb")
    assert "1,005 tracks" in shown
