"""The tables of a model card, as Markdown: what the model says of a data set, against people.

    python benchmarks/card.py --dataset DIR [--model NAME|DIR]

Hears the validation and test splits, track by track as a scan would, and prints the scores of both
and, of the test split, genre by genre, value by value, and one track of each of ten genres.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from musictag.decision import LIMITS, choose
from musictag.hearing import checkpoint
from musictag.hearing.checkpoint import Checkpoint
from musictag.training.by_people import ENOUGH_TRACKS
from musictag.training.dataset import DataSet
from musictag.training.evaluate import Evaluation, hear, judge
from musictag.training.folder import read_folder
from musictag.training.scores import Table, by_track

SPLITS = ("validation", "test")
TEN = (
    "blues",
    "classical",
    "country",
    "electronic",
    "hip hop",
    "jazz",
    "pop",
    "r&b",
    "reggae",
    "rock",
)
"""Genres of which a track is shown."""


class Heard:
    """One split, heard and judged by track."""

    def __init__(self, model: Checkpoint, dataset: DataSet, split: str) -> None:
        rows = dataset.rows(split)
        examples = [dataset.examples[row] for row in rows]
        probabilities, left_out = hear(model.load("cpu", batch_size=8), examples)
        self.rows = [row for row in rows if dataset.examples[row].id not in left_out]
        tracks = [dataset.examples[row].track for row in self.rows]
        self.table, self.tracks = by_track(probabilities.astype(float), tracks)
        self.judged: Evaluation = judge(
            probabilities, dataset, self.rows, vocabulary=model.vocabulary, level="track"
        )


def scores(heard: Mapping[str, Heard]) -> Iterator[str]:
    """Both splits: genres and moods against people, tags against the labels."""
    yield "| split | tracks | a genre is written | right or compatible | ROC-AUC, mean of genres |"
    yield "|---|---|---|---|---|"
    for split, one in heard.items():
        people = one.judged.people
        yield (
            f"| {split} | {people['n_tracks']} | {_share(people, 'coverage')} | "
            f"{_share(people, 'precision')} | {_score(people, 'macro_roc_auc')}, "
            f"{people['n_genres']} genres |"
        )
    yield ""
    yield "| moods | validation | test |"
    yield "|---|---|---|"
    for mood in ("energetic", "happy"):
        found = (_score(one.judged.people["moods"], f"{mood}_roc_auc") for one in heard.values())
        yield f"| {mood} | {' | '.join(found)} |"
    yield ""
    yield "| split | tracks | ROC-AUC | PR-AUC | correlation | ECE |"
    yield "|---|---|---|---|---|---|"
    for split, one in heard.items():
        macro = one.judged.macro
        cells = [
            f"{macro[name].value:.3f} ({macro[name].low:.3f}–{macro[name].high:.3f})"
            for name in ("roc_auc", "pr_auc", "correlation")
        ]
        yield f"| {split} | {one.judged.n} | {' | '.join(cells)} | {macro['ece_soft'].value:.3f} |"


def _share(found: Mapping[str, Any], name: str) -> str:
    low, high = found[f"{name}_95"]
    return f"{100 * found[name]:.0f} % ({100 * low:.0f}–{100 * high:.0f})"


def _score(found: Mapping[str, Any], name: str) -> str:
    low, high = found[f"{name}_95"]
    return f"{found[name]:.3f} ({low:.3f}–{high:.3f})"


def genres(people: Mapping[str, Any]) -> str:
    """ROC-AUC of each genre with enough tracks, the best first."""
    known = [genre for genre, n in people["n_of_genre"].items() if n >= ENOUGH_TRACKS]
    known.sort(key=lambda genre: -people["roc_auc"][genre])
    return ", ".join(
        f"{genre} {people['roc_auc'][genre]:.2f} ({people['n_of_genre'][genre]})" for genre in known
    )


def by_people(values: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Of each value that people said or the model wrote: how often, and what it is taken for."""
    yield (
        "| value | said | written | right | found | people said where it was wrong | "
        "written where it was missed |"
    )
    yield "|---|---|---|---|---|---|---|"
    for name, found in values.items():
        if found["n_said"] or found["n_written"]:
            right, share = _percent(found["precision"]), _percent(found["coverage"])
            wrong, missed = _words(found["wrong_for"]), _words(found["missed_for"])
            yield (
                f"| {name} | {found['n_said']} | {found['n_written']} | {right} | {share} | "
                f"{wrong} | {missed} |"
            )


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.0f} %"


def _words(words: Mapping[str, int]) -> str:
    known = {word.replace("|", " or ") or "nothing": n for word, n in words.items()}
    return ", ".join(f"{word} {n}" for word, n in known.items()) or "–"


def by_labels(values: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Of each value that was chosen: from which probability, how often, against the labels."""
    yield "| value | from | chosen | label agrees | found |"
    yield "|---|---|---|---|---|"
    never = []
    for name, found in values.items():
        if found["n_chosen"]:
            right, share = _percent(found["precision"]), _percent(found["recall"])
            counted = f"{found['threshold']:.2f} | {found['n_chosen']:.0f}"
            yield f"| {name} | {counted} | {right} | {share} |"
        else:
            never.append(name)
    yield ""
    yield f"Not chosen once: {', '.join(never) or 'none'}."


def ten_tracks(model: Checkpoint, dataset: DataSet, one: Heard) -> Iterator[str]:
    """Of the first three tracks that people gave each genre one with a name, or the first, with the
    values that a scan would write."""
    people = {dataset.examples[row].track: dataset.examples[row].people for row in one.rows}
    named = names(dataset.directory)
    yield "| track | people | the model |"
    yield "|---|---|---|"
    for genre in TEN:
        having = sorted(track for track in one.tracks if frozenset({genre}) in people[track])[:3]
        for track in sorted(having, key=lambda track: track not in named)[:1]:
            said = ", ".join(sorted(" or ".join(sorted(some)) for some in people[track]))
            row = one.tracks.index(track)
            yield f"| {named.get(track, track)} | {said} | {_said(model, one.table, row)} |"


def names(directory: Path) -> dict[str, str]:
    """Track → its name in clips.csv, for those whose artist is known."""
    with (directory / "clips.csv").open(newline="", encoding="utf-8") as file:
        return {
            row["track"]: row["name"]
            for row in csv.DictReader(file)
            if row.get("artist") and row.get("name")
        }


def _said(model: Checkpoint, table: Table, row: int) -> str:
    chosen = choose(dict(zip(model.tags, table[row], strict=True)), model.vocabulary, limits=LIMITS)
    fields: Sequence[tuple[str, ...]] = [values for values in chosen.values() if values]
    return "; ".join(", ".join(values) for values in fields) or "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--model", help="name or directory (default: the bundled model)")
    asked = parser.parse_args()
    model = checkpoint.find(asked.model)
    dataset = read_folder(asked.dataset).only(model.tags)
    heard = {split: Heard(model, dataset, split) for split in SPLITS}
    test = heard["test"]
    blocks = [
        scores(heard),
        [f"Genre by genre, test: {genres(test.judged.people)}."],
        by_people(test.judged.people["values"]),
        by_labels(test.judged.values),
        ten_tracks(model, dataset, test),
    ]
    print("\n\n".join("\n".join(block) for block in blocks))


if __name__ == "__main__":
    main()
