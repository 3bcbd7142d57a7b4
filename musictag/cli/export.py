"""`musictag export`: all that is known of tracks, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from musictag import config
from musictag.cli import completion, options, remembered, results
from musictag.cli.endings import check_word, complain, endings
from musictag.errors import UsageError

FORMS = ("csv", "jsonl", "parquet", "sqlite")


def export(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="DIR",
            help="Folders and files. [default: all that is remembered]",
            show_default=False,
            parser=options.path,
        ),
    ] = None,
    *,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The file.", parser=options.path),
    ],
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORM",
            help=f"{', '.join(FORMS[:-1])} or {FORMS[-1]}. [default: as FILE's name ends]",
            autocompletion=completion.one_of(*FORMS),
        ),
    ] = None,
    embeddings: Annotated[
        bool,
        typer.Option(
            "--embeddings",
            help="Also the numbers by which similar compares tracks: their mean over the track and "
            "their spread.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
    model: options.Model = None,
) -> None:
    """Write all that is known of remembered tracks into a table: one row per track.

    File names, fields, length, the probability of every value and tag, and what a scan would
    choose. Nothing is decoded.
    """
    with endings():
        chosen = _form(form, output)
        results.check(output, force=force)
        settings = config.override(config.load(), {"model": model})
        from musictag.library import export as table  # noqa: PLC0415
        from musictag.report import export as writers  # noqa: PLC0415
        from musictag.report.text import counted  # noqa: PLC0415

        writers.check(chosen)
        with remembered.opened(settings) as memory:
            opinion, name = memory.opinion, memory.model.name
            n_summary = memory.model.heard_by.sizes().n_summary if embeddings else 0
            summaries = embeddings or opinion.needs_summaries

            def rows() -> Iterator[list[table.Cell]]:
                for track in memory.each(folders or [], summaries=summaries):
                    yield table.row(track, opinion, settings.limits, name, n_summary=n_summary)

            columns = table.columns(opinion, n_summary=n_summary)
            with results.writing(output) as temporary:
                n = writers.write(chosen, temporary, columns, rows())
        complain(f"{output}: {counted(n, 'track')}")


def _form(form: str | None, output: Path) -> str:
    found = form or {"db": "sqlite", "ndjson": "jsonl"}.get(
        suffix := output.suffix.lower().removeprefix("."), suffix
    )
    if form is None and found not in FORMS:
        raise UsageError(f"{output}: its name does not say the format: --format {'|'.join(FORMS)}")
    check_word("--format", found, FORMS)
    return found
