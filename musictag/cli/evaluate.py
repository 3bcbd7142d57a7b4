"""`musictag evaluate`: how well a model does on labelled music."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from musictag import config
from musictag.cli import completion, options, streams
from musictag.cli.datasets import fetch, say_contents
from musictag.cli.endings import check_word, complain, endings

TO_JUDGE = "What to judge"


def evaluate(
    *,
    dataset: Annotated[
        str,
        typer.Option(
            metavar="DIR|mtat",
            help="A data set, as for training.",
            show_default=False,
            parser=options.name,
            rich_help_panel=TO_JUDGE,
        ),
    ],
    split: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="train, validation or test.",
            autocompletion=completion.splits,
            rich_help_panel=TO_JUDGE,
        ),
    ] = "test",
    level: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="segment, or track: the mean over its segments.",
            autocompletion=completion.levels,
            rich_help_panel=TO_JUDGE,
        ),
    ] = "segment",
    model: options.Model = None,
    device: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=f"Where to run the model: {options.DEVICES}",
            autocompletion=completion.devices,
            rich_help_panel=options.TO_HEAR,
        ),
    ] = "auto",
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print everything as one JSON object.",
            rich_help_panel=options.TO_PRINT,
        ),
    ] = False,
) -> None:
    """Judge a model on labelled music: ROC-AUC, PR-AUC and correlation, with 95 % intervals
    over tracks; calibration; precision and recall at its thresholds; genres against people's.

    Undecodable files are skipped and listed.
    """
    with endings():
        import json  # noqa: PLC0415

        from musictag.hearing import checkpoint  # noqa: PLC0415
        from musictag.hearing.devices import find_device  # noqa: PLC0415
        from musictag.scan import pipeline  # noqa: PLC0415

        settings = config.override(config.load(), {"device": device, "model": model})
        found = find_device(settings.device)
        from musictag.report.progress import Progress  # noqa: PLC0415
        from musictag.report.text import visible  # noqa: PLC0415
        from musictag.training import dataset as values  # noqa: PLC0415
        from musictag.training import datasets, scorecard  # noqa: PLC0415
        from musictag.training import evaluate as judge  # noqa: PLC0415

        # Check everything that was asked for before hours of downloading or hearing.
        check_word("--split", split, values.SPLITS)
        check_word("--level", level, judge.LEVELS)
        ears = checkpoint.find(settings.model)
        pipeline.check_segments(ears)
        with Progress(sys.stderr) as progress:
            labelled = datasets.open_dataset(fetch(dataset, progress), tags=ears.tags)
            say_contents(labelled, progress)
            evaluation = judge.evaluate(
                ears,
                labelled,
                split=split,
                level=level,
                device=found,
                tell=lambda done, total: progress.step("heard", done, total, "examples"),
            )
        for reason in evaluation.left_out.values():
            complain(f"left out: {reason}")
        streams.prepare_stdout("table")
        if as_json:
            typer.echo(json.dumps(evaluation.to_json(), indent=1))
        else:
            # Line by line: a tag may be called anything.
            typer.echo("\n".join(map(visible, scorecard.text(evaluation).split("\n"))))
