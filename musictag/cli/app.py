"""What the commands have in common."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from musictag import __version__
from musictag.cli import commands, help


class Program(help.Group):
    """The program: its commands in panels, each imported when it is needed."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = commands.Lazily()

    def list_commands(self, _ctx: Any) -> list[str]:
        """The names that help and completion show."""
        return [name for panel in commands.PANELS.values() for name in panel]

    def format_commands(self, _ctx: Any, formatter: Any) -> None:
        widest = max(len(name) for panel in commands.PANELS.values() for name in panel)
        for title, rows in commands.PANELS.items():
            texts = [(name, row.summary) for name, row in rows.items()]
            help.write_panel(title, texts, formatter, widest)


app = typer.Typer(
    cls=Program,
    help="Listen to a music library and write genre, mood, instruments and vocals into its files.",
    epilog="Exit codes: 0 success, 1 some files failed, 2 wrong usage, settings, model or data "
    "set, 130 interrupted.",
    no_args_is_help=True,
    invoke_without_command=True,  # for --version
    context_settings={"help_option_names": ["-h", "--help"]},
    # Plain help and plain tracebacks: nothing to load for colours, nothing hidden.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def _options(
    ctx: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="With --version: print one JSON object, also with Python, libraries and model.",
        ),
    ] = False,
) -> None:
    if version:
        if as_json:
            from musictag.cli import version as versions  # noqa: PLC0415
            from musictag.cli.endings import endings  # noqa: PLC0415

            with endings():
                typer.echo(versions.as_json())
        else:
            typer.echo(f"musictag {__version__}")
        raise typer.Exit
    if as_json:
        raise typer.BadParameter("belongs to --version", param_hint="--json")
    if ctx.invoked_subcommand is None:
        raise typer.BadParameter("missing; musictag --help lists them", param_hint="COMMAND")
