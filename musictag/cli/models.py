"""`musictag models`: the models that can be called by name, and what they are."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from musictag import config
from musictag.cli import completion, help, options, streams
from musictag.cli.endings import complain, endings
from musictag.errors import CheckpointError, UsageError

app = typer.Typer(
    cls=help.Group,
    add_completion=False,  # the program has it
    help="List, describe and verify the models that come with musictag and your own, and add one.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME|DIR",
        help="The model. [default: the model of the settings, or the bundled one]",
        autocompletion=completion.models,
        show_default=False,
    ),
]


@app.command("list", cls=help.Command, short_help="List the models that a name can mean.")
def list_models(
    *,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print one JSON object per model.", rich_help_panel=options.TO_PRINT
        ),
    ] = False,
) -> None:
    """List the models that come with musictag and your own. A star marks the one that scans use.

    One that cannot be read is listed with the reason; the exit code is 1 then.
    """
    with endings():
        from musictag.hearing import checkpoint, models  # noqa: PLC0415
        from musictag.report.text import visible  # noqa: PLC0415

        streams.prepare_stdout("table")
        used = config.load().model or checkpoint.DEFAULT
        n_broken = 0
        for name, directory, is_bundled in models.listed():
            found = {"name": name, "path": os.fspath(directory), "bundled": is_bundled}
            found |= {"used": name == used, "tags": None, "bytes": None, "digest": None}
            found["error"] = None
            try:
                model = checkpoint.read(directory)
                found |= {"tags": len(model.tags), "bytes": models.size(model)}
                found["digest"] = model.digest
            except (CheckpointError, OSError) as error:
                found["error"] = str(error)
                n_broken += 1
            if as_json:
                typer.echo(json.dumps(found))
                continue
            about = f"broken: {found['error']}"
            if found["error"] is None:
                megabytes = f"{found['bytes'] / 1e6:.1f} MB"  # type: ignore[operator]
                kind = "bundled" if is_bundled else "your own"
                about = f"{found['tags']:>4} tags  {megabytes:>8}  {kind}"
            typer.echo(visible(f"{'*' if found['used'] else ' '} {name:<24}  {about}"))
        raise typer.Exit(1 if n_broken else 0)


@app.command("info", cls=help.Command, short_help="Describe a model and its values.")
def info(name: Name = None) -> None:
    """Describe a model: its front end, network and tags, and the values it can give."""
    with endings():
        settings = config.override(config.load(), {"model": name})
        from musictag.hearing import checkpoint  # noqa: PLC0415
        from musictag.report.model import described  # noqa: PLC0415
        from musictag.vocabulary import FIELDS  # noqa: PLC0415

        found = checkpoint.find(settings.model)
        parts = {
            "name": [found.name],
            "directory": [os.fspath(found.directory)],
            "digest": [found.digest],
            **({} if found.base is None else {"base": [found.base.name]}),
            "front end": _pairs(found.front_end),
            "network": _pairs(found.architecture),
            "tags": list(found.tags),
        }
        for field in FIELDS:
            values = found.vocabulary.in_field(field)
            parts[field.lower()] = [
                f"{v.name} {v.threshold:.2f}" for v in values if v.threshold is not None
            ]
        by_name = found.vocabulary.by_name
        if silent := [name for name in found.own_tags if by_name[name].threshold is None]:
            parts["not written"] = silent
        typer.echo("\n".join(described(parts, sys.stdout)))


@app.command("path", cls=help.Command, short_help="Print the directory of a model.")
def path(name: Name = None) -> None:
    """Print the directory of a model."""
    with endings():
        from musictag.hearing import checkpoint  # noqa: PLC0415

        streams.prepare_stdout("table")
        settings = config.override(config.load(), {"model": name})
        typer.echo(os.fspath(checkpoint.find(settings.model).directory))


@app.command("add", cls=help.Command, short_help="Add a model to your own.")
def add(
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="A model's directory, as train and learn make it.",
            parser=options.path,
            show_default=False,
        ),
    ],
    *,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="What to call it. [default: its own name]", parser=options.name
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a model of your own of that name.")
    ] = False,
) -> None:
    """Copy a model to where --model finds it by its name, from any folder.

    It is verified before and after. A model that is broken is refused with the reason.
    """
    with endings():
        from musictag.hearing import models  # noqa: PLC0415

        added = models.add(directory, name=name, overwrite=overwrite)
        complain(f"added {added.directory.name}: {added.directory}")


@app.command("verify", cls=help.Command, short_help="Verify models: checksum, sizes, numbers.")
def verify(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|DIR",
            help="The model. [default: all models]",
            autocompletion=completion.models,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Verify that models are whole: checksum, names, sizes and values of all weights, front end.

    Exit code 1 if one is not.
    """
    with endings():
        from musictag.hearing import checkpoint, models  # noqa: PLC0415
        from musictag.report.text import visible  # noqa: PLC0415

        streams.prepare_stdout("table")
        if name is None:
            wanted = [(called, directory) for called, directory, _ in models.listed()]
        else:
            options.name(name)
            wanted = [(name, checkpoint.directory_of(name))]
        if not wanted:
            raise UsageError("there is no model: install musictag anew")
        n_broken = 0
        for called, directory in wanted:
            try:
                model = checkpoint.read(directory)
                models.verify(model)
                about = f"ok      {called}: {len(model.tags)} tags, digest {model.digest[:12]}"
            except CheckpointError as error:
                about = f"broken  {called}: {error}"
                n_broken += 1
            typer.echo(visible(about))
        raise typer.Exit(1 if n_broken else 0)


def _pairs(settings: Mapping[str, object]) -> list[str]:
    return [f"{name} {value}" for name, value in settings.items()]
