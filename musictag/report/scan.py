"""Outcomes and runs → what people and programs read: table, JSON, CSV, TSV, progress, summary.

stdout carries the data, stderr all else. The table is for people: it fits the
terminal, comes row by row, and shows what changes. JSON lines, CSV and TSV are
for programs: one record per file, all files. Names and values come out of
other people's files, so whatever could move a terminal's cursor or turn the
direction of its text is shown as an escape.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import json
import math
import os
import shlex
import threading
import time
import unicodedata
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from musictag.outcome import Change
from musictag.vocabulary import FIELDS

if TYPE_CHECKING:
    from musictag.outcome import Outcome, Taggram
    from musictag.stores.journal import Entry, Run

FORMATS = ("table", "jsonl", "csv", "tsv")

COLUMNS = (
    "path",
    "status",
    "duration",
    *(f"{field.lower()}_{what}" for field in FIELDS for what in ("chosen", "old", "new")),
    "error",
    "message",
    "model",
)
"""Of CSV and TSV: one row per file; several values of a field are joined by "; "."""

INTERRUPTED = "Interrupted; what is listed above is done, and the same command goes on."

TELL_S = 10
"""Between two lines of progress, where none can be drawn again."""

PIPE_WIDTH = 100
"""Of a table that goes to no terminal, unless COLUMNS says otherwise."""
MIN_WIDTH = 20
MAX_WIDTH = 9999
"""What COLUMNS may say; it is anybody's, and may hold anything."""


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


def visible(text: str) -> str:
    """Text that a terminal can only show: what would steer it is written as an escape.

    Control and format characters (they include the marks that turn the
    direction of text), bytes that are not UTF-8, lone line separators. The two
    joiners that some scripts and emoji need stay.
    """
    if text.isprintable():
        return text
    return "".join(character if _shows(character) else _escape(character) for character in text)


def _shows(character: str) -> bool:
    if character in "\u200c\u200d":
        return True
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as the file system gave it
        return f"\\x{code - 0xDC00:02x}"
    if character in "\t\n\r":
        return {"\t": "\\t", "\n": "\\n", "\r": "\\r"}[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


# ---------------------------------------------------------------- for programs


def json_line(outcome: Outcome) -> str:
    """One JSON object in ASCII: whatever is in a name, the line stays one line.

    A name that is not UTF-8 has its odd bytes as \\udc80…\\udcff, which Python's
    json reads back into the same name.
    """
    error = outcome.error
    front = {
        "path": os.fspath(outcome.path),
        "status": outcome.status,
        "duration": _duration(outcome),
    }
    back = {
        "chosen": {field: list(values) for field, values in outcome.chosen.items()},
        "fields": _fields(outcome.fields),
        "error": None if error is None else {"code": error.code, "message": error.message},
        "model": outcome.model,
    }
    # by a template: as 50 numbers to be rounded and encoded they would be a quarter of the work
    # that a remembered file makes
    probabilities = _template(tuple(outcome.probabilities)) % tuple(outcome.probabilities.values())
    return f"{json.dumps(front)[:-1]}, {probabilities}, {json.dumps(back)[1:]}"


@functools.lru_cache(maxsize=4)
def _template(tags: tuple[str, ...]) -> str:
    """What `%` makes the member "probabilities" of, to six decimals."""
    names = (json.dumps(tag).replace("%", "%%") for tag in tags)
    return '"probabilities": {%s}' % ", ".join(f"{name}: %.6f" for name in names)  # noqa: UP031


def record(outcome: Outcome) -> list[str]:
    """One outcome in the order of COLUMNS."""
    duration = _duration(outcome)
    cells = [os.fspath(outcome.path), outcome.status, "" if duration is None else f"{duration:g}"]
    for field in FIELDS:
        change = outcome.fields.get(field, Change((), ()))
        cells += ("; ".join(v) for v in (outcome.chosen.get(field, ()), change.old, change.new))
    error = outcome.error
    cells += ("", "") if error is None else (error.code, error.message)
    return [*cells, outcome.model]


def csv_line(cells: Sequence[str]) -> str:
    """For spreadsheets: a cell that one would take for a formula gets an apostrophe in front.

    Titles and tags come from anywhere, and `=HYPERLINK(…)` in a genre is not
    to run on somebody's desk. Programs that want every character as it is
    take JSON lines or TSV.
    """
    guarded = ["'" + cell if cell[:1] in tuple("=+-@\t\r") else cell for cell in cells]
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(guarded)  # so that both get quotes in a cell
    return line.getvalue().removesuffix("\r\n")


def tsv_line(cells: Sequence[str]) -> str:
    """For line tools: tab, newline, return and backslash inside a cell are \\t, \\n, \\r, \\\\."""
    escapes = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
    return "\t".join(cell.translate(escapes) for cell in cells)


def log_line(outcome: Outcome) -> str:
    """One outcome for the log file: what happened, to which file, old and new values."""
    words = [outcome.status, visible(os.fspath(outcome.path))]
    for field, change in outcome.fields.items():
        if change.changed:
            old, new = (", ".join(map(visible, values)) for values in (change.old, change.new))
            words.append(f"{field}: {old or '-'} -> {new}")
    if outcome.error is not None:
        words.append(visible(outcome.error.message))
    return "; ".join(words)


def _duration(outcome: Outcome) -> float | None:
    return None if outcome.duration_s is None else round(outcome.duration_s, 3)


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


def run_json(run: Run) -> str:
    """One run of the journal, as an object on one line."""
    return json.dumps(
        {
            "run": run.id,
            "started": _utc(run.started_s),
            "ended": None if run.ended_s is None else _utc(run.ended_s),
            "ending": run.ending or None,
            "command": run.command,
            "undoes": run.undoes,
            "files": run.n_files,
            "undone": run.n_files - run.n_standing,
            "version": run.version,
            "model": {"name": run.model, "digest": run.model_digest},
        }
    )


def entry_json(entry: Entry, changes: Mapping[str, Change]) -> str:
    """One file of a run."""
    return json.dumps(
        {
            "run": entry.run,
            "path": os.fspath(entry.path),
            "time": _utc(entry.time_s),
            "undone": not entry.stands,
            "fields": _fields(changes),
            "sound": None if entry.payload is None else entry.payload.hex(),
        }
    )


def _utc(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, timezone.utc).isoformat(timespec="seconds")


def _fields(changes: Mapping[str, Change]) -> dict[str, dict[str, list[str]]]:
    return {
        field: {"old": list(change.old), "new": list(change.new)}
        for field, change in changes.items()
    }


# ---------------------------------------------------------------- for people


def title(run: Run) -> str:
    """run 3 of 2026-07-01 14:02 (scan /home/me/Music --write)

    Where a shell has put a thousand names into the command, only its beginning.
    """
    command = _shortened(_command(run), 200, "...")
    return f"run {run.id} of {_local(run.started_s)} ({command})"


def _command(run: Run) -> str:
    return visible(shlex.join(run.command))


def _local(time_s: float) -> str:
    return datetime.fromtimestamp(time_s).strftime("%Y-%m-%d %H:%M")


class RunTable:
    """The journal's runs, one a line, cut where the terminal ends."""

    def __init__(self, stdout: TextIO) -> None:
        self._width = Console(file=stdout, width=_width(stdout)).width
        self._cut = _marks(stdout)[2]
        self.heading = self._row("Run", "When", "Files", "Undone", "Ended", "Command")

    def line(self, run: Run) -> str:
        n_undone = run.n_files - run.n_standing
        undone = "all" if n_undone == run.n_files else f"{n_undone:,}"
        return self._row(
            *(str(run.id), _local(run.started_s), f"{run.n_files:,}", undone if n_undone else ""),
            *(run.ending or "not yet", _command(run)),
        )

    def _row(self, *cells: str) -> str:
        layout = "{:>4}  {:16}  {:>7}  {:>7}  {:11}  {}"
        return _shortened(layout.format(*cells), self._width, self._cut)


class Table:
    """What changes, one track per row, under the name of its folder.

    Rows come as the scan goes, so the widths are those of the terminal and not
    of the content: long names are cut, values wrapped.
    """

    GAP = 2
    MIN_TRACK = 8
    MIN_FIELD = 14
    """Wide enough for the longest value and the comma after it; less only where there is no room,
    and then long values are cut."""

    def __init__(self, fields: Sequence[str], stdout: TextIO, *, verbose: bool = False) -> None:
        self._fields = fields
        self._verbose = verbose
        self._console = Console(file=stdout, width=_width(stdout), highlight=False)
        self._arrow, self._none, self._cut = _marks(stdout)
        self._folder: str | None = None

    def lines(self, outcome: Outcome) -> list[str]:
        """Headings if they are due, and the row; nothing for a track that stays as it is."""
        shown = {"written", "restored", "planned"} | ({"unchanged"} if self._verbose else set())
        if outcome.status not in shown:
            return []
        widths = self._widths()
        rows: list[list[Text]] = []
        if self._folder is None:
            names = zip(("Track", *map(str.title, self._fields)), widths, strict=True)
            rows.append([Text(self._shortened(name, width), "bold") for name, width in names])
        if self._folder != os.fspath(outcome.path.parent):
            self._folder = os.fspath(outcome.path.parent)
            rows.append([Text(visible(self._folder) + os.sep, "dim")])
        name = Text("  " + self._shortened(visible(outcome.path.name), widths[0] - 2))
        changes = (outcome.fields.get(field) for field in self._fields)
        rows.append([name, *map(self._change, changes, widths[1:])])
        return [line for row in rows for line in self._laid_out(row, widths)]

    def _widths(self) -> list[int]:
        """Of the columns: the track takes what the fields leave, at least a quarter."""
        n = len(self._fields)
        room = self._console.width - self.GAP * n
        track = max(room // 4, min(room * 2 // 5, room - self.MIN_FIELD * n))
        each = max(self.MIN_FIELD, (room - track) // n)
        each = max(self.MIN_TRACK // 2, min(each, (room - self.MIN_TRACK) // n))
        return [max(self.MIN_TRACK, room - each * n), *[each] * n]

    def _change(self, change: Change | None, width: int) -> Text:
        """Wrapped, a cell is to break between words only: so a word that is wider is cut."""
        if change is None:
            return Text()
        old, new = (
            " ".join(self._shortened(word, width) for word in visible(", ".join(values)).split(" "))
            for values in (change.old, change.new)
        )
        if not change.changed:
            return Text(old or self._none, "dim")
        return Text.assemble(
            (old or self._none, "dim"), (f" {self._arrow} ", "dim"), (new or self._none, "green")
        )

    def _laid_out(self, row: list[Text], widths: list[int]) -> list[str]:
        """The row's cells side by side, wrapped to their widths; a row of one cell is a heading."""
        if len(row) == 1:
            return [self._rendered(row[0])]
        wrapped = [
            [cell] if cell.cell_len <= width else cell.wrap(self._console, width)
            for cell, width in zip(row, widths, strict=True)
        ]
        lines = []
        for cells in zip_longest(*wrapped, fillvalue=Text()):
            line = Text()
            for cell, width in zip(cells, widths, strict=True):
                cell.rstrip()
                line.append_text(cell)
                line.append(" " * (width + self.GAP - cell.cell_len))
            line.rstrip()
            lines.append(self._rendered(line))
        return lines

    def _shortened(self, name: str, width: int) -> str:
        return _shortened(name, width, self._cut)

    def _rendered(self, text: Text) -> str:
        if self._console.color_system is None:
            return text.plain  # what rich would come to as well, in fifty times as long
        with self._console.capture() as captured:
            self._console.print(text, soft_wrap=True, end="")
        return captured.get()


def _marks(stdout: TextIO) -> tuple[str, str, str]:
    """An arrow, a dash for nothing, and what stands where something is cut off."""
    plain = "utf" not in (stdout.encoding or "utf").lower()
    return ("->", "-", "~") if plain else ("→", "–", "…")


def _shortened(text: str, width: int, cut: str) -> str:
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + cut


def _width(stream: TextIO) -> int | None:
    """In columns; None: rich asks the terminal, at every line anew."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and MIN_WIDTH <= int(columns) <= MAX_WIDTH:
        return int(columns)
    # rich takes every COLUMNS made of digits
    return None if stream.isatty() and not columns.isdigit() else PIPE_WIDTH


class Pace:
    """How fast counts grow: per second, over the last half minute."""

    def __init__(self, clock: Callable[[], float], *counts: float) -> None:
        self._clock = clock
        self._counts = counts
        self._lately = deque([(clock(), counts)])

    def note(self, *counts: float) -> None:
        self._counts = counts
        now_s = self._clock()
        if now_s - self._lately[-1][0] >= 0.1:
            self._lately.append((now_s, counts))
        while len(self._lately) > 2 and now_s - self._lately[0][0] > 30:
            self._lately.popleft()

    def per_s(self) -> list[float]:
        then_s, before = self._lately[0]
        span_s = max(self._clock() - then_s, 1e-3)
        return [(now - then) / span_s for now, then in zip(self._counts, before, strict=True)]


class Tally:
    """Counts of a scan, and how fast it goes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start_s = clock()
        self.n_tracks = 0
        self.music_s = 0.0
        self.heard_s = 0.0
        """Music heard now, not remembered."""
        self.statuses: Counter[str] = Counter()
        self._under_way_s: dict[Path, float] = {}
        self._pace = Pace(clock, 0, 0.0)

    def add(self, outcome: Outcome) -> None:
        self.n_tracks += 1
        self.statuses[outcome.status] += 1
        self.music_s += outcome.duration_s or 0.0
        self.heard_s -= self._under_way_s.pop(outcome.path, 0.0)
        if not outcome.from_cache:
            self.heard_s += outcome.duration_s or 0.0
        self._pace.note(self.n_tracks, self.heard_s)

    def heard(self, path: Path, seconds: float) -> None:
        """Of a track that is under way. In the end its duration counts, and not the sum of these:
        segments overlap, and a few may stand for the whole."""
        self._under_way_s[path] = self._under_way_s.get(path, 0.0) + seconds
        self.heard_s += seconds
        self._pace.note(self.n_tracks, self.heard_s)

    @property
    def elapsed_s(self) -> float:
        return self._clock() - self._start_s

    def rates(self) -> tuple[float, float]:
        """Tracks per second and seconds of music heard per second, over the last half minute."""
        tracks, heard_s = self._pace.per_s()
        return tracks, heard_s

    def summary(self, *, write: bool = False, whole: bool = True) -> list[str]:
        """The closing lines of a scan."""
        if not self.n_tracks:
            return ["No tracks found." if whole else "Interrupted before the first track."]
        tracks = counted(self.n_tracks, "track")
        line = f"{tracks}, {_long(self.music_s)} of music, in {_short(self.elapsed_s)}"
        if self.heard_s:
            line += f" ({self.heard_s / max(self.elapsed_s, 1e-3):,.0f}× real time)"
        elif self.music_s:
            line += ", all remembered from earlier scans"
        lines = [line + ".", self._counts() + "."]
        if not whole:
            lines.append(INTERRUPTED)
        if self.statuses["planned"] and not write:
            lines.append("Nothing was written; add --write to write these tags.")
        return lines

    def summary_of_undo(self, *, whole: bool = True) -> list[str]:
        """The closing lines of an undo."""
        lines = [self._counts() + "."] if self.n_tracks else []
        if not whole:
            lines.append(INTERRUPTED)
        if self.statuses["planned"]:
            lines.append("Nothing was written; leave out --dry-run to restore these files.")
        return lines

    def _counts(self) -> str:
        order = ("written", "restored", "planned", "unchanged", "skipped", "failed")
        return ", ".join(f"{self.statuses[s]:,} {s}" for s in order if self.statuses[s])


class Far(NamedTuple):
    """How far something is, in numbers and in words."""

    done: int
    total: int | None
    words: list[str]


class Bar:
    """A line at the foot of the terminal: how far, how fast, how long still.

    While the total is not known, there is no bar and no time left, only what
    has been done; and no line at all while there is nothing to tell, or `stderr` is
    no terminal. What else is written goes `above` it. Any thread may use it.
    """

    def __init__(
        self, stderr: TextIO, how_far: Callable[[], Far | None], *, shown: bool = True
    ) -> None:
        self.shown = shown and stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._stderr = stderr
        self._how_far = how_far
        self._lock = threading.RLock()
        self._console = Console(file=stderr, width=_width(stderr), highlight=False)
        self._on_screen = False
        self._ended = threading.Event()
        self._drawn_s = -math.inf

    def start(self) -> None:
        if self.shown:
            threading.Thread(target=self._tick, name="musictag bar", daemon=True).start()

    def stop(self) -> None:
        with self._lock:
            self._ended.set()
            self._erase()

    def say(self, message: str) -> None:
        """One line above it."""
        with self.above():
            self._stderr.write(visible(message) + "\n")
            self._stderr.flush()

    @contextlib.contextmanager
    def above(self) -> Iterator[None]:
        with self._lock:
            self._erase()
            yield
            self._draw()

    def _erase(self) -> None:
        if self._on_screen:
            self._stderr.write("\r\x1b[2K")
            self._stderr.flush()
            self._on_screen = False

    def step(self, *, at_once: bool = False) -> None:
        """Draw again, unless that was done a moment ago."""
        if at_once or time.monotonic() - self._drawn_s > 0.1:
            with self._lock:
                self._draw()

    def _draw(self) -> None:
        if self._ended.is_set() or not self.shown:
            return
        self._drawn_s = time.monotonic()
        line = self.line(self._console.width - 1)
        if line is None:
            self._erase()
            return
        with self._console.capture() as captured:
            self._console.print(line, soft_wrap=True, end="")
        self._stderr.write("\r\x1b[2K" + captured.get())
        self._stderr.flush()
        self._on_screen = True

    def line(self, width: int) -> Text | None:
        """As much of it as fits into the width."""
        far = self._how_far()
        if far is None:
            return None
        text = Text("   ".join(far.words))
        room = min(30, width - text.cell_len - 3)
        if far.total and room >= 10:
            n_full = min(room, room * far.done // far.total)
            bar = Text.assemble(("━" * n_full, "green"), ("━" * (room - n_full), "dim"))
            text = Text.assemble(bar, "   ", text)
        text.truncate(width)
        return text

    def _tick(self) -> None:
        """Keep the clock going while a long track is heard."""
        while not self._ended.wait(0.5):
            with self._lock:
                self._draw()


class TrackCount:
    """How far a scan is. `count` is called in a thread of its own, at the first call of this."""

    def __init__(self, tally: Tally, count: Callable[[], int] | None) -> None:
        self._tally = tally
        self._count = count
        self._total: int | None = None

    def __call__(self) -> Far:
        if self._count is not None:
            count, self._count = self._count, None
            threading.Thread(
                target=self._find_total, args=(count,), name="musictag count", daemon=True
            ).start()
        n, total = self._tally.n_tracks, self._total
        tracks_per_s, realtime = self._tally.rates()
        words = [f"{n:,} of {total:,} tracks" if total else f"{n:,} tracks"]
        if tracks_per_s >= 0.1:
            words.append(f"{tracks_per_s:.1f} tracks/s")
        elif self._tally.heard_s:
            words.append(f"{_long(self._tally.heard_s)} heard")
        if realtime >= 1:
            words.append(f"{realtime:,.0f}× real time")
        return Far(n, total, words + _left(n, total, tracks_per_s))

    def _find_total(self, count: Callable[[], int]) -> None:
        self._total = count()


class Progress:
    """Tells how far one piece of work after another is, inside a `with` block.

    On a terminal that is a line at its foot; elsewhere a line now and then.
    """

    def __init__(self, stderr: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._bar = Bar(stderr, lambda: self._far)
        self._far: Far | None = None
        self._work = ""
        self._pace = Pace(clock)
        self._told_s = -math.inf

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def step(self, work: str, done: int, total: int | None, unit: str) -> None:
        """So much of this work is done. Its speed is counted from the first time it is named: what
        was done before may have been done by an earlier run."""
        if work != self._work:
            self._work, self._told_s = work, -math.inf
            self._pace = Pace(self._clock, done)
        self._pace.note(done)
        (per_s,) = self._pace.per_s()
        words = [f"{work}: {done:,}{f' of {total:,}' if total else ''} {unit}"]
        if per_s:
            words.append(f"{per_s:,.1f} {unit}/s")
        words += _left(done, total, per_s)
        self._far = None if done == total else Far(done, total, words)
        if self._bar.shown:
            self._bar.step(at_once=done == total)
        elif done == total or self._clock() - self._told_s >= TELL_S:
            self._told_s = self._clock()
            self.say("   ".join(words))

    def say(self, message: str) -> None:
        """One line on stderr."""
        self._bar.say(message)


def _left(done: int, total: int | None, per_s: float) -> list[str]:
    return [f"{_short((total - done) / per_s)} left"] if total and per_s and total > done else []


def counted(n: int, word: str) -> str:
    """1 track, 1,000 tracks."""
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


def _short(seconds: float) -> str:
    """A time to wait: 8 s, 2 min 14 s, 3 h 05 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def _long(seconds: float) -> str:
    """An amount of music: 40 s, 12 min, 8.6 hours."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} hours"


# ---------------------------------------------------------------- a taggram

SHADES = (0.1, 0.25, 0.5, 0.75)
"""From which probability on the next darker block is drawn."""
BLOCKS, ASCII_BLOCKS = " ░▒▓█", " .-+#"
N_ROWS = 12
SEGMENT_COLUMNS = 6
"""Of one segment, at most; fewer where there is no room."""


def draw_taggram(taggram: Taggram, stdout: TextIO) -> list[str]:
    """The likeliest tags as rows, time to the right, darker for likelier; then what is chosen."""
    width = Console(file=stdout, width=_width(stdout)).width
    plain = "utf" not in (stdout.encoding or "utf").lower()
    blocks = ASCII_BLOCKS if plain else BLOCKS
    tags = sorted(taggram.tags, key=lambda tag: -taggram.probabilities[tag])[:N_ROWS]
    names = max(map(len, tags)) + 1
    n_columns = max(1, min(width - names - 6, SEGMENT_COLUMNS * len(taggram.starts_s)))
    inside = [_segments_in(taggram, column, n_columns) for column in range(n_columns)]
    length, model = _clock(taggram.duration_s), visible(taggram.model)
    lines = [f"{visible(taggram.path.name)}, {length}, heard by {model}", ""]
    for tag in tags:
        k = taggram.tags.index(tag)
        means = [sum(taggram.rows[n][k] for n in some) / max(1, len(some)) for some in inside]
        bar = "".join(blocks[sum(mean >= shade for shade in SHADES)] for mean in means)
        lines.append(f"{visible(tag):{names}}{bar} {taggram.probabilities[tag]:5.2f}")
    lines.append(" " * names + _time_axis(taggram.duration_s, n_columns))
    key = "  ".join(f"{b} {shade:g}" for b, shade in zip(blocks[1:], SHADES, strict=True))
    lines += [" " * names + f"{key} and more", ""]
    none = "-" if plain else "–"
    for field, values in taggram.chosen.items():
        lines.append(f"{field.lower():12}{', '.join(values) or none}")
    return lines


def _segments_in(taggram: Taggram, column: int, n_columns: int) -> list[int]:
    """Which segments a column of the picture shows: those in the middle of it or around it.

    None where the music is silent.
    """
    span_s = taggram.duration_s / n_columns
    middle_s = (column + 0.5) * span_s
    starts_s = list(enumerate(taggram.starts_s))
    half_s = taggram.segment_s / 2
    within = [n for n, start_s in starts_s if abs(start_s + half_s - middle_s) <= span_s / 2]
    return within or [n for n, start_s in starts_s if 0 <= middle_s - start_s <= 2 * half_s]


def _time_axis(duration_s: float, n_columns: int) -> str:
    """Times under the columns where they begin, as many as fit with room between."""
    axis = ""
    step = max(len(_clock(duration_s)) + 3, SEGMENT_COLUMNS * 2)
    for column in range(0, max(1, n_columns - step // 2), step):
        axis = axis.ljust(column) + _clock(column * duration_s / n_columns)
    return axis


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
