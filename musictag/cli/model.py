"""`musictag model`: what a model is."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from musictag import config
from musictag.cli import completion
from musictag.cli.endings import endings


def show_model(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|DIR",
            help="The model. [default: the model of the settings, or the bundled one]",
            autocompletion=completion.models,
            show_default=False,
        ),
    ] = None,
) -> None:
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


def _pairs(settings: Mapping[str, object]) -> list[str]:
    return [f"{name} {value}" for name, value in settings.items()]
