"""What pays in training: the same run with one thing different, side by side.

    python benchmarks/training.py --dataset DIR --output DIR [--units N] [--layers N] [--epochs N]

Every run is judged on the validation split, never on the test split: segment
level against the soft labels, track level against genres given by people.
Runs are kept in the output directory and not made twice; killed, the same
command goes on. Several seeds of the plain run say how much a difference must
be to mean anything.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from musictag.hearing import checkpoint
from musictag.hearing.network.architecture import Architecture
from musictag.hearing.scattering.plan import FrontEnd
from musictag.training.batches import Examples, hear
from musictag.training.dataset import DataSet
from musictag.training.evaluate import Evaluation, judge
from musictag.training.features import prepare
from musictag.training.folder import read_folder
from musictag.training.settings import AUGMENTATIONS, TrainSettings
from musictag.training.thresholds import fit
from musictag.training.train import train
from musictag.vocabulary import for_tags


def without(*names: str) -> tuple[str, ...]:
    """Noise is not among them: it is there for noise, and no score here knows any."""
    return tuple(name for name in AUGMENTATIONS if name not in ("noise", *names))


PLAIN = {"n_variants": 1}
"""Of each example its own sound only: what a new front end can be given quickly."""

TRIED: Mapping[str, Mapping[str, Any]] = {
    "base": {},
    "base, seed 1": {"seed": 1},
    "base, seed 2": {"seed": 2},
    "people's genres 0.5": {"people": 0.5},
    "people's genres 0.8": {"people": 0.8},
    "last frame": {"summary": "last"},
    "attention over frames": {"summary": "attention"},
    "bidirectional": {"bidirectional": True},
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
"""Name → what is different from the base, which is the labels of taggers alone and otherwise the
defaults. `summary`, `cell` and `bidirectional` are the architecture's, `normalisation` the front
end's, `teachers` are other runs of this table."""


def settings_of(name: str, base: TrainSettings) -> TrainSettings:
    changes = dict(TRIED[name])
    architecture = {
        key: changes.pop(key) for key in ("summary", "cell", "bidirectional") if key in changes
    }
    front_end = {key: changes.pop(key) for key in ("normalisation",) if key in changes}
    changes["teachers"] = tuple(
        directory(base.output, other) / "model" for other in changes.get("teachers", ())
    )
    return replace(
        base,
        output=directory(base.output, name),
        features=base.output / "features",
        name=name,
        architecture=replace(base.architecture, **architecture),
        front_end=replace(base.front_end, **front_end),
        resume=True,
        **changes,
    )


def directory(output: Path, name: str) -> Path:
    return output / "".join(c if c.isalnum() else "-" for c in name)


def judged(model: Path, settings: TrainSettings, dataset: DataSet) -> Evaluation:
    """A run's model on the validation split, on the features that its training left behind."""
    assert settings.features is not None
    found = checkpoint.read(model)
    features = prepare(dataset, settings.front_end, settings.features, kinds=settings.variants)
    rows = [
        row for row in dataset.rows("validation") if dataset.examples[row].id not in features.broken
    ]
    examples = Examples(dataset, features, rows, torch.device("cpu"))
    heard = hear(found.network(), examples)
    vocabulary = fit(heard, dataset, rows, for_tags(dataset.tags))
    return judge(heard, dataset, rows, vocabulary=vocabulary, n_resamples=1)


def line(name: str, evaluation: Evaluation) -> str:
    numbers = [evaluation.macro[key].value for key in ("roc_auc", "pr_auc", "correlation")]
    if people := evaluation.people:
        numbers += [people["macro_roc_auc"], people["coverage"], people["precision"]]
    else:
        numbers += [math.nan] * 3
    return f"| {name} | " + " | ".join(f"{number:.3f}" for number in numbers) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
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
        epochs=options.epochs,
        people=0.0,
        augmentations=without(),
        bfloat16=options.bfloat16,
        architecture=Architecture(n_units=options.units, n_layers=options.layers),
        front_end=FrontEnd(),
    )
    print(
        f"validation, {options.layers} layers of {options.units}, {options.epochs} epochs\n\n"
        "| | ROC-AUC | PR-AUC | correlation | people's genres: ROC-AUC | coverage | precision |\n"
        "|---|---|---|---|---|---|---|",
        flush=True,
    )
    for name in options.only:
        settings = settings_of(name, base)
        print(f"{name} …", file=sys.stderr)
        print(line(name, judged(train(settings), settings, dataset)), flush=True)


if __name__ == "__main__":
    main()
