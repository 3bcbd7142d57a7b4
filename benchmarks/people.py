"""How far people's words should move the labels that training is taught with.

    python benchmarks/people.py --dataset DIR --features DIR

A network of two layers on the mean and deviation of each coefficient, which
takes seconds, is trained with one weight after the other and judged on the
validation split as `training.py` judges runs. Features have to be there
already, in three variants, as any training run leaves them behind.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from training import COLUMNS, line, scores

from musictag.hearing.scattering.plan import FrontEnd
from musictag.training import augment, magnatagatune
from musictag.training.dataset import DataSet
from musictag.training.features import Features, prepare
from musictag.training.folder import read_folder
from musictag.training.labels import Weights, hear_people, loss_weights
from musictag.training.variants import Variants
from musictag.vocabulary import for_tags

N_VARIANTS = 3
N_UNITS = 512
BATCH_SIZE = 64


@dataclass(frozen=True)
class Trial:
    """What one network is taught with."""

    weights: Weights = field(default_factory=Weights)
    seed: int = 0
    balance: float = 0.0
    epochs: int = 40
    tags: tuple[str, ...] = ()  # by default all


RECOMMENDED = Weights(0.7, 0.5, 0.7, 0.7)

TRIALS: Mapping[str, Trial] = {
    "taggers alone": Trial(),
    "taggers alone, seed 1": Trial(seed=1),
    "0.5, 0, 0.3": Trial(Weights(0.5, 0.0, 0.3, 0.3)),
    "0.5, 0.25, 0.5": Trial(Weights(0.5, 0.25, 0.5, 0.5)),
    "0.5, 0.5, 0.6": Trial(Weights(0.5, 0.5, 0.6, 0.6)),
    "0.5, 0.5, 0.6, seed 1": Trial(Weights(0.5, 0.5, 0.6, 0.6), seed=1),
    "0.6, 0.3, 0.6": Trial(Weights(0.6, 0.3, 0.6, 0.6)),
    "0.8, 0, 0.8": Trial(Weights(0.8, 0.0, 0.8, 0.8)),
    "0.8, 0.4, 0.9": Trial(Weights(0.8, 0.4, 0.9, 0.9)),
    "0.8, 0.8, 0.4": Trial(Weights(0.8, 0.8, 0.4, 0.4)),
    "0.8, 0.8, 0.4, seed 1": Trial(Weights(0.8, 0.8, 0.4, 0.4), seed=1),
    "1, 0.5, 1": Trial(Weights(1.0, 0.5, 1.0, 1.0)),
    "1, 1, 0.2": Trial(Weights(1.0, 1.0, 0.2, 0.2)),
    "0.6, 0.3, 0.6, rare tags 0.25": Trial(Weights(0.6, 0.3, 0.6, 0.6), balance=0.25),
    "0.6, 0.3, 0.6, rare tags 0.5": Trial(Weights(0.6, 0.3, 0.6, 0.6), balance=0.5),
    "0.7, 0.5, 0.7": Trial(RECOMMENDED),
    "0.7, 0.5, 0.7, the 50 tags alone": Trial(RECOMMENDED, tags=magnatagatune.TAGS),
    "0.7, 0.5, 0.7, twice as long": Trial(RECOMMENDED, epochs=80),
}
"""Weights of people's genres, of their absence, and of moods and voices; and what else differs."""


def pooled(dataset: DataSet, features: Features, rows: list[int], variant: int) -> Tensor:
    """(n, 2 C): mean and deviation of each coefficient over the frames."""
    ids = [dataset.examples[row].id for row in rows]
    parts = []
    for first in range(0, len(ids), 128):
        some = ids[first : first + 128]
        x = features.read(some, [variant] * len(some)).float()
        parts.append(torch.cat([x.mean(dim=2), x.std(dim=2)], dim=1))
    return torch.cat(parts)


def heard(
    trial: Trial, dataset: DataSet, rows: list[int], training: Tensor, validation: Tensor
) -> NDArray[np.float32]:
    """Train on (variants, n, 2 C) and return the probabilities of the validation examples."""
    torch.manual_seed(trial.seed)
    vocabulary = for_tags(dataset.tags)
    taught = hear_people(dataset.labels[rows], dataset, rows, trial.weights, vocabulary)
    labels = torch.from_numpy(taught)
    importance = torch.from_numpy(
        loss_weights([dataset.shares[tag] for tag in dataset.tags], trial.balance)
    )
    model = nn.Sequential(
        *(nn.Linear(training.shape[2], N_UNITS), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Linear(N_UNITS, N_UNITS), nn.ReLU(), nn.Dropout(0.5)),
        nn.Linear(N_UNITS, len(dataset.tags)),
    )
    model[-1].bias.data = labels.mean(dim=0).clamp(1e-3, 1 - 1e-3).logit()
    n_steps = trial.epochs * -(-len(rows) // BATCH_SIZE)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 2e-3, total_steps=n_steps + 1, pct_start=0.1
    )
    for _ in range(trial.epochs):
        for some in torch.split(torch.randperm(len(rows)), BATCH_SIZE):
            x = training[torch.randint(len(training), (len(some),)), some]
            mixed, targets = augment.mix(x[:, :, None], labels[some], 0.4)
            loss = nn.functional.binary_cross_entropy_with_logits(
                model(mixed[:, :, 0]), targets, importance
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            rate.step()
    with torch.inference_mode():
        found: NDArray[np.float32] = model.eval()(validation).sigmoid().numpy()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=TRIALS, metavar="NAME", default=list(TRIALS))
    options = parser.parse_args()

    whole = read_folder(options.dataset)
    features = prepare(whole, FrontEnd(), options.features, kinds=Variants(N_VARIANTS))
    rows, judged = (
        [row for row in whole.rows(split) if whole.examples[row].id not in features.broken]
        for split in ("train", "validation")
    )
    training = torch.stack([pooled(whole, features, rows, v) for v in features.variants])
    validation = pooled(whole, features, judged, 0)
    mean, std = training[0].mean(dim=0), training[0].std(dim=0).clamp(min=1e-3)
    training, validation = (training - mean) / std, (validation - mean) / std
    print(f"| | {' | '.join(COLUMNS.values())} |\n|---|{'---|' * len(COLUMNS)}", flush=True)
    for name in options.only:
        trial = TRIALS[name]
        dataset = whole.only(trial.tags) if trial.tags else whole
        found = heard(trial, dataset, rows, training, validation)
        print(line(name, scores(found, dataset, judged)), flush=True)


if __name__ == "__main__":
    main()
