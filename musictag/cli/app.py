"""The commands and what they have in common."""

from __future__ import annotations

from typing import Annotated

import typer

from musictag import __version__
from musictag.cli import (
    config,
    evaluate,
    help,
    history,
    learn,
    model,
    playlist,
    report,
    scan,
    similar,
    taggram,
    train,
    undo,
    watch,
)

app = typer.Typer(
    cls=help.Group,
    help="Listen to a music library and write genre, mood, instruments and vocals into its files.",
    epilog="Exit codes: 0 success, 1 some files failed, 2 wrong usage, settings, model or data "
    "set, 130 interrupted.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    # Plain help and plain tracebacks: nothing to load for colours, nothing hidden.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"musictag {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    pass


for name, command, cls, summary in (
    ("scan", scan.scan, scan.Command, scan.SUMMARY),
    ("watch", watch.watch, help.Command, "Scan folders, then whatever comes into them."),
    ("undo", undo.undo, help.Command, "Give files back what they had before a run."),
    ("history", history.history, help.Command, "List the runs that wrote files."),
    ("model", model.show_model, help.Command, "Describe a model and the values it can give."),
    ("taggram", taggram.show_taggram, help.Command, "Draw what is heard in one track over time."),
    ("similar", similar.similar, help.Command, "List the tracks that sound most like others."),
    ("playlist", playlist.playlist, help.Command, "Make a playlist of what was heard."),
    ("learn", learn.learn, help.Command, "Learn your own words from the files that have them."),
    ("report", report.report, help.Command, report.SUMMARY),
    ("train", train.train, help.Command, "Train a model on music and labels."),
    ("evaluate", evaluate.evaluate, help.Command, "Judge a model on labelled music."),
    ("help", help.show_help, help.Command, "Show the help of a command."),
):
    app.command(name, cls=cls, short_help=summary)(command)
app.add_typer(config.app, name="config", short_help="Show the settings, or begin a settings file.")
