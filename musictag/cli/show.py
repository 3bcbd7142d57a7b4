"""`musictag show`: what is in files, what is heard in them, and why."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from musictag import config
from musictag.cli import options, streams
from musictag.cli.endings import check_word, complain, endings
from musictag.errors import FileError, UsageError, system_trouble

if TYPE_CHECKING:
    from musictag.config import Settings
    from musictag.scan.showing import Shown

FORMS = ("table", "jsonl")
TO_DRAW = "Pictures"


def show(  # one argument per option
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="Music files.", parser=options.path),
    ],
    *,
    model: options.Model = None,
    device: options.Device = None,
    svg: Annotated[
        Path | None,
        typer.Option(
            metavar="PICTURE",
            help="Draw one FILE into PICTURE.svg instead.",
            parser=options.path,
            rich_help_panel=TO_DRAW,
        ),
    ] = None,
    png: Annotated[
        Path | None,
        typer.Option(
            metavar="PICTURE",
            help="Draw one FILE into PICTURE.png instead, with matplotlib (musictag[plot]).",
            parser=options.path,
            rich_help_panel=TO_DRAW,
        ),
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORM",
            help="table or jsonl.",
            rich_help_panel=options.TO_PRINT,
        ),
    ] = "table",
) -> None:
    """Show what is in music files, what is heard in them, and why a value is chosen or not.

    Each value has a bar for the share of listeners who would agree, with a mark at the share that
    it needs. Below is what is heard over time. Nothing is written or remembered.
    """
    with endings():
        check_word("--format", form, FORMS)
        _check_pictures(files, svg, png)
        settings = config.override(config.load(), {"model": model, "device": device})
        streams.prepare_stdout(form)
        n_failed = 0
        for n, found in enumerate(_shown(files, settings)):
            if isinstance(found, FileError):
                n_failed += 1
                complain(f"{found.path}: {found.message}")
                if form == "jsonl":
                    error = {"code": found.code, "message": found.message}
                    typer.echo(json.dumps({"path": os.fspath(found.path), "error": error}))
            elif svg is not None or png is not None:
                _draw(found, svg, png)
            elif form == "jsonl":
                typer.echo(json.dumps(found.to_json()))
            else:
                from musictag.report import show as report  # noqa: PLC0415

                lines = [""] if n else []
                typer.echo("\n".join([*lines, *report.lines(found, sys.stdout)]))
        raise typer.Exit(1 if n_failed else 0)


def _check_pictures(files: list[Path], svg: Path | None, png: Path | None) -> None:
    """UsageError for pictures that could not be drawn, before anything is heard."""
    for option, picture in {".svg": svg, ".png": png}.items():
        if picture is None:
            continue
        name = f"--{option[1:]}"
        if len(files) > 1:
            raise UsageError(f"{name}: draws one file, not {len(files)}")
        if picture.suffix.lower() != option:  # so that no music is replaced by mistake
            raise UsageError(f"{name} {picture}: the name of the picture must end in {option}")
        if not picture.absolute().parent.is_dir():
            raise UsageError(f"{name} {picture}: there is no folder {picture.absolute().parent}")
        if picture.is_dir():
            raise UsageError(f"{name} {picture}: this is a folder")
    if png is not None:
        from musictag.report import png as drawing  # noqa: PLC0415

        drawing.check()


def _shown(files: list[Path], settings: Settings) -> Iterator[Shown | FileError]:
    """Each file from close up, or what is wrong with it; the model is loaded once."""
    from musictag.hearing import checkpoint  # noqa: PLC0415

    model = checkpoint.find(settings.model)
    from musictag.audio.decoder import Decoder  # noqa: PLC0415
    from musictag.hearing.devices import find_device  # noqa: PLC0415
    from musictag.scan import known, pipeline, showing, taggram  # noqa: PLC0415

    pipeline.check_segments(model)
    batch_size = settings.batch_size or taggram.BATCH_SIZE
    load = functools.cache(
        lambda: model.heard_by.load(find_device(settings.device), batch_size=batch_size)
    )
    with Decoder() as decoder:
        for path in files:
            try:
                known.stat_of(path)
                yield showing.show(decoder.track(path), model, settings, load)
            except FileError as error:  # noqa: PERF203  (a few files)
                yield error


def _draw(shown: Shown, svg: Path | None, png: Path | None) -> None:
    from musictag.disk import replacing  # noqa: PLC0415
    from musictag.report import png as matplotlib  # noqa: PLC0415
    from musictag.report import svg as pictures  # noqa: PLC0415

    for place in filter(None, (svg, png)):
        try:
            with replacing(Path(os.path.realpath(place))) as temporary:
                if place is svg:
                    temporary.write_text(pictures.svg(shown), encoding="utf-8")
                else:
                    matplotlib.write(shown, temporary)
        except OSError as error:
            reason = system_trouble(error).reason
            raise UsageError(f"{place}: cannot be written: {reason}") from error
        complain(f"{place}: drawn")
