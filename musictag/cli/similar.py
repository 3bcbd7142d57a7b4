"""`musictag similar`: what sounds like these tracks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from musictag import config
from musictag.cli import options, remembered, streams
from musictag.cli.endings import check_word, endings
from musictag.errors import UsageError

FORMS = ("table", "jsonl", "paths")


def similar(  # noqa: PLR0913  # one argument per option
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="Music files.", parser=options.path),
    ],
    *,
    number: Annotated[
        int, typer.Option("-n", "--number", metavar="N", min=1, help="List N tracks.")
    ] = 20,
    within: Annotated[
        list[Path] | None,
        typer.Option(
            "--in",
            metavar="DIR",
            help="Look only below DIR. May be repeated. [default: all that is remembered]",
            parser=options.path,
        ),
    ] = None,
    not_same_album: Annotated[
        bool, typer.Option("--not-same-album", help="Leave out tracks of the same albums.")
    ] = False,
    not_same_artist: Annotated[
        bool, typer.Option("--not-same-artist", help="Leave out tracks of the same artists.")
    ] = False,
    hear: Annotated[
        bool,
        typer.Option(
            "--hear",
            help="First hear what has not been heard, or was heard when no summaries were kept.",
            rich_help_panel=options.TO_HEAR,
        ),
    ] = False,
    model: options.Model = None,
    device: options.Device = None,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORM",
            help="table, jsonl or paths (one per line).",
            rich_help_panel=options.TO_PRINT,
        ),
    ] = "table",
) -> None:
    """List the tracks that sound most like FILE; of several, like all of them together.

    Only what musictag scan has heard is compared. A FILE that it has not heard is heard now.
    """
    with endings():
        check_word("--format", form, FORMS)
        settings = config.override(config.load(), {"model": model, "device": device})
        with remembered.opened(settings) as memory:
            from musictag.library import similar as alike  # noqa: PLC0415
            from musictag.report import similar as report  # noqa: PLC0415

            like = memory.heard(files)
            neighbours = alike.Neighbours(memory.tracks(within or [], summaries=True, hear=hear))
            try:
                nearest = neighbours.nearest([track.summary for track in like if track.summary])
            except ValueError as error:
                raise UsageError(f"{files[0]}: {error}") from error
            found = alike.without_relatives(
                nearest, like, same_album=not not_same_album, same_artist=not not_same_artist
            )
        streams.prepare_stdout("csv" if form == "paths" else form)
        for line in report.lines(found[:number], form):
            typer.echo(line)
