"""The man page, made from the commands: python -m musictag.cli.manpage > musictag.1

The same commands give the same page, byte by byte. Building a wheel makes it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer.main

from musictag import __version__
from musictag.cli.app import app
from musictag.cli.commands import PANELS

FILES = (
    ("~/.config/musictag/config.toml", "Settings; musictag config path prints where it is."),
    ("~/.cache/musictag/heard.sqlite", "What was heard. It can be deleted at any time."),
    ("~/.local/share/musictag/journal.sqlite", "What was written, for musictag undo."),
    ("~/.local/share/musictag/models", "Your own models."),
)
CODES = (
    ("0", "Everything went well."),
    ("1", "Some files failed, or results could not be written."),
    ("2", "Wrong usage, settings, model, device or data set."),
    ("130", "Interrupted; the same command continues where it stopped."),
    ("141", "Whoever read the results stopped reading."),
)


def page() -> str:
    """The page, in roff's man macros."""
    program: Any = typer.main.get_command(app)
    summary = "listen to a music library and write what is heard into the files"
    lines = [
        f'.TH MUSICTAG 1 "" "musictag {__version__}" "User commands"',
        ".nh",
        ".ad l",
        *(".SH NAME", f"musictag \\- {summary}", ".SH SYNOPSIS", ".B musictag"),
        *(r"[\fIoptions\fR] \fIcommand\fR [\fIarguments\fR]", ".SH DESCRIPTION"),
        _text(program.help),
        "Nothing is written without \\-\\-write, and every run can be undone.",
    ]
    for panel, rows in PANELS.items():
        lines.append(f".SH {_text(panel.upper())}")
        for name in rows:
            lines += _command(program.commands[name], f"musictag {name}")
    lines += [".SH FILES", *_list(FILES), ".SH EXIT STATUS", *_list(CODES)]
    lines += [".SH ENVIRONMENT", *_list([("MUSICTAG_*", "Settings, as MUSICTAG_MAX_GENRES=1.")])]
    return "\n".join(lines) + "\n"


def _command(command: Any, name: str) -> Iterator[str]:
    inner = getattr(command, "commands", None)
    if inner is not None:
        for short, one in inner.items():
            yield from _command(one, f"{name} {short}")
        return
    context = typer.Context(command, info_name=name)
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    words = [(p.metavar or p.name.upper()) for p in arguments]
    shown = (w if p.required else f"[{w}]" for p, w in zip(arguments, words, strict=True))
    yield f".SS {_text(name)} [OPTIONS] {_text(' '.join(shown))}".rstrip()
    for number, paragraph in enumerate(inspect.cleandoc(command.help or "").split("\n\n")):
        yield from ([".PP"] if number else [])
        yield _text(paragraph)
    for parameter in command.params:
        row = parameter.get_help_record(context)
        if row is None:
            continue
        term = row[0] if parameter not in arguments else words[arguments.index(parameter)]
        yield from _list([(term, row[1].replace("  [", " ["))])


def _list(rows: Any) -> Iterator[str]:
    for term, text in rows:
        yield from (".TP", f".B {_text(term)}", _text(text))


def _text(text: str) -> str:
    """Text that roff prints as it is, on one line."""
    line = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    ascii_only = "".join(c if c.isascii() else f"\\[u{ord(c):04X}]" for c in line)
    return re.sub(r"^([.'])", r"\\&\1", ascii_only)


if __name__ == "__main__":
    print(page(), end="")
