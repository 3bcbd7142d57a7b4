"""What a terminal has room for: its width, and text cut to it."""

from __future__ import annotations

import os
from typing import TextIO

from rich.cells import cell_len, set_cell_size

PIPE_WIDTH = 100
"""Of a table that goes to no terminal, unless COLUMNS says otherwise."""
MIN_WIDTH = 20
MAX_WIDTH = 9999
"""What COLUMNS may say; it is anybody's, and may hold anything."""


def marks(stdout: TextIO) -> tuple[str, str, str]:
    """An arrow, a dash for nothing, and what stands where something is cut off."""
    plain = "utf" not in (stdout.encoding or "utf").lower()
    return ("->", "-", "~") if plain else ("→", "–", "…")


def shortened(text: str, width: int, cut: str) -> str:
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + cut


def width_of(stream: TextIO) -> int | None:
    """In columns; None: rich asks the terminal, at every line anew."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and MIN_WIDTH <= int(columns) <= MAX_WIDTH:
        return int(columns)
    # rich takes every COLUMNS made of digits
    return None if stream.isatty() and not columns.isdigit() else PIPE_WIDTH
