"""Training: data, step, evaluation, checkpoint.

- OUTPUT/run.json: settings, versions and scores, epoch by epoch
- OUTPUT/curves.svg: the scores as curves
- OUTPUT/state.pt: what the next epoch needs; deleted when training is done
- OUTPUT/model/: the checkpoint
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from musictag.errors import UsageError
from musictag.hearing import checkpoint
from musictag.training.chance import own_chance
from musictag.training.dataset import DataSet
from musictag.training.datasets import open_dataset
from musictag.training.features import Features, prepare
from musictag.training.ranks import ALONE, Ranks
from musictag.training.record import EpochResult
from musictag.training.run import Run
from musictag.training.settings import TrainSettings
from musictag.training.state import STATE

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FeatureProgress:
    """How many rows of features are done, of how many."""

    done: int
    total: int


Tell = Callable[["DataSet | FeatureProgress | EpochResult"], None]


@contextlib.contextmanager
def _without_subnormals() -> Iterator[None]:
    """Let the CPU take subnormal numbers for zero in the block.

    They make its products a hundred times slower.
    """
    before = bool((torch.tensor([1e-40]) * 1 == 0).item())
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


@_without_subnormals()
def train(settings: TrainSettings, *, tell: Tell | None = None, ranks: Ranks = ALONE) -> Path:
    """Train a model on a data set and return the directory of its checkpoint.

    `tell` is called, in the first rank only, with what happens: the data set
    once, the progress of its features, then each epoch.
    """
    if tell is None or not ranks.first:
        tell = lambda _: None  # noqa: E731
    if ranks.once(lambda: _finished_before(settings)):
        return settings.output / "model"
    dataset, features = ranks.once(lambda: _materials(settings, tell))
    run = Run(settings, dataset, features, ranks)
    with own_chance(run.device):
        run.begin()
        while not run.finished:
            tell(run.epoch())
            if ranks.first:
                run.save()
    return ranks.once(run.finish)


def _finished_before(settings: TrainSettings) -> bool:
    """Whether there is nothing left to do. UsageError if the output holds another run."""
    state, model = settings.output / STATE, settings.output / "model" / checkpoint.CONFIG
    if settings.resume:
        return model.exists() and not state.exists()
    if state.exists() or model.exists():
        raise UsageError(
            f"{settings.output} holds a run already: go on with --resume, "
            "or write to another directory"
        )
    return False


def _materials(settings: TrainSettings, tell: Tell) -> tuple[DataSet, Features]:
    dataset = open_dataset(settings.dataset, tags=settings.tags, split=settings.split)
    if settings.tags:
        dataset = dataset.only(settings.tags)
    tell(dataset)
    settings.output.mkdir(parents=True, exist_ok=True)
    features = prepare(
        dataset,
        settings.front_end,
        settings.features or settings.output / "features",
        kinds=settings.variants,
        device=settings.device,
        workers=settings.workers,
        tell=lambda done, total: tell(FeatureProgress(done, total)),
    )
    for reason in features.broken.values():
        log.warning("left out: %s", reason)
    return dataset, features
