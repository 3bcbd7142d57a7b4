"""`musictag history`: the runs that wrote files, and what they changed."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from musictag.cli import streams
from musictag.cli.endings import endings, nothing_to_do
from musictag.cli.session import opened_journal
from musictag.errors import UsageError

if TYPE_CHECKING:
    from musictag.stores.journal import Journal, Run

NO_RUNS = "no run that wrote files is on record"
RUN = "[0-9]{1,18}"
"""Regular expression of a run's number; no journal has one with more digits."""


def history(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN|prune",
            help="A run's number, to see its files; or prune, to forget old runs. [default: list "
            "all runs]",
            show_default=False,
        ),
    ] = None,
    *,
    older_than: Annotated[
        str | None,
        typer.Option(
            metavar="AGE",
            help="With prune: forget runs older than 90d, 12w, 6m or 1y (days, weeks, months of 30 "
            "days, years of 365). They can no longer be undone.",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="List only the latest N runs. [default: all]"),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per run, or per file of a run.")
    ] = False,
) -> None:
    """List the runs that wrote files, the newest first; or the files of one, and what changed."""
    with endings():
        if (what == "prune") != (older_than is not None):
            raise UsageError("to forget old runs: musictag history prune --older-than AGE")
        number = None if what in (None, "prune") else _number(what)
        age_s = None if older_than is None else _age_s(older_than)
        from musictag.report.text import counted  # noqa: PLC0415
        from musictag.stores import journal as journals  # noqa: PLC0415

        if not journals.exists(journals.default_path()):
            nothing_to_do(NO_RUNS)
        streams.prepare_stdout("table")
        with opened_journal(write=True) as journal:
            assert journal is not None
            if age_s is not None:
                n_runs, n_files = journal.prune(time.time() - age_s)
                runs, files = counted(n_runs, "run"), counted(n_files, "file")
                typer.echo(f"forgot {runs} with the changes to {files}")
            elif number is None:
                _list_runs(journal, limit, as_json=as_json)
            else:
                _list_files(journal, number, as_json=as_json)


def _number(text: str | None) -> int:
    if text is None or not re.fullmatch(RUN, text):
        raise UsageError(f"{text}: not the number of a run (musictag history lists them)")
    return int(text)


def _age_s(text: str) -> float:
    match = re.fullmatch("([0-9]{1,5})([dwmy])", text)
    if match is None:
        raise UsageError(f"--older-than {text}: expected an age such as 90d, 12w, 6m or 1y")
    return int(match[1]) * {"d": 1, "w": 7, "m": 30, "y": 365}[match[2]] * 86_400.0


def _list_runs(journal: Journal, limit: int | None, *, as_json: bool) -> None:
    from musictag.report.records import run_json  # noqa: PLC0415
    from musictag.report.runs import RunTable  # noqa: PLC0415

    table = RunTable(sys.stdout)
    number = 0
    most = None if limit is None else min(limit, sys.maxsize)
    for number, run in enumerate(journal.runs(limit=most), 1):
        if number == 1 and not as_json:
            typer.echo(table.heading)
        typer.echo(run_json(run) if as_json else table.line(run, at_work=journal.is_at_work(run)))
    if not number:
        nothing_to_do(NO_RUNS)


def _list_files(journal: Journal, wanted: int, *, as_json: bool) -> None:
    from musictag.outcome import Outcome  # noqa: PLC0415
    from musictag.report import runs as report  # noqa: PLC0415
    from musictag.report.records import entry_json  # noqa: PLC0415
    from musictag.report.table import Table  # noqa: PLC0415
    from musictag.report.text import counted  # noqa: PLC0415
    from musictag.scan import undo as undoing  # noqa: PLC0415

    (run,) = undoing.choose(journal, undoing.Numbers(wanted, wanted), [])
    if as_json:
        for entry in journal.entries(run.id):
            typer.echo(entry_json(entry, undoing.changes(entry)))
        return
    ended = report.ended(run, at_work=journal.is_at_work(run))
    title = f"{report.title(run)}: {counted(run.n_files, 'file')}, {ended}"
    typer.echo(title[0].upper() + title[1:])
    table = Table(fields_of(journal, [run]), sys.stdout)
    for stands in (True, False):
        entries = journal.entries(run.id, stands=stands)
        for number, entry in enumerate(entries):
            if number == 0 and not stands:
                typer.echo("Undone since:")
            written = Outcome(entry.path, "written", fields=undoing.changes(entry))
            typer.echo("\n".join(table.lines(written)))


def fields_of(journal: Journal, runs: Iterable[Run]) -> list[str]:
    """The fields that these runs changed, in the usual order. Where a value came from is left out,
    because a table has no room for it."""
    from musictag.metadata.fields import PROVENANCE, WRITABLE  # noqa: PLC0415

    changed = {field for run in runs for field in journal.fields(run.id)}
    return sorted(changed.difference(PROVENANCE), key=WRITABLE.index)
