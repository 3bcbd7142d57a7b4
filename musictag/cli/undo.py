"""`musictag undo`: give files back what they had before a run."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from musictag import config
from musictag.cli import options
from musictag.cli.endings import endings, nothing_to_do
from musictag.cli.history import NO_RUNS, RUN, fields_of
from musictag.cli.session import Output, Session
from musictag.errors import UsageError

TO_UNDO = "What to undo"


def undo(  # noqa: PLR0913  # one argument per option
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN|PATH",
            help="A run's number (musictag history lists them), and files and folders if only "
            "these are meant. A file that is called 12 is ./12. [default: the latest scan that "
            "has not been undone, all its files]",
            show_default=False,
            rich_help_panel=TO_UNDO,
        ),
    ] = None,
    *,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show what would be restored. No file is touched.",
            rich_help_panel=options.TO_WRITE,
        ),
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Also restore files whose fields somebody has changed since.",
            rich_help_panel=options.TO_WRITE,
        ),
    ] = False,
    preserve_mtime: options.PreserveMtime = None,
    hardlinks: options.Hardlinks = None,
    form: options.Form = "table",
    quiet: options.Quiet = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Also show files that were restored already.",
            rich_help_panel=options.TO_PRINT,
        ),
    ] = False,
    log_file: options.LogFile = None,
) -> None:
    """Give files the genre, mood, instruments and vocals back that they had before a run.

    Everything else in them stays. A file whose fields somebody has changed
    since is left alone and named; the others are restored. An undo is a run
    too: its number undoes it.
    """
    with endings():
        settings = config.override(
            config.load(), {"preserve_mtime": preserve_mtime, "hardlinks": hardlinks}
        )
        number, paths = _run_and_paths(what or [])
        output = Output(form, quiet=quiet, verbose=verbose, log_file=log_file)
        output.prepare()
        from musictag.stores import journal as journals  # noqa: PLC0415

        if not journals.exists(journals.default_path()):
            nothing_to_do(NO_RUNS)
        with Session(output, settings) as session:
            _undo(session, output, settings, number, paths, dry_run=dry_run, force=force)
        raise typer.Exit(session.exit_code)


def _undo(
    session: Session,
    output: Output,
    settings: config.Settings,
    number: int | None,
    paths: list[Path],
    *,
    dry_run: bool,
    force: bool,
) -> None:
    from musictag import files  # noqa: PLC0415
    from musictag.report import runs  # noqa: PLC0415
    from musictag.report.tally import Tally  # noqa: PLC0415
    from musictag.scan import undo as undoing  # noqa: PLC0415

    journal = session.journal(write=True)
    assert journal is not None
    run = undoing.choose(journal, number, paths)
    entries = [] if run is None else undoing.standing(journal, run, paths)
    if run is None or not entries:
        files.check_roots(paths)
        nothing_to_do("there is nothing to undo" + (" there" if paths else ""))
    report = session.report(
        fields_of(journal, run), summary=Tally.summary_of_undo, count=lambda: len(entries)
    )
    if not output.quiet:
        report.say(f"musictag: undoing {runs.title(run)}")
    session.tell(
        undoing.undo(
            journal,
            run,
            entries,
            settings,
            cache=session.cache(),
            write=None if dry_run else sys.argv[1:],
            force=force,
            stopped=session.stopped,
        )
    )


def _run_and_paths(what: list[str]) -> tuple[int | None, list[Path]]:
    """Split the arguments: a number in front is a run, all others are paths."""
    is_number = [re.fullmatch(RUN, word) is not None for word in what]
    if any(is_number[1:]):
        word = what[is_number.index(True, 1)]
        raise UsageError(f"{word}: one run, before the paths (a file of this name is ./{word})")
    number = int(what[0]) if is_number[:1] == [True] else None
    return number, [options.path(word) for word in what[0 if number is None else 1 :]]
