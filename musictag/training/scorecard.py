"""An evaluation, for people: tables that fit a terminal of 80 columns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from musictag.training.evaluate import Evaluation, Score

WIDTH = 80
FIRST_COLUMN = 13
"""Characters for what people said."""
MOST_COLUMNS = 7
"""Genres that have a column of their own, at most."""
NONE, OTHERS = "none", "other"
"""Titles for where no genre is written, and where one without a column is."""


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
        f"{'tag':18}{'share':>6}{'ROC-AUC':>9}{'95 %':>12}{'PR-AUC':>9}{'95 %':>12}"
        f"{'corr.' if soft else 'Brier':>7}{'ECE':>6}"
    ]
    for name, scores in (("macro average", e.macro), *e.tags.items()):
        share = _shown(scores["share"].value) if "share" in scores else ""
        roc, pr = (_with_interval(scores[key]) for key in ("roc_auc", "pr_auc"))
        last = _shown(scores["correlation" if soft else "brier"].value)
        error = _shown(scores["ece_soft" if soft else "ece"].value)
        lines.append(f"{name[:17]:18}{share:>6}{roc}{pr}{last:>7}{error:>6}")
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
    lines = [f"{'value':18}{'from':>7}{'chosen':>9}{'precision':>11}{'recall':>8}{'F1':>8}"]
    for name, cut in e.values.items():
        lines.append(
            f"{name[:17]:18}{cut['threshold']:7.3f}{cut['n_chosen']:9,}"
            f"{_shown(cut['precision']):>11}{_shown(cut['recall']):>8}{_shown(cut['f1']):>8}"
        )
    return lines


def _people(people: Mapping[str, Any]) -> list[str]:
    """What people said against what the model says: genres, moods, voices, value by value."""
    blocks = []
    if "n_tracks" in people:
        blocks += [_genres(people), _confusion(people)]
    if lines := _halves(people):
        blocks.append(lines)
    if "values" in people:
        blocks.append(_by_value(people["values"]))
    return [line for n, block in enumerate(blocks) for line in (*([""] if n else []), *block)]


def _genres(people: Mapping[str, Any]) -> list[str]:
    return [
        f"genres against people's, on {people['n_tracks']:,} tracks",
        f"  a genre is written              {_share(people, 'coverage')}",
        f"  of those, right or compatible   {_share(people, 'precision')}",
        f"  of the first ones               {_share(people, 'precision_first')}",
        f"  ROC-AUC, mean of {people['n_genres']:>2} genres      {_share(people, 'macro_roc_auc')}",
    ]


def _share(found: Mapping[str, Any], name: str) -> str:
    low, high = found[f"{name}_95"]
    interval = "" if math.isnan(low) else f" ({_shown(low)}–{_shown(high)})"
    return f"{_shown(found[name])}{interval}"


def _confusion(people: Mapping[str, Any]) -> list[str]:
    """Who was heard as what: rows as people said, columns as written first."""
    confusion: Mapping[str, Mapping[str, int]] = people["confusion"]
    written = Counter[str]()
    for counts in confusion.values():
        written.update(counts)
    shown = {genre for genre, _ in written.most_common(MOST_COLUMNS) if genre}
    genres = [genre for genre in people["genres"] if genre in shown]
    has_others = len(written.keys() - {""}) > len(genres)
    titles = [*genres, *([OTHERS] if has_others else []), NONE]
    room = (WIDTH - FIRST_COLUMN - 8) // len(titles) - 1
    widths = [min(room, max(map(len, titles))) + 1] * len(titles)

    def row(cells: Iterable[str]) -> str:
        cut = (f"{cell[: width - 1]:>{width}}" for cell, width in zip(cells, widths, strict=True))
        return "".join(cut)

    lines = [f"{'said':{FIRST_COLUMN}}{'ROC-AUC':>8}{row(titles)}"]
    for said, counts in sorted(confusion.items()):
        others = sum(n for genre, n in counts.items() if genre and genre not in shown)
        numbers = [counts.get(genre, 0) for genre in genres]
        numbers += [*([others] if has_others else []), counts.get("", 0)]
        auc = _shown(people["roc_auc"].get(said, math.nan))
        cells = row(str(number) if number else "·" for number in numbers)
        lines.append(f"{said[: FIRST_COLUMN - 1]:{FIRST_COLUMN}}{auc:>8}{cells}")
    return lines


def _halves(people: Mapping[str, Any]) -> list[str]:
    """Moods by half of their plane, and voices."""
    lines = []
    if moods := people.get("moods"):
        lines.append(f"moods against people's quadrants, on {moods['n_tracks']:,} tracks: ROC-AUC")
        tags = (name.removesuffix("_roc_auc") for name in moods if name.endswith("_roc_auc"))
        lines += [f"  {tag:32}{_share(moods, f'{tag}_roc_auc')}" for tag in tags]
    if voice := people.get("voice"):
        lines += [
            f"voice against instrumental, on {voice['n_tracks']:,} tracks: ROC-AUC",
            f"  {voice['n_instrumental']:,} instrumental ".ljust(34) + _share(voice, "roc_auc"),
        ]
    return lines


def _by_value(values: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Of each value how often people said it and the model wrote it, and what it is taken for."""
    lines = [f"{'value':17}{'said':>5}{'written':>8}{'right':>7}{'found':>7}  confused with"]
    for name, found in values.items():
        start = (
            f"{name[:16]:17}{found['n_said']:5,}{found['n_written']:8,}"
            f"{_shown(found['precision']):>7}{_shown(found['coverage']):>7}  "
        )
        lines.append(f"{start}{_confused(found, WIDTH - len(start))}".rstrip())
    lines.append("(is: what people said where it is wrong; as: what is written instead of it)")
    return lines


def _confused(found: Mapping[str, Any], room: int) -> str:
    """As many of the words that a value is confused with as there is room for."""
    text = ""
    for title, words in (("is", found["wrong_for"]), ("as", found["missed_for"])):
        for n, (word, count) in enumerate(words.items()):
            lead = f"{'; ' if text else ''}{title} " if n == 0 else ", "
            longer = f"{text}{lead}{word or NONE} {count}"
            if len(longer) > room:
                break
            text = longer
    return text


def _shown(number: float) -> str:
    """Three digits, and no 0 before the point."""
    if math.isnan(number):
        return "–"
    shown = f"{number:.3f}"
    return shown.removeprefix("0")
