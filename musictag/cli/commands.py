"""The table of commands: a new command is one more row, under the panel that it belongs to.

A command's module is imported when the command is called, completed or explained, so that the list
of all costs nothing. `cls` names a class beside the function, for commands that read their
arguments in a way of their own.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

import typer
import typer.main

from musictag.cli import help


@dataclass(frozen=True)
class Command:
    """Where a command is, and what it does."""

    module: str
    """Module of `musictag.cli`."""
    name: str
    """Its function there, or the `typer.Typer` of a group of commands."""
    summary: str
    """What the list of commands says."""
    cls: str | None = None


PANELS: dict[str, dict[str, Command]] = {
    "Tag music": {
        "scan": Command(
            "scan",
            "scan",
            "Hear music and show what would be written; with --write, write it.",
            cls="Command",
        ),
        "watch": Command("watch", "watch", "Scan folders, then whatever comes into them."),
        "undo": Command("undo", "undo", "Give files back what they had before a run."),
        "history": Command("history", "history", "List the runs that wrote files."),
    },
    "Your library": {
        "show": Command("show", "show", "Show what is in files, what is heard, and why."),
        "taggram": Command("taggram", "show_taggram", "Draw what is heard in a track over time."),
        "similar": Command("similar", "similar", "List the tracks that sound most like others."),
        "playlist": Command("playlist", "playlist", "Make a playlist of what was heard."),
        "export": Command("export", "export", "Write what is known of tracks into a table."),
        "report": Command(
            "report", "report", "Make a page of a collection: map, counts, changes, doubtful tags."
        ),
    },
    "Your own model": {
        "learn": Command("learn", "learn", "Learn your own words from files that have them."),
        "train": Command("train", "train", "Train a model on music and labels."),
        "evaluate": Command("evaluate", "evaluate", "Judge a model on labelled music."),
    },
    "Trust and help": {
        "doctor": Command("doctor", "doctor", "See whether all that musictag needs works here."),
        "models": Command("models", "app", "List, describe, verify and add models."),
        "config": Command("config", "app", "Show the settings, or begin a settings file."),
        "cache": Command("cache", "app", "Show what is remembered, or forget some of it."),
        "help": Command("help", "show_help", "Show the help of a command."),
    },
}
"""Panel of the help → name → command, in the order in which they are shown."""

OTHER_NAMES: dict[str, Command] = {
    "model": Command("models", "info", "Describe a model and the values it can give."),
}
"""Earlier names of commands, which still work and are not shown."""


class Lazily(MutableMapping[str, Any]):
    """Every command by its name, imported when it is asked for."""

    def __init__(self) -> None:
        rows = [panel.items() for panel in PANELS.values()]
        self._rows = {name: row for panel in rows for name, row in panel} | OTHER_NAMES
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = _loaded(name, self._rows[name], hidden=name in OTHER_NAMES)
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def _loaded(name: str, row: Command, *, hidden: bool) -> Any:
    module = importlib.import_module(f"musictag.cli.{row.module}")
    found = getattr(module, row.name)
    if isinstance(found, typer.Typer):
        command: Any = typer.main.get_command(found)
        command.name, command.short_help = name, row.summary
        return command
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    cls = getattr(module, row.cls) if row.cls else help.Command
    alone.command(name, cls=cls, short_help=row.summary, hidden=hidden)(found)
    return typer.main.get_command(alone)
