"""Help texts: plain, grouped in panels, and there at once.

Typer draws panels with rich, whose import would double the time of `--help`. These classes print
the same groups with the formatter of its own command parser.
"""

from __future__ import annotations

import textwrap
from typing import Annotated, Any

import typer
import typer.core

from musictag.cli import completion

WIDEST_NAME = 22
"""Columns of option names; the help of a longer one begins on the next line."""
LEAST_HELP = 24
"""Columns that help texts keep in a narrow terminal, where option names get fewer."""


class Command(typer.core.TyperCommand):
    """A command whose help groups its options by panel."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write_panels(self, ctx, formatter)


class Group(typer.core.TyperGroup):
    """The program's own help: options, then commands."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write_panels(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        rows = [(name, self.commands[name].short_help or "") for name in self.list_commands(ctx)]
        write_panel("Commands", rows, formatter, max(len(name) for name, _ in rows))


def _write_panels(command: Any, ctx: Any, formatter: Any) -> None:
    """Write arguments and options under the names of their panels, in the order they are met."""
    panels: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(ctx):
        row = parameter.get_help_record(ctx)
        if row is None:
            continue
        is_argument = parameter.param_type_name == "argument"
        default = "Arguments" if is_argument else "Options"
        panel = getattr(parameter, "rich_help_panel", None) or default
        if is_argument:  # without the Python type that some versions of Typer add
            row = (parameter.metavar or parameter.name.upper(), row[1])
        panels.setdefault(panel, []).append((row[0], row[1].replace("  [", " [")))
    options = panels.pop("Options", None)  # --help and the like come last
    if options is not None:
        panels["Options" if not panels or list(panels) == ["Arguments"] else "Other"] = options
    for panel, rows in panels.items():
        write_panel(panel, rows, formatter)


def write_panel(
    title: str, rows: list[tuple[str, str]], formatter: Any, widest_name: int = WIDEST_NAME
) -> None:
    with formatter.section(title):
        lines = _laid_out(rows, formatter.width, widest_name)
        formatter.write("".join(line + "\n" for line in lines))


def _laid_out(rows: list[tuple[str, str]], width: int, widest_name: int) -> list[str]:
    """Names to the left, help texts to the right, wrapped between words only."""
    start = 2 + min(widest_name, width - LEAST_HELP - 4) + 2
    lines = []
    for name, text in rows:
        wrapped = textwrap.wrap(text, width - start, break_on_hyphens=False, break_long_words=False)
        first = f"  {name}".ljust(start)
        if len(name) + 4 > start or not wrapped:
            lines.append(first.rstrip())
        else:
            lines.append(first + wrapped.pop(0))
        lines += [" " * start + line for line in wrapped]
    return lines


def show_help(
    ctx: typer.Context,
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COMMAND",
            help="The command, such as scan or config show. [default: list all commands]",
            autocompletion=completion.commands,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show what a command does and its options."""
    assert ctx.parent is not None
    program: Any = ctx.parent.command
    arguments = [*(command or ()), "--help"]
    program.main(arguments, prog_name=ctx.parent.info_name, standalone_mode=False)
