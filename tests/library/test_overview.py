"""Tracks and what a scan makes of them, side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from musictag.library.collection import Track
from musictag.library.overview import Overview, Passing, Row, Trouble
from musictag.outcome import Change, Outcome, Problem
from musictag.vocabulary import magnatagatune

WORDS = magnatagatune().with_thresholds({"Rock": 0.5, "Techno": 0.5})


def track(name: str) -> Track:
    return Track(Path(name), 60.0, (), None, {"GENRE": ("Techno",)}, {"TITLE": ("T",)})


def test_outcomes_find_their_tracks_even_if_a_scan_leaves_some_out() -> None:
    passing = Passing(map(track, "abcd"))
    kept = [path for path in passing.paths() if path.name in "bd"]
    pairs = passing.pairs(Outcome(path, "unchanged") for path in kept)
    assert [(one.path, outcome.path) for one, outcome in pairs] == [(p, p) for p in kept]


def test_a_row_says_what_changes_what_is_heard_and_what_is_in_doubt() -> None:
    outcome = Outcome(
        Path("a"),
        "planned",
        probabilities={"rock": 0.9, "techno": 0.1},
        chosen={"GENRE": ("Rock",)},
        fields={"GENRE": Change(("Techno",), ("Techno",)), "MOOD": Change((), ("Slow",))},
    )
    (row,) = Overview(WORDS).said(track("a"), outcome)
    assert isinstance(row, Row)
    assert row.agreement == {"Rock": 0.9, "Techno": 0.1}
    assert row.changes == {"MOOD": Change((), ("Slow",))}
    assert row.fields == {"GENRE": ("Techno",), "MOOD": ()}
    assert row.doubt is not None
    assert (row.doubt.tagged, row.doubt.heard) == (("Techno",), "Rock")


@pytest.mark.parametrize(
    ("code", "kinds"),
    [
        ("", [Row]),
        ("speech", [Trouble]),  # heard, but no music
        ("no_tags", [Trouble, Row]),  # music in a file that cannot be tagged
        ("silent", [Trouble]),
    ],
)
def test_a_file_is_a_track_a_problem_or_both(code: str, kinds: list[type]) -> None:
    problem = Problem(code, "why") if code else None
    heard = {} if code == "silent" else {"rock": 0.9}
    outcome = Outcome(Path("a"), "skipped", probabilities=heard, error=problem)
    found = list(Overview(WORDS).said(track("a"), outcome))
    assert [type(one) for one in found] == kinds
