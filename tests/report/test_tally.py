"""Counts, closing lines and speed of a scan."""

from __future__ import annotations

from pathlib import Path

import pytest
from outcomes import FAILED, PLANNED, UNCHANGED, Clock, of, tally

from musictag.outcome import Change, Outcome
from musictag.report.tally import INTERRUPTED, Tally


def test_the_summary_of_a_dry_run_says_how_to_write() -> None:
    counts = tally((10, of("planned", 1800)), (10, of("unchanged", 7200)), (0, FAILED))
    assert counts.summary(write=False) == [
        "3 tracks, 2.5 hours of music, in 20 s (450× real time).",
        "1 planned, 1 unchanged, 1 failed.",
        "Nothing was written; add --write to write these tags.",
    ]


def test_the_summary_of_a_remembered_library_claims_no_speed() -> None:
    counts = tally((2, of("unchanged", 600, from_cache=True)))
    assert counts.summary(write=True) == [
        "1 track, 10 min of music, in 2.0 s, all remembered from earlier scans.",
        "1 unchanged.",
    ]


def test_remembered_music_does_not_count_as_speed() -> None:
    counts = tally((10, of("unchanged", 6000, from_cache=True)), (0, of("written", 1000)))
    assert "(100× real time)" in counts.summary(write=True)[0]


def test_what_was_decoded_of_a_track_that_is_broken_further_on_is_not_counted() -> None:
    counts = Tally(Clock())
    counts.decoded(FAILED.path, 29, whole=False)
    counts.decoded(UNCHANGED.path, 29, whole=False)
    counts.add(FAILED)
    assert counts.decoded_s == 29


def test_speed_is_that_of_the_last_half_minute() -> None:
    """Remembered tracks fly by; the time left follows those that are heard."""
    counts = tally(*[(0.01, of("unchanged", 240))] * 1000, *[(10, of("planned", 240))] * 10)
    assert counts.rates()[0] == pytest.approx(0.1, abs=0.05)


def test_a_closing_line_fits_eighty_columns() -> None:
    assert len(INTERRUPTED) <= 80


def heard_as(old: str, *chosen: str, **more: object) -> Outcome:
    """A track with this genre in which these were heard."""
    change = Change((old,) if old else (), (old,) if old else chosen)
    return Outcome(
        Path("a"),
        more.pop("status", "unchanged"),  # type: ignore[arg-type]
        duration_s=60,
        probabilities={"rock": 0.1},
        chosen={"GENRE": chosen, "MOOD": ("Slow",)},
        fields={"GENRE": change},
        **more,  # type: ignore[arg-type]
    )


def test_tracks_of_which_the_model_is_sure_of_nothing_are_counted() -> None:
    counts = tally(
        (1, heard_as("")), (1, heard_as("")), (1, heard_as("Pop")), (1, heard_as("Pop", "Rock"))
    )
    assert "2 tracks: nothing it is sure of; see --verbose." in counts.summary()
    assert "2 tracks: nothing it is sure of." in counts.summary(verbose=True)


def test_a_model_that_is_sure_of_all_is_not_called_unsure() -> None:
    counts = tally((1, heard_as("", "Rock", status="planned")), (1, FAILED))
    assert not any("sure" in line for line in counts.summary())


def test_what_was_not_selected_is_counted_and_said() -> None:
    counts = Tally(clock=lambda: 1.0)
    for number in range(1200):
        counts.decoded(Path(f"{number}.flac"), 0.0, whole=True)
        counts.left_out(Path(f"{number}.flac"))
    assert counts.n_decoded == 1200
    assert counts.summary() == ["Nothing to do: 1,200 tracks not selected."]
    counts.add(PLANNED)
    assert "1 planned, 1,200 not selected." in counts.summary()
