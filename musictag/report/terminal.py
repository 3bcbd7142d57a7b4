"""What a terminal has room for: its width, and text cut to it."""

from __future__ import annotations

import os
import shutil
from typing import TextIO

from rich.cells import cell_len, set_cell_size

PIPE_WIDTH = 100
"""Columns of a table that does not go to a terminal, unless COLUMNS says otherwise."""
MIN_WIDTH, MAX_WIDTH = 20, 9999
"""Columns that COLUMNS may state; other values are ignored."""


def marks(stdout: TextIO) -> tuple[str, str, str]:
    """An arrow, a dash for an empty field and the mark of a cut, in ASCII if need be."""
    plain = "utf" not in (stdout.encoding or "utf").lower()
    return ("->", "-", "~") if plain else ("→", "–", "…")


def shortened(text: str, width: int, cut: str) -> str:
    """Text cut to so many columns, with the mark `cut` where something is missing."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + cut


def width_of(stream: TextIO) -> int | None:
    """Columns of a table. None lets rich ask the terminal for every line anew."""
    stated = _stated()
    if stated is not None:
        return stated
    # rich believes every COLUMNS that consists of digits
    asks = stream.isatty() and not os.environ.get("COLUMNS", "").isdigit()
    return None if asks else PIPE_WIDTH


def room(stream: TextIO) -> int | None:
    """Columns at which to wrap text for people. None in a pipe, whose lines stay whole."""
    stated = _stated()
    if stated is not None:
        return stated
    return shutil.get_terminal_size((80, 24)).columns if stream.isatty() else None


def _stated() -> int | None:
    """What COLUMNS says, if that can be the width of anything."""
    columns = os.environ.get("COLUMNS", "")
    usable = columns.isdecimal() and MIN_WIDTH <= int(columns) <= MAX_WIDTH
    return int(columns) if usable else None
