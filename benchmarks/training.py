"""What pays in training: the same run with one thing different, side by side.

    python benchmarks/training.py --dataset DIR --output DIR [--units N] [--layers N] [--epochs N]

Every run is judged on the validation split, never on the test split: segments
against the taggers' labels, tracks against what people said.
Runs are kept in the output directory and not made twice; killed, the same
command goes on. Several seeds of the plain run say how much a difference must
be to mean anything.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from musictag.hearing import checkpoint
from musictag.hearing.network.architecture import Architecture
from musictag.hearing.scattering.plan import FrontEnd
from musictag.training import magnatagatune
from musictag.training.batches import Examples, hear
from musictag.training.dataset import DataSet
from musictag.training.datasets import tags_of
from musictag.training.features import prepare
from musictag.training.folder import read_folder
from musictag.training.record import EpochResult
from musictag.training.scores import binarise, by_track, correlation, mean, roc_auc
from musictag.training.settings import AUGMENTATIONS, TrainSettings
from musictag.training.train import train
from musictag.vocabulary import for_tags


def without(*names: str) -> tuple[str, ...]:
    """All augmentations but these; and but noise, which no score here is about."""
    return tuple(name for name in AUGMENTATIONS if name not in ("noise", *names))


PLAIN = {"n_variants": 1}
"""Of each example its own sound only: what a new front end can be given quickly."""

HEARD = {"people": 0.6, "absence": 0.3, "moods": 0.6, "voice": 0.6}
"""Weights of what people said, for runs that ask about something else."""

TRIED: Mapping[str, Mapping[str, Any]] = {
    "base": {},
    "base, seed 1": {"seed": 1},
    "base, seed 2": {"seed": 2},
    "people 0.5": {"people": 0.5, "absence": 0.0, "moods": 0.3, "voice": 0.3},
    "people 0.5, absence 0.5": {"people": 0.5, "absence": 0.5, "moods": 0.6, "voice": 0.6},
    "people 0.8, absence 0.4": {"people": 0.8, "absence": 0.4, "moods": 0.9, "voice": 0.9},
    "people 0.8, absence 0.8": {"people": 0.8, "absence": 0.8, "moods": 0.8, "voice": 0.8},
    "people": HEARD,
    "people, seed 1": {**HEARD, "seed": 1},
    "two stages": {**HEARD, "start": "base", "epochs": 0.4, "learning_rate": 3e-4},
    "two stages, base for as long": {"start": "base", "epochs": 0.4, "learning_rate": 3e-4},
    "rare tags weigh more, 0.25": {**HEARD, "balance": 0.25},
    "rare tags weigh more, 0.5": {**HEARD, "balance": 0.5},
    "half of each example": {**HEARD, "crop": 0.5},
    "half of each example, twice as long": {**HEARD, "crop": 0.5, "epochs": 2.0},
    "twice as long": {**HEARD, "epochs": 2.0},
    "twice as long, weights not averaged": {**HEARD, "epochs": 2.0, "averaging": 0.0},
    "the 50 tags alone": {**HEARD, "tags": "mtat50"},
    "the 50 tags, cut from all": {
        **HEARD,
        "tags": "mtat50",
        "start": "people",
        "epochs": 0.4,
        "learning_rate": 3e-4,
    },
    "all tags, begun with the 50": {**HEARD, "start": "the 50 tags alone"},
    "two sounds at once": {**HEARD, "n_mixed": 1},
    "two semitones": {**HEARD, "n_wide": 1},
    "attention over frames": {**HEARD, "summary": "attention"},
    "bidirectional": {**HEARD, "bidirectional": True},
    "last frame": {"summary": "last"},
    "LSTM": {"cell": "lstm"},
    "one sound of each example": PLAIN,
    "one sound, logarithms of all": {**PLAIN, "normalisation": "log"},
    "one sound, the paper's normalisation": {**PLAIN, "normalisation": "paper"},
    "one sound, its logarithm": {**PLAIN, "normalisation": "log-paper"},
    "no time shift": {"augmentations": without("shift")},
    "no gain and equaliser": {"augmentations": without("knobs")},
    "no mixing": {"augmentations": without("mix")},
    "no masks": {"augmentations": without("mask")},
    "none of these": {"augmentations": ()},
    "labels smoothed by 0.1": {"smoothing": 0.1},
    "weights not averaged": {"averaging": 0.0},
    "exponential decay": {"schedule": "exponential"},
    "constant rate": {"schedule": "constant"},
    "taught by the three seeds": {"teachers": ("base", "base, seed 1", "base, seed 2")},
}
"""Name → what is different from the base, which learns the taggers' labels alone and otherwise has
the default settings. `summary`, `cell` and `bidirectional` are the architecture's, `normalisation`
the front end's; `start` and `teachers` are other runs of this table; `epochs` is in units of
--epochs."""

COLUMNS = {
    "roc_auc": "50 tags: ROC-AUC",
    "correlation": "correlation",
    "others": "other tags: ROC-AUC",
    "genres": "people: genres",
    "energetic": "energetic",
    "happy": "happy",
    "sad": "sad",
    "voice": "voice",
}
"""Score → heading. ROC-AUC, but for the correlation."""

ENOUGH = 4
"""Tracks that people gave a genre, from which on the genre is scored."""


def settings_of(name: str, base: TrainSettings) -> TrainSettings:
    changes = dict(TRIED[name])
    architecture = {
        key: changes.pop(key) for key in ("summary", "cell", "bidirectional") if key in changes
    }
    front_end = {key: changes.pop(key) for key in ("normalisation",) if key in changes}
    changes["teachers"] = tuple(
        directory(base.output, other) / "model" for other in changes.get("teachers", ())
    )
    if "start" in changes:
        changes["start"] = directory(base.output, changes["start"]) / "model"
    if "tags" in changes:
        changes["tags"] = tags_of(changes["tags"])
    changes["epochs"] = round(base.epochs * changes.get("epochs", 1))
    return replace(
        base,
        output=directory(base.output, name),
        name=name,
        architecture=replace(base.architecture, **architecture),
        front_end=replace(base.front_end, **front_end),
        resume=True,
        **changes,
    )


def directory(output: Path, name: str) -> Path:
    return output / "".join(c if c.isalnum() else "-" for c in name)


def judged(model: Path, settings: TrainSettings, whole: DataSet) -> dict[str, float]:
    """A run's model on the validation split, on the features that its training left behind."""
    assert settings.features is not None
    dataset = whole.only(settings.tags) if settings.tags else whole
    found = checkpoint.read(model)
    features = prepare(dataset, settings.front_end, settings.features, kinds=settings.variants)
    rows = [
        row for row in dataset.rows("validation") if dataset.examples[row].id not in features.broken
    ]
    examples = Examples(dataset, features, rows, torch.device("cpu"))
    return scores(hear(found.network(), examples), dataset, rows)


def scores(heard: NDArray[Any], dataset: DataSet, rows: Sequence[int]) -> dict[str, float]:
    """Segments against the taggers' labels, tracks against people."""
    given = dataset.labels[list(rows)].astype(np.float64)
    positive = binarise(given, [dataset.shares[tag] for tag in dataset.tags])
    heard = heard.astype(np.float64)
    auc = {tag: roc_auc(heard[:, k], positive[:, k]) for k, tag in enumerate(dataset.tags)}
    moved = {tag: correlation(heard[:, k], given[:, k]) for k, tag in enumerate(dataset.tags)}
    first = [tag for tag in dataset.tags if tag in magnatagatune.TAGS]
    return {
        "roc_auc": mean([auc[tag] for tag in first]),
        "correlation": mean([moved[tag] for tag in first]),
        "others": mean([auc[tag] for tag in dataset.tags if tag not in first]),
        **scores_by_people(heard, dataset, rows),
    }


def scores_by_people(
    heard: NDArray[np.float64], dataset: DataSet, rows: Sequence[int]
) -> dict[str, float]:
    examples = [dataset.examples[row] for row in rows]
    table, names = by_track(heard, [example.track for example in examples])
    by_name = {example.track: example for example in examples}
    tracks = [by_name[name] for name in names]
    columns = {tag: k for k, tag in enumerate(dataset.tags)}

    def auc(tag: str, carries: Sequence[bool | None]) -> float:
        known = [i for i, yes in enumerate(carries) if yes is not None]
        if tag not in columns or not known:
            return math.nan
        return roc_auc(table[known, columns[tag]], np.array([bool(carries[i]) for i in known]))

    vocabulary = for_tags(dataset.tags)
    genres = [tag for value in vocabulary.in_field("GENRE") for tag in value.tags]
    said = {tag: [carries(tag, track.people) for track in tracks] for tag in genres}
    enough = [tag for tag in genres if sum(map(bool, said[tag])) >= ENOUGH]
    quadrants = [track.quadrant or None for track in tracks]

    def within(*some: str) -> list[bool | None]:
        return [None if quadrant is None else quadrant in some for quadrant in quadrants]

    none = [None if track.voice is None else not track.voice for track in tracks]
    return {
        "genres": mean([auc(tag, said[tag]) for tag in enough]),
        "energetic": auc("energetic", within("Q1", "Q2")),
        "happy": auc("happy", within("Q1")),
        "sad": auc("sad", within("Q3")),
        "voice": auc("instrumental" if "instrumental" in columns else "no vocals", none),
    }


def carries(tag: str, people: Sequence[frozenset[str]]) -> bool | None:
    """Whether people gave it; None: nobody was asked, or it is one of several alternatives."""
    if not people or any(tag in words and len(words) > 1 for words in people):
        return None
    return frozenset({tag}) in people


def line(name: str, found: Mapping[str, float]) -> str:
    return f"| {name} | " + " | ".join(f"{found[key]:.3f}" for key in COLUMNS) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--features", type=Path, help="where features are kept")
    parser.add_argument("--units", type=int, default=128)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--only", nargs="*", choices=TRIED, metavar="NAME", default=list(TRIED))
    options = parser.parse_args()

    torch.set_flush_denormal(True)
    dataset = read_folder(options.dataset)
    base = TrainSettings(
        options.dataset,
        options.output,
        features=options.features or options.output / "features",
        epochs=options.epochs,
        people=0.0,
        absence=0.0,
        moods=0.0,
        voice=0.0,
        augmentations=without(),
        bfloat16=options.bfloat16,
        save_every_s=120,
        architecture=Architecture(n_units=options.units, n_layers=options.layers),
        front_end=FrontEnd(),
    )
    print(
        f"validation, {options.layers} layers of {options.units}, {options.epochs} epochs\n\n"
        f"| | {' | '.join(COLUMNS.values())} |\n|---|{'---|' * len(COLUMNS)}",
        flush=True,
    )
    rows = dataset.rows("validation")
    print(line("the labels themselves", scores(dataset.labels[rows], dataset, rows)), flush=True)
    for name in options.only:
        settings = settings_of(name, base)
        print(f"{name} …", file=sys.stderr, flush=True)
        print(line(name, judged(train(settings, tell=_tell), settings, dataset)), flush=True)


def _tell(news: object) -> None:
    if isinstance(news, EpochResult):
        print(f"  epoch {news.epoch}: {news.seconds:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
