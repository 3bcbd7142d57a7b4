"""Curves of a run as an SVG that any browser shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 720, 240  # of one panel
LEFT, TOP, GAP = 60, 30, 50
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")


def svg(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    steps: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Draw panels below each other: title → label → one value per epoch. NaN is left out.

    A panel whose title is in `steps` has these steps instead of epochs, and
    begins at zero.
    """
    steps = steps or {}
    height = TOP + len(panels) * (HEIGHT + GAP)
    drawn = [
        _panel(title, curves, TOP + i * (HEIGHT + GAP), steps.get(title))
        for i, (title, curves) in enumerate(panels.items())
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 20}" height="{height}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f"{''.join(drawn)}</svg>\n"
    )


def _panel(
    title: str, curves: Mapping[str, Sequence[float]], top: int, steps: Sequence[str] | None
) -> str:
    known = [v for values in curves.values() for v in values if math.isfinite(v)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    low = low if steps is None else 0.0
    high = high if high > low else low + 1
    n = max(map(len, curves.values()), default=1)

    def x(epoch: int) -> float:
        return LEFT + WIDTH * (epoch / max(1, n - 1))

    def y(value: float) -> float:
        return top + HEIGHT * (high - value) / (high - low)

    parts = [
        f'<text x="{LEFT}" y="{top - 8}" font-weight="bold">{escape(title)}</text>',
        f'<rect x="{LEFT}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#bbb"/>',
    ]
    names = {0: "1", n - 1: f"epoch {n}"} if steps is None else dict(enumerate(steps))
    parts += [
        f'<text x="{x(step):.1f}" y="{top + HEIGHT + 16}" '
        f'text-anchor="{"start" if step == 0 else "end" if step == n - 1 else "middle"}">'
        f"{escape(name)}</text>"
        for step, name in names.items()
    ]
    parts += [
        f'<text x="{LEFT - 6}" y="{y(value) + 4}" text-anchor="end">{value:.3g}</text>'
        for value in (low, high)
    ]
    for i, (label, values) in enumerate(curves.items()):
        colour = COLOURS[i % len(COLOURS)]
        points = " ".join(
            f"{x(e):.1f},{y(v):.1f}" for e, v in enumerate(values) if math.isfinite(v)
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        parts.append(
            f'<text x="{LEFT + WIDTH - 8}" y="{top + 18 + 16 * i}" text-anchor="end" '
            f'fill="{colour}">{escape(label)}</text>'
        )
    return "".join(parts)
