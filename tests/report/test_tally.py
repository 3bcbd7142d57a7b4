"""Counts, closing lines and speed of a scan."""

from __future__ import annotations

import pytest
from outcomes import FAILED, UNCHANGED, Clock, of, tally

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


def test_what_was_heard_of_a_track_that_is_broken_further_on_is_not_counted() -> None:
    counts = Tally(Clock())
    counts.heard(FAILED.path, 29)
    counts.heard(UNCHANGED.path, 29)
    counts.add(FAILED)
    assert counts.heard_s == 29


def test_speed_is_that_of_the_last_half_minute() -> None:
    """Remembered tracks fly by; the time left follows those that are heard."""
    counts = tally(*[(0.01, of("unchanged", 240))] * 1000, *[(10, of("planned", 240))] * 10)
    assert counts.rates()[0] == pytest.approx(0.1, abs=0.05)


def test_a_closing_line_fits_eighty_columns() -> None:
    assert len(INTERRUPTED) <= 80
