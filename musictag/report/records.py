"""Outcomes and runs → JSON, CSV and TSV, for programs."""

from __future__ import annotations

import csv
import functools
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from musictag.outcome import Change
from musictag.report.text import visible
from musictag.vocabulary import FIELDS

if TYPE_CHECKING:
    from musictag.outcome import Album, Discarded, Outcome
    from musictag.stores.journal import Entry, Run

COLUMNS = (
    "path",
    "status",
    "duration",
    *(f"{field.lower()}_{what}" for field in FIELDS for what in ("chosen", "old", "new")),
    "error",
    "message",
    "model",
)
"""Columns of CSV and TSV. There is one row per file; "; " joins the values of a field."""


def json_line(outcome: Outcome) -> str:
    """One JSON object in ASCII, which stays one line whatever a file is called.

    Bytes of a name that are not UTF-8 become \\udc80…\\udcff, which Python's json reads back into
    the same name.
    """
    error = outcome.error
    front = {
        "path": os.fspath(outcome.path),
        "status": outcome.status,
        "duration": _duration(outcome),
    }
    back: dict[str, object] = {
        "chosen": {field: list(values) for field, values in outcome.chosen.items()},
        "fields": _fields(outcome.fields),
        "error": None if error is None else {"code": error.code, "message": error.message},
        "model": outcome.model,
    }
    if outcome.album is not None:
        back["album"] = _album(outcome.album)
    if outcome.discarded:
        back["discarded"] = [_discarded(found) for found in outcome.discarded]
    # From a template: to round and encode 50 numbers would be a quarter of the work for a
    # remembered file.
    probabilities = _template(tuple(outcome.probabilities)) % tuple(outcome.probabilities.values())
    return f"{json.dumps(front)[:-1]}, {probabilities}, {json.dumps(back)[1:]}"


@functools.lru_cache(maxsize=4)
def _template(tags: tuple[str, ...]) -> str:
    """Template for `%` of the member "probabilities", with six decimals."""
    names = (json.dumps(tag).replace("%", "%%") for tag in tags)
    return '"probabilities": {%s}' % ", ".join(f"{name}: %.6f" for name in names)  # noqa: UP031


def record(outcome: Outcome) -> list[str]:
    """One outcome as cells, in the order of COLUMNS."""
    duration = _duration(outcome)
    cells = [os.fspath(outcome.path), outcome.status, "" if duration is None else f"{duration:g}"]
    for field in FIELDS:
        change = outcome.fields.get(field, Change((), ()))
        cells += ("; ".join(v) for v in (outcome.chosen.get(field, ()), change.old, change.new))
    error = outcome.error
    cells += ("", "") if error is None else (error.code, error.message)
    return [*cells, outcome.model]


def csv_line(cells: Sequence[str]) -> str:
    """Cells as a line for spreadsheets, with an apostrophe before what looks like a formula.

    Titles and tags come from anywhere, and `=HYPERLINK(…)` in a genre must not run on somebody's
    desk. JSON lines and TSV give every character as it is.
    """
    return plain_csv_line(map(guarded, cells))


def guarded(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return "'" + cell if cell[:1] in tuple("=+-@\t\r") else cell


def plain_csv_line(cells: Iterable[str]) -> str:
    """Cells as they are: numbers below zero, and texts that are `guarded`."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)  # so that both get quotes in a cell
    return line.getvalue().removesuffix("\r\n")


def tsv_line(cells: Sequence[str]) -> str:
    """Cells as a line for line tools, in which \\t, \\n, \\r and \\\\ are escapes."""
    escapes = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
    return "\t".join(cell.translate(escapes) for cell in cells)


def log_line(outcome: Outcome) -> str:
    """One outcome for the log file: status, file, old and new values, problem."""
    words = [outcome.status, visible(os.fspath(outcome.path))]
    for field, change in outcome.fields.items():
        if change.changed:
            old, new = (", ".join(map(visible, values)) for values in (change.old, change.new))
            words.append(f"{field}: {old or '-'} -> {new}")
    if outcome.error is not None:
        words.append(visible(outcome.error.message))
    return "; ".join(words)


def _album(album: Album) -> dict[str, object]:
    return {
        "title": album.title,
        "artist": album.artist or None,
        "tracks": album.n_tracks,
        "genre": list(album.genres),
        "kept": album.is_kept,
    }


def _discarded(found: Discarded) -> dict[str, object]:
    return {
        "field": found.field,
        "value": found.value,
        "why": found.why,
        "probability": round(found.probability, 6),
        "threshold": round(found.threshold, 6),
        "other": found.other or None,
    }


def _duration(outcome: Outcome) -> float | None:
    return None if outcome.duration_s is None else round(outcome.duration_s, 3)


def run_json(run: Run) -> str:
    """One run of the journal as a JSON object on one line."""
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
    """One file of a run as a JSON object on one line."""
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
