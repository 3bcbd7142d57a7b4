"""Outcomes and runs → what people and programs read: table, JSON, CSV, TSV, progress, summary.

stdout carries the data, stderr all else. The table is for people: it fits the
terminal, comes row by row, and shows what changes. JSON lines, CSV and TSV are
for programs: one record per file, all files. Names and values come out of
other people's files, so whatever could move a terminal's cursor or turn the
direction of its text is shown as an escape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from musictag.report.progress import Bar, TrackCount
from musictag.report.records import COLUMNS, csv_line, json_line, record, tsv_line
from musictag.report.table import Table
from musictag.report.tally import Tally
from musictag.report.text import visible

if TYPE_CHECKING:
    from musictag.outcome import Outcome

FORMATS = ("table", "jsonl", "csv", "tsv")


class Report:
    """Tells of a scan while it runs: `add` every Outcome, inside a `with` block.

    `summary` gives the closing lines. `quiet` leaves only failures on stderr,
    `verbose` shows unchanged tracks in the table. `count` tells how many tracks
    there will be; it is called in a thread of its own, and only when there is a
    progress bar to use it.
    """

    def __init__(
        self,
        form: str,
        fields: Sequence[str],
        *,
        stdout: TextIO,
        stderr: TextIO,
        summary: Callable[..., list[str]] | None = None,
        quiet: bool = False,
        verbose: bool = False,
        count: Callable[[], int] | None = None,
    ) -> None:
        self._stdout = stdout
        self._summary = Tally.summary if summary is None else summary
        self._quiet = quiet
        self._tally = Tally()
        self._lines = _lines_of(form, fields, stdout, verbose=verbose)
        self._bar = Bar(stderr, TrackCount(self._tally, count), shown=not quiet)

    @property
    def n_failed(self) -> int:
        return self._tally.statuses["failed"]

    def __enter__(self) -> Report:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._bar.stop()
        if not self._quiet and (kind is None or kind is KeyboardInterrupt):
            for line in self._summary(self._tally, whole=kind is None):
                self.say(line)

    def add(self, outcome: Outcome) -> None:
        """One more file: its lines on stdout, what was wrong with it on stderr."""
        self._tally.add(outcome)
        lines = self._lines(outcome)
        if lines:
            with self._bar.above():
                self._stdout.write("".join(line + "\n" for line in lines))
                self._stdout.flush()
        if outcome.error is not None and not (self._quiet and outcome.status == "skipped"):
            self.say(f"musictag: {outcome.path}: {outcome.error.message}")
        self._bar.step()

    def heard(self, path: Path, seconds: float) -> None:
        """So much more of a track was heard, of which the Outcome is still to come."""
        self._tally.heard(path, seconds)
        self._bar.step()

    def say(self, message: str) -> None:
        """One line on stderr; any thread may say something."""
        self._bar.say(message)


def _lines_of(
    form: str, fields: Sequence[str], stdout: TextIO, *, verbose: bool
) -> Callable[[Outcome], list[str]]:
    """What turns an outcome into lines of stdout, headings included when they are due."""
    if form == "table":
        return Table(fields, stdout, verbose=verbose).lines
    if form == "jsonl":
        return lambda outcome: [json_line(outcome)]
    line_of = {"csv": csv_line, "tsv": tsv_line}[form]
    show = visible if stdout.isatty() else str
    heading = [line_of(COLUMNS)]

    def lines(outcome: Outcome) -> list[str]:
        due = [*heading, show(line_of(record(outcome)))]
        heading.clear()
        return due

    return lines
