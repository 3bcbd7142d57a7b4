"""`musictag taggram`: what is heard in one track over time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from musictag import config
from musictag.cli import options, streams
from musictag.cli.endings import endings


def show_taggram(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A music file.", parser=options.path)
    ],
    *,
    model: options.Model = None,
    device: options.Device = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print the probabilities of every segment as one JSON object.",
            rich_help_panel=options.TO_PRINT,
        ),
    ] = False,
) -> None:
    """Draw what is heard in one track over time, and what would be chosen. Nothing is written."""
    with endings():
        settings = config.override(config.load(), {"model": model, "device": device})
        from musictag.hearing import checkpoint  # noqa: PLC0415

        found = checkpoint.find(settings.model)
        import json  # noqa: PLC0415

        from musictag.report.taggram import draw_taggram  # noqa: PLC0415
        from musictag.scan import taggram  # noqa: PLC0415

        heard = taggram.hear(file, found, settings)
        streams.prepare_stdout("table")
        if as_json:
            typer.echo(json.dumps(heard.to_json()))
        else:
            typer.echo("\n".join(draw_taggram(heard, sys.stdout)))
