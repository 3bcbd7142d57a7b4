"""`musictag config`: what the settings are and where they come from."""

from __future__ import annotations

from typing import Annotated

import typer

from musictag import config
from musictag.cli import help, options, streams
from musictag.cli.endings import complain, endings

app = typer.Typer(
    cls=help.Group,
    add_completion=False,  # the program has it
    help="Show the settings, where they come from, or begin a settings file.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("show", cls=help.Command, short_help="Print the settings in effect and their origin.")
def show(
    *,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object.", rich_help_panel=options.TO_PRINT),
    ] = False,
) -> None:
    """Print the settings in effect, as a settings file would say them, and where each comes from.

    An option goes over the environment (MUSICTAG_MAX_GENRES=1), which goes over the file, which
    goes over the defaults.
    """
    with endings():
        from musictag.config import written  # noqa: PLC0415

        streams.prepare_stdout("table")
        found = config.effective()
        typer.echo(written.as_json(found) if as_json else "\n".join(written.shown(found)))


@app.command("init", cls=help.Command, short_help="Begin a settings file.")
def init() -> None:
    """Write a settings file in which every setting is explained and none is set.

    A file that exists is left alone.
    """
    with endings():
        from musictag.config import written  # noqa: PLC0415
        from musictag.errors import UsageError, system_trouble  # noqa: PLC0415

        path = config.default_path()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(written.commented())
        except FileExistsError:
            raise UsageError(f"{path}: there is one already; not touching it") from None
        except OSError as error:
            raise UsageError(f"{path}: {system_trouble(error).reason}") from error
        complain(f"wrote {path}")


@app.command("path", cls=help.Command, short_help="Print where the settings file is.")
def path() -> None:
    """Print where the settings file is, or would be."""
    with endings():
        streams.prepare_stdout("table")
        typer.echo(config.default_path())
