"""What each process that test_ranks starts does: one training run for each pickled settings."""

from __future__ import annotations

import pickle
import shutil
import sys
from pathlib import Path

from musictag.training.ranks import ALONE, Ranks, joined
from musictag.training.record import EpochResult
from musictag.training.settings import TrainSettings
from musictag.training.train import train


def train_and_keep(settings: TrainSettings, ranks: Ranks = ALONE) -> None:
    """Train, and also keep the state that a run killed in epoch 3 would have left."""

    def keep(news: object) -> None:
        if isinstance(news, EpochResult) and news.epoch == 3:
            kept = settings.output.with_name(f"{settings.output.name} after epoch 2")
            kept.mkdir()
            shutil.copy(settings.output / "state.pt", kept)

    train(settings, tell=keep, ranks=ranks)


def main() -> None:
    runs: list[TrainSettings] = pickle.loads(Path(sys.argv[1]).read_bytes())
    with joined("cpu") as ranks:
        for settings in runs:
            train_and_keep(settings, ranks)


if __name__ == "__main__":
    main()
