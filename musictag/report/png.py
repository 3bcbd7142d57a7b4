"""One file from close up, as a picture in PNG; the one door to matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from musictag.errors import UsageError
from musictag.report.show import LEAST, reason, worth_showing
from musictag.report.svg import likeliest, title_of

if TYPE_CHECKING:
    from musictag.scan.showing import Shown

_BLUE, _GREY, _INK = "#2b5fb8", "#a49d90", "#1d1b18"


def check() -> None:
    """UsageError if matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401, PLC0415
    except ImportError:
        raise UsageError(
            "--png: needs matplotlib: pip install 'musictag[plot]' (--svg needs nothing)"
        ) from None


def write(shown: Shown, path: Path) -> None:
    """Draw the taggram above bars for each field, and write the picture."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    taggram = shown.taggram
    tags = likeliest(taggram)
    verdicts = [one for field in LEAST for one in worth_showing(shown.verdicts, field)]
    high = (0.24 * len(tags), 0.24 * max(1, len(verdicts)))
    figure = Figure(figsize=(9, sum(high) + 1.8), layout="constrained")
    figure.suptitle("\n".join(title_of(shown)), fontsize=11, parse_math=False)
    above, below = figure.subplots(2, 1, height_ratios=high)
    edges = [*taggram.starts_s, max(taggram.duration_s, taggram.starts_s[-1] + 0.1)]
    columns = [taggram.tags.index(tag) for tag in tags]
    rows = [[values[k] for values in taggram.rows] for k in columns]
    above.pcolormesh(edges, range(len(tags) + 1), rows, cmap="Blues", vmin=0, vmax=1)
    above.set_yticks([n + 0.5 for n in range(len(tags))], tags, parse_math=False)
    above.invert_yaxis()
    above.set_xlabel("seconds")
    places = range(len(verdicts))
    colours = [_BLUE if one.why == "chosen" else _GREY for one in verdicts]
    below.barh(places, [one.probability for one in verdicts], color=colours, height=0.6)
    for n, one in enumerate(verdicts):
        if one.threshold is not None:
            below.plot([one.threshold] * 2, [n - 0.42, n + 0.42], color=_INK, linewidth=1.5)
        said = f"{one.probability:.0%}  {reason(one)}"
        below.text(1.02, n, said, va="center", fontsize=8, parse_math=False)
    below.set_yticks(places, [one.word for one in verdicts], fontsize=8, parse_math=False)
    below.set_xlim(0, 1)
    below.invert_yaxis()
    figure.savefig(path, format="png", dpi=130)
