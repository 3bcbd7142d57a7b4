"""A track's taggram as a picture made of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from musictag.report.terminal import console, is_ascii
from musictag.report.text import clock_text, visible

if TYPE_CHECKING:
    from musictag.outcome import Taggram

SHADES = (0.1, 0.25, 0.5, 0.75)
"""Probabilities from which the next darker block is drawn."""
BLOCKS, ASCII_BLOCKS = " ░▒▓█", " .-+#"
N_ROWS = 12
"""Number of tags in the picture."""
SEGMENT_COLUMNS = 6
"""Columns of one segment, at most; fewer in a narrow terminal."""


def draw_taggram(taggram: Taggram, stdout: TextIO) -> list[str]:
    """The likeliest tags as rows over time, darker where they are likelier, then what is chosen."""
    length, model = clock_text(taggram.duration_s), visible(taggram.model)
    lines = [f"{visible(taggram.path.name)}, {length}, heard by {model}", ""]
    lines += [*draw_rows(taggram, stdout), ""]
    none = "-" if is_ascii(stdout) else "–"
    for field, values in taggram.chosen.items():
        lines.append(f"{field.lower():12}{', '.join(values) or none}")
    return lines


def draw_rows(taggram: Taggram, stdout: TextIO) -> list[str]:
    """The likeliest tags as rows over time, with an axis and a key."""
    width = console(stdout).width
    plain = is_ascii(stdout)
    blocks = ASCII_BLOCKS if plain else BLOCKS
    tags = sorted(taggram.tags, key=lambda tag: -taggram.probabilities[tag])[:N_ROWS]
    names = max(map(len, tags)) + 1
    n_columns = max(1, min(width - names - 6, SEGMENT_COLUMNS * len(taggram.starts_s)))
    inside = [_segments_in(taggram, column, n_columns) for column in range(n_columns)]
    lines = []
    for tag in tags:
        k = taggram.tags.index(tag)
        means = [sum(taggram.rows[n][k] for n in some) / max(1, len(some)) for some in inside]
        bar = "".join(blocks[sum(mean >= shade for shade in SHADES)] for mean in means)
        lines.append(f"{visible(tag):{names}}{bar} {taggram.probabilities[tag]:5.2f}")
    lines.append(" " * names + _time_axis(taggram.duration_s, n_columns))
    key = "  ".join(f"{b} {shade:g}" for b, shade in zip(blocks[1:], SHADES, strict=True))
    lines.append(" " * names + f"{key} and more")
    return lines


def _segments_in(taggram: Taggram, column: int, n_columns: int) -> list[int]:
    """Numbers of the segments that a column shows, in its middle or around it; none for silence."""
    span_s = taggram.duration_s / n_columns
    middle_s = (column + 0.5) * span_s
    starts_s = list(enumerate(taggram.starts_s))
    half_s = taggram.segment_s / 2
    within = [n for n, start_s in starts_s if abs(start_s + half_s - middle_s) <= span_s / 2]
    return within or [n for n, start_s in starts_s if 0 <= middle_s - start_s <= 2 * half_s]


def _time_axis(duration_s: float, n_columns: int) -> str:
    """Times under the columns at which they begin, with some space between them."""
    axis = ""
    step = max(len(clock_text(duration_s)) + 3, SEGMENT_COLUMNS * 2)
    for column in range(0, max(1, n_columns - step // 2), step):
        axis = axis.ljust(column) + clock_text(column * duration_s / n_columns)
    return axis
