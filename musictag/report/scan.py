"""A scan or an undo while it runs: results to standard output, everything else to standard error.

The table is for people: it fits the terminal, comes row by row and shows what changes. JSON lines,
CSV and TSV are for programs: one record per file, for every file. Names and values come from other
people's files, so whatever could steer a terminal is shown as an escape.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from musictag.report.progress import Bar, NowAndThen, TrackCount
from musictag.report.records import COLUMNS, csv_line, json_line, record, tsv_line
from musictag.report.table import Table
from musictag.report.tally import Tally
from musictag.report.text import counted, visible

if TYPE_CHECKING:
    from musictag.outcome import Outcome, Problem


class Report:
    """Tells of a scan while it runs: `add` every Outcome, inside a `with` block.

    `form` is one of FORMATS, or `line`: a line for each file that is written, and otherwise little.
    `summary` gives the closing lines. `quiet` leaves only failures on standard error, `verbose`
    shows unchanged tracks in the table. `count` returns the number of tracks to come; it is called
    in a thread of its own, and only when progress is shown.
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
        self._is_terse = quiet or form == "line"
        self._tally = Tally()
        self._lines = _lines_of(form, fields, stdout, verbose=verbose)
        self._repeats = _Repeats(shown=verbose)
        how_far = TrackCount(self._tally, count)
        self._bar = Bar(stderr, how_far, shown=not quiet)
        silent = self._bar.shown or self._is_terse
        self._now_and_then = None if silent else NowAndThen(how_far, self.say)

    @property
    def n_failed(self) -> int:
        """Number of files that failed so far."""
        return self._tally.statuses["failed"]

    def __enter__(self) -> Report:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._bar.stop()
        if kind is None or kind is KeyboardInterrupt:
            for line in self._repeats.lines():
                self.say(line)
            if not self._quiet:
                for line in self._summary(self._tally, whole=kind is None):
                    self.say(line)

    def add(self, outcome: Outcome) -> None:
        """Report one more file: its lines on standard output, its problem on standard error."""
        self._tally.add(outcome)
        lines = self._lines(outcome)
        if lines:
            with self._bar.above():
                self._stdout.write("".join(line + "\n" for line in lines))
                self._stdout.flush()
        error, unwanted = outcome.error, self._is_terse and outcome.status == "skipped"
        if error is not None and not unwanted and self._repeats.is_new(error):
            self.say(f"musictag: {outcome.path}: {error.message}")
        self._step()

    def decoded(self, path: Path, seconds: float, whole: bool) -> None:
        """Count music that was decoded, of a track whose outcome is still to come."""
        self._tally.decoded(path, seconds, whole=whole)
        self._step()

    def left_out(self, path: Path) -> None:
        """Count a file that the scan is not about."""
        self._tally.left_out(path)
        self._bar.step()

    def _step(self) -> None:
        self._bar.step()
        if self._now_and_then is not None:
            self._now_and_then.step()

    def say(self, message: str) -> None:
        """Write one line to standard error. Any thread may call this."""
        self._bar.say(message)


class _Repeats:
    """Problems that hundreds of files share, such as a full disk: each is said once and counted."""

    CODES = frozenset({"read_only", "no_space", "permission"})

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._counts: Counter[str] = Counter()

    def is_new(self, error: Problem) -> bool:
        """Whether this problem is to be said now, rather than counted."""
        if self._shown or error.code not in self.CODES:
            return True
        self._counts[error.message] += 1
        return self._counts[error.message] == 1

    def lines(self) -> list[str]:
        """How many more files had each of these problems."""
        return [
            f"musictag: {counted(n - 1, 'more file')}: {message}; see --verbose"
            for message, n in self._counts.items()
            if n > 1
        ]


def _short_lines(outcome: Outcome) -> list[str]:
    """A file that is written, or would be, and its new values in one line."""
    if outcome.status not in ("written", "planned"):
        return []
    new = [
        f"{field.lower()} {', '.join(change.new) or '-'}"
        for field, change in outcome.fields.items()
        if change.changed
    ]
    would = "would get " if outcome.status == "planned" else ""
    return [visible(f"{outcome.path}: {would}{'; '.join(new)}")]


def _lines_of(
    form: str, fields: Sequence[str], stdout: TextIO, *, verbose: bool
) -> Callable[[Outcome], list[str]]:
    """What turns an outcome into lines for standard output, with headings where they are due."""
    if form == "table":
        return Table(fields, stdout, verbose=verbose).lines
    if form == "jsonl":
        return lambda outcome: [json_line(outcome)]
    if form == "line":
        return _short_lines
    line_of = {"csv": csv_line, "tsv": tsv_line}[form]
    show = visible if stdout.isatty() else str
    heading = [line_of(COLUMNS)]

    def lines(outcome: Outcome) -> list[str]:
        due = [*heading, show(line_of(record(outcome)))]
        heading.clear()
        return due

    return lines
