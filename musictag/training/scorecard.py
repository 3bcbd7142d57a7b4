"""An evaluation, for people: tables that fit a terminal of 80 columns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from musictag.training.evaluate import Evaluation, Score

WIDTH = 80
NONE = "none"
"""Where no genre is written."""


def text(evaluation: Evaluation) -> str:
    """A line per tag, then calibration, shown values, and genres as people and the model say."""
    blocks = [_heading(evaluation), _tags(evaluation), _reliability(evaluation)]
    blocks.append(_values(evaluation))
    if evaluation.people:
        blocks.append(_people(evaluation.people))
    return "\n\n".join("\n".join(block) for block in blocks)


def _heading(e: Evaluation) -> list[str]:
    of_tracks = "" if e.level == "track" else f" of {e.n_tracks:,} tracks"
    lines = [f"{e.model} on the {e.split} split: {e.n:,} {e.level}s{of_tracks}"]
    if e.left_out:
        lines.append(f"{len(e.left_out):,} examples were left out: their sound cannot be read")
    n_unknown = sum(math.isnan(scores["roc_auc"].value) for scores in e.tags.values())
    if n_unknown:
        lines.append(f"{n_unknown} tags that no {e.level} carries, or all do, are in no average")
    return lines


def _tags(e: Evaluation) -> list[str]:
    soft = "correlation" in e.macro
    lines = [
        f"{'tag':14}{'share':>6}{'ROC-AUC':>9}{'95 %':>12}{'PR-AUC':>9}{'95 %':>12}"
        f"{'corr.' if soft else 'Brier':>7}{'ECE':>6}"
    ]
    for name, scores in (("macro average", e.macro), *e.tags.items()):
        share = _shown(scores["share"].value) if "share" in scores else ""
        roc, pr = (_with_interval(scores[key]) for key in ("roc_auc", "pr_auc"))
        last = _shown(scores["correlation" if soft else "brier"].value)
        error = _shown(scores["ece_soft" if soft else "ece"].value)
        lines.append(f"{name:14}{share:>6}{roc}{pr}{last:>7}{error:>6}")
    return lines


def _with_interval(score: Score) -> str:
    interval = "" if math.isnan(score.low) else f"{_shown(score.low)}–{_shown(score.high)}"
    return f"{_shown(score.value):>9}{interval:>12}"


def _reliability(e: Evaluation) -> list[str]:
    """Bins of probabilities and what came true of them."""
    soft = "label" in e.reliability[0]
    lines = [
        f"{'probability':14}{'n':>9}{'mean':>8}{'carry it':>10}{'soft label' if soft else '':>12}"
    ]
    for row in e.reliability:
        label = _shown(row["label"]) if soft else ""
        lines.append(
            f"{row['from']:.1f} to {row['to']:.1f}    {row['n']:9,}{_shown(row['heard']):>8}"
            f"{_shown(row['positive']):>10}{label:>12}"
        )
    return [line.rstrip() for line in lines]


def _values(e: Evaluation) -> list[str]:
    lines = [f"{'value':14}{'from':>7}{'chosen':>9}{'precision':>11}{'recall':>8}{'F1':>8}"]
    for name, cut in e.values.items():
        lines.append(
            f"{name:14}{cut['threshold']:7.3f}{cut['n_chosen']:9,}"
            f"{_shown(cut['precision']):>11}{_shown(cut['recall']):>8}{_shown(cut['f1']):>8}"
        )
    return lines


def _people(people: Mapping[str, Any]) -> list[str]:
    """Coverage and precision, then who was heard as what: rows as people said, columns written."""

    def share(name: str) -> str:
        low, high = people[f"{name}_95"]
        return f"{_shown(people[name])} ({_shown(low)}–{_shown(high)})"

    lines = [
        f"genres against people's, on {people['n_tracks']:,} tracks",
        f"  a genre is written              {share('coverage')}",
        f"  of those, right or compatible   {share('precision')}",
        f"  of the first ones               {share('precision_first')}",
        f"  ROC-AUC, macro average          {_shown(people['macro_roc_auc'])}",
        "",
    ]
    confusion: Mapping[str, Mapping[str, int]] = people["confusion"]
    written = {genre for counts in confusion.values() for genre in counts}
    genres = [genre for genre in people["genres"] if genre in written]
    room = (WIDTH - 11 - 8 - 6) // max(1, len(genres)) - 1
    titles = [*(genre[:room] for genre in genres), NONE]
    widths = [*(min(room, max(map(len, titles))) + 1 for _ in genres), 6]

    def row(cells: Iterable[str]) -> str:
        return "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))

    lines.append(f"{'said':11}{'ROC-AUC':>8}{row(titles)}")
    for said, counts in sorted(confusion.items()):
        auc = _shown(people["roc_auc"].get(said, math.nan))
        cells = (str(counts.get(genre, "·")) for genre in (*genres, ""))
        lines.append(f"{said:11}{auc:>8}{row(cells)}")
    return lines


def _shown(number: float) -> str:
    """Three digits, and no 0 before the point."""
    if math.isnan(number):
        return "–"
    shown = f"{number:.3f}"
    return shown.removeprefix("0")
