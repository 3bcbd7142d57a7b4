"""Options that several commands share, and what turns their text into values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from musictag.cli import completion
from musictag.report import FORMATS

TO_SCAN = "What to scan"
TO_WATCH = "When to scan"
TO_WRITE = "What to write"
TO_SAY = "Which words to write"
TO_HEAR = "How to hear"
TO_PRINT = "What to print"

DEVICES = "auto, cpu, cuda, cuda:N or mps."
HARDLINKS = (
    "Files that have other names (hard links): refuse, replace (a new file takes this name, the "
    "other names keep the old file) or in-place (all names; not safe from a power cut). "
    "[default: refuse]"
)


def path(text: str) -> Path:
    """Read a path. An empty one is an error: Path("") would be the current folder."""
    return Path(name(text))


def name(text: str) -> str:
    """Read a name that must not be empty."""
    if not text:
        raise typer.BadParameter("the name is empty (a variable that is not set?)")
    return text


def number_or_word(text: str) -> int | str:
    """Read a number, or leave a word such as `auto` as it is."""
    return int(text) if text.isdecimal() else text


Form = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="FORM",
        help=f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}.",
        autocompletion=completion.forms,
        rich_help_panel=TO_PRINT,
    ),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="Print only failures to standard error; results are still printed.",
        rich_help_panel=TO_PRINT,
    ),
]
LogFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Append what happened to FILE.",
        parser=path,
        rich_help_panel=TO_PRINT,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|DIR",
        help="The model. [default: the bundled model]",
        autocompletion=completion.models,
        rich_help_panel=TO_HEAR,
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=f"Where to run the model: {DEVICES} [default: auto]",
        autocompletion=completion.devices,
        rich_help_panel=TO_HEAR,
    ),
]
PreserveMtime = Annotated[
    bool | None,
    typer.Option(
        "--preserve-mtime/--no-preserve-mtime",
        help="Keep the modification time of files that are written. [default: no]",
        rich_help_panel=TO_WRITE,
    ),
]
Hardlinks = Annotated[
    str | None,
    typer.Option(
        metavar="HOW",
        help=HARDLINKS,
        autocompletion=completion.hardlinks,
        rich_help_panel=TO_WRITE,
    ),
]
