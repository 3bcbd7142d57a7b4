"""Outcomes to report, streams to report them on, and a clock."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

from musictag.outcome import Change, Outcome, Problem
from musictag.report.scan import Report
from musictag.report.tally import Tally

NASTY = Path(os.fsdecode(b"evil\x1b[31m\n\xe2\x80\xaegnp caf\xe9.mp3"))

PLANNED = Outcome(
    Path("Purcell/Dido/01 Overture.flac"),
    "planned",
    duration_s=103.25,
    probabilities={"opera": 0.9, "slow": 1 / 3},
    chosen={"GENRE": ("Opera", "Classical"), "MOOD": ("Slow",), "INSTRUMENT": (), "VOCALS": ()},
    fields={
        "GENRE": Change((), ("Opera", "Classical")),
        "MOOD": Change(("Sad",), ("Sad",)),
    },
    model="first",
)
REPLACED = Outcome(
    Path("Purcell/Dido/02 Shake the cloud from off your brow.flac"),
    "planned",
    duration_s=60.0,
    fields={"GENRE": Change(("Pop",), ("Opera",)), "MOOD": Change((), ("Slow", "Quiet"))},
    model="first",
)
UNCHANGED = Outcome(Path("Purcell/Dido/03.flac"), "unchanged", duration_s=60.0, model="first")
FAILED = Outcome(
    Path("Purcell/broken.mp3"),
    "failed",
    error=Problem("truncated", "the file is cut short (copy it again)"),
    model="first",
)
SKIPPED = Outcome(
    Path("Purcell/silent.mp3"), "skipped", error=Problem("silent", "only silence"), model="first"
)


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Pipe(io.StringIO):
    encoding = "utf-8"


def told(
    outcomes: Sequence[Outcome], form: str = "table", *, terminal: bool = False, **options: bool
) -> tuple[str, str]:
    stdout, stderr = (Screen(), Screen()) if terminal else (Pipe(), Pipe())
    with Report(form, ("GENRE", "MOOD"), stdout=stdout, stderr=stderr, **options) as teller:
        for outcome in outcomes:
            teller.add(outcome)
    return stdout.getvalue(), stderr.getvalue()


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def tally(*steps: tuple[float, Outcome]) -> Tally:
    """A tally of outcomes, each with the seconds since the one before."""
    clock = Clock()
    result = Tally(clock)
    for wait_s, outcome in steps:
        clock.now_s += wait_s
        result.add(outcome)
    return result


def of(status: str, duration_s: float, **more: bool) -> Outcome:
    return Outcome(Path("a"), status, duration_s=duration_s, **more)  # type: ignore[arg-type]
