"""The record of a run: what was asked, with what, and how it went, epoch by epoch."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import musictag
from musictag.disk import replacing
from musictag.training import curves
from musictag.training.scores import mean

RECORD, PICTURE = "run.json", "curves.svg"
PRIVATE = ("dataset", "output", "features", "start", "teachers")
"""Settings that name places on the machine of whoever trained."""


@dataclass(frozen=True)
class EpochResult:
    """One epoch: `loss` on the training examples as augmented, the scores on validation."""

    epoch: int  # from 1
    epochs: int
    loss: float
    roc_auc: float
    correlation: float
    seconds: float
    left_s: float
    best: bool

    @property
    def score(self) -> float:
        """The score used to pick the best epoch."""
        return score(self.roc_auc, self.correlation)


def score(roc_auc: float, correlation: float) -> float:
    """The mean of both; 0 where neither exists (a validation split of one example)."""
    both = mean([roc_auc, correlation])
    return 0.0 if math.isnan(both) else both


def write(directory: Path, record: Mapping[str, Any], history: Sequence[EpochResult]) -> None:
    """Write the record and, once there is an epoch, a picture of its curves."""
    with replacing(directory / RECORD) as temporary:
        text = json.dumps(record, indent=1, default=os.fspath)
        temporary.write_text(text, encoding="utf-8")
    if not history:
        return
    picture = curves.svg(
        {
            "loss on the training examples": {"loss": [r.loss for r in history]},
            "validation": {
                "ROC-AUC": [r.roc_auc for r in history],
                "correlation": [r.correlation for r in history],
            },
        }
    )
    with replacing(directory / PICTURE) as temporary:
        temporary.write_text(picture, encoding="utf-8")


def for_strangers(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record as it goes with the checkpoint: short, and without this machine's paths."""
    settings = {k: v for k, v in record["settings"].items() if k not in PRIVATE}
    short = {name: value for name, value in record.items() if name != "history"}
    return {**short, "settings": settings, "epochs": len(record["history"])}


def versions(commit: str | None) -> dict[str, str | None]:
    return {
        "musictag": musictag.__version__,
        "commit": commit,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def device_name(device: torch.device, n_ranks: int) -> str:
    several = f", {n_ranks} processes" if n_ranks > 1 else ""
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}{several}"
    return f"{device.type}: {torch.get_num_threads()} threads{several}"


def commit() -> str | None:
    """The commit of the checkout that this runs from; None when installed."""
    root = Path(musictag.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    try:
        git = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:  # no git here
        return None
    return git.stdout.strip() or None
