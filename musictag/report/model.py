"""A model's description, as people read it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TextIO

from musictag.report.terminal import room
from musictag.report.text import visible

INDENT = 12
"""Columns before the descriptions."""
NOTE = "(The number after a value is the probability from which it is chosen.)"


def described(parts: Mapping[str, Sequence[str]], stdout: TextIO) -> list[str]:
    """Title and items of each part, wrapped between items if the output has a width."""
    most = room(stdout)
    lines = []
    for title, items in parts.items():
        line = f"{title:<{INDENT}}"
        for n, item in enumerate(map(visible, items)):
            word = item + ("," if n < len(items) - 1 else "")
            if n and most is not None and len(line) + 1 + len(word) > most:
                lines.append(line)
                line = " " * INDENT + word
            else:
                line += word if n == 0 else " " + word
        lines.append(line)
    return lines + (textwrap.wrap(NOTE, most) if most is not None else [NOTE])
