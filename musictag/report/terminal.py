"""What a terminal has room for: its width, and text cut to it."""

from __future__ import annotations

import os
import re
from typing import TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console

PIPE_WIDTH = 100
"""Columns of a table that does not go to a terminal, unless COLUMNS says otherwise."""
UNKNOWN_WIDTH = 80
"""Columns of a terminal that does not say how many it has."""
UNKNOWN_HEIGHT = 25
"""Lines of a terminal, which nothing here depends on."""
MIN_WIDTH, MAX_WIDTH = 20, 9999
"""Columns that COLUMNS may state; other values are ignored."""


def is_ascii(stream: TextIO) -> bool:
    """Whether a stream's encoding may lack everything but ASCII."""
    return "utf" not in (stream.encoding or "utf").lower()


def marks(stdout: TextIO) -> tuple[str, str, str]:
    """An arrow, a dash for an empty field and the mark of a cut, in ASCII if need be."""
    return ("->", "-", "~") if is_ascii(stdout) else ("→", "–", "…")


def bar_marks(stderr: TextIO) -> tuple[str, str]:
    """The full and the empty part of a bar."""
    return ("#", "-") if is_ascii(stderr) else ("━", "━")


def shortened(text: str, width: int, cut: str) -> str:
    """Text cut to so many columns, with the mark `cut` where something is missing."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + cut


def wrapped(text: str, width: int, *, breaks: str, indent: int) -> list[str]:
    """Text in lines of so many columns, broken after the characters `breaks`.

    Lines after the first are indented. Only a part that is wider than a line is broken elsewhere.
    """
    lines = [""]
    for part in re.findall(rf"[^{re.escape(breaks)}]*[{re.escape(breaks)}]|.+?$", text):
        if lines[-1].strip() and cell_len(lines[-1] + part.rstrip()) > width:
            lines.append(" " * indent)
        rest = part
        while cell_len(lines[-1] + rest.rstrip()) > width:
            start, rest = _split(rest, width - cell_len(lines[-1]))
            lines[-1] += start
            lines.append(" " * indent)
        lines[-1] += rest
    return [line.rstrip() for line in lines if line.strip()]


def fitted(message: str, stream: TextIO) -> str:
    """A message, wrapped between words if it goes to a terminal; elsewhere it stays one line."""
    most = room(stream) if stream.isatty() else None
    if most is None or cell_len(message) <= most:
        return message
    return "\n".join(wrapped(message, most, breaks=" /", indent=2))


def _split(text: str, width: int) -> tuple[str, str]:
    """As many characters as fit into so many columns, at least one, and the others."""
    n = 1
    while n < len(text) and cell_len(text[: n + 1]) <= width:
        n += 1
    return text[:n], text[n:]


def console(stream: TextIO) -> Console:
    """A console of rich's for this stream, whose width is what COLUMNS or the terminal says."""
    width = _stated()
    if width is None and (not stream.isatty() or os.environ.get("COLUMNS", "").isdigit()):
        width = PIPE_WIDTH  # rich believes every COLUMNS that consists of digits
    if width is None and os.environ.get("TERM") == "dumb":
        width = room(stream)  # rich takes such a terminal for 80 columns wide
    # Without a width rich asks the terminal for every line anew; with a width it wants a height.
    height = None if width is None else UNKNOWN_HEIGHT
    return Console(file=stream, width=width, height=height, highlight=False)


def room(stream: TextIO) -> int | None:
    """Columns at which to wrap text for people. None in a pipe, whose lines stay whole."""
    stated = _stated()
    if stated is not None:
        return stated
    if not stream.isatty():
        return None
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):  # it only says that it is a terminal
        columns = 0
    return columns or UNKNOWN_WIDTH


def _stated() -> int | None:
    """What COLUMNS says, if that can be the width of anything."""
    columns = os.environ.get("COLUMNS", "")
    usable = columns.isdecimal() and MIN_WIDTH <= int(columns) <= MAX_WIDTH
    return int(columns) if usable else None
