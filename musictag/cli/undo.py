"""`musictag undo`: give files back what they had before a run."""

from __future__ import annotations

import re
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from musictag import config
from musictag.cli import logs, options
from musictag.cli.endings import complain, endings, nothing_to_do
from musictag.cli.history import NO_RUNS, RUN, fields_of
from musictag.cli.session import Output, Session
from musictag.errors import UsageError

if TYPE_CHECKING:
    from musictag.scan.undo import Numbers, Since

TO_UNDO = "What to undo"


def undo(  # noqa: PLR0913  # one argument per option
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN|PATH",
            help="A run's number or several as 3-7 (musictag history lists them), and files and "
            "folders if only these are meant. A file that is called 12 is ./12. [default: latest, "
            "the latest scan that has not been undone, all its files]",
            show_default=False,
            rich_help_panel=TO_UNDO,
        ),
    ] = None,
    *,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Undo all runs since this day or time: 2026-11-20 or '2026-11-20 14:30'.",
            rich_help_panel=TO_UNDO,
        ),
    ] = None,
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
    since is left alone and named; the others are restored. Several runs are
    undone as one: a file gets what it had before the first of them. Files that
    were moved or renamed are found by their sound. An undo is a run too: its
    number undoes it.
    """
    with endings():
        settings = config.override(
            config.load(), {"preserve_mtime": preserve_mtime, "hardlinks": hardlinks}
        )
        what = what or []
        wanted, paths = _since(since, what) if since is not None else _runs_and_paths(what)
        output = Output(form, quiet=quiet, verbose=verbose, log_file=log_file)
        output.prepare()
        from musictag.stores import journal as journals  # noqa: PLC0415

        if not journals.exists(journals.default_path()):
            nothing_to_do(NO_RUNS, code=1)
        with Session(output, settings) as session:
            _undo(session, output, settings, wanted, paths, dry_run=dry_run, force=force)
        raise typer.Exit(session.exit_code)


def _undo(
    session: Session,
    output: Output,
    settings: config.Settings,
    wanted: Numbers | Since | None,
    paths: list[Path],
    *,
    dry_run: bool,
    force: bool,
) -> None:
    from musictag import files  # noqa: PLC0415
    from musictag.audio import decoder as decoders  # noqa: PLC0415
    from musictag.report.runs import titles  # noqa: PLC0415
    from musictag.report.tally import Tally  # noqa: PLC0415
    from musictag.scan import moved  # noqa: PLC0415
    from musictag.scan import undo as undoing  # noqa: PLC0415

    journal = session.journal(write=True)
    assert journal is not None
    cache = session.cache()
    decoder = session.enter(decoders.Decoder())
    sounds = moved.Sounds(cache, decoder.payload_digest, stopped=session.stopped)

    def say(message: str) -> None:
        complain(message.removeprefix("musictag: "))

    with logs.logging_to(say, quiet=output.quiet, verbose=False, log_file=None):
        runs = undoing.choose(journal, wanted, paths, sounds)
        chosen = {run: undoing.standing(journal, run, paths, sounds=sounds) for run in runs}
    chosen = {run: entries for run, entries in chosen.items() if entries}
    if not chosen:
        files.check_roots(paths)
        nothing_to_do("there is nothing to undo" + (" there" if paths else ""))
    report = session.report(
        fields_of(journal, chosen),
        summary=Tally.summary_of_undo,
        count=lambda: len(undoing.files_of(chosen)),
    )
    if not output.quiet:
        report.say(f"musictag: undoing {titles(list(chosen))}")
    session.tell(
        undoing.undo(
            journal,
            chosen,
            settings,
            cache=cache,
            decoder=decoder,
            write=None if dry_run else sys.argv[1:],
            paths=paths,
            sounds=sounds,
            force=force,
            stopped=session.stopped,
        )
    )


def _runs_and_paths(what: list[str]) -> tuple[Numbers | None, list[Path]]:
    """Split the arguments: a number or two, or latest, in front are runs, all others are paths."""
    if what[:1] == ["latest"]:
        return None, [options.path(word) for word in what[1:]]
    found = [re.fullmatch(f"({RUN})(?:-({RUN}))?", word) for word in what]
    if any(found[1:]):
        word = what[next(n for n, match in enumerate(found) if n and match)]
        raise UsageError(f"{word}: one run, before the paths (a file of this name is ./{word})")
    if not found or not found[0]:
        return None, [options.path(word) for word in what]
    from musictag.scan.undo import Numbers  # noqa: PLC0415

    first, last = int(found[0][1]), int(found[0][2] or found[0][1])
    if first > last:
        raise UsageError(f"{what[0]}: the first run has the lower number: {last}-{first}")
    return Numbers(first, last), [options.path(word) for word in what[1:]]


def _since(text: str, what: list[str]) -> tuple[Since, list[Path]]:
    """The time after --since, in local time; the arguments are all paths then."""
    from musictag.scan.undo import Since  # noqa: PLC0415

    try:
        time_s = datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"--since {text}: expected a day or a time such as 2026-11-20 or '2026-11-20 14:30'"
        ) from None
    numbers, paths = _runs_and_paths(what)
    if numbers is not None:
        raise UsageError(f"name runs by number or with --since, not both (a file is ./{what[0]})")
    return Since(time_s), paths
