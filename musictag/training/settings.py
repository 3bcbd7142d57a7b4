"""What a training run is asked to do."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from musictag.errors import UsageError
from musictag.hearing.frontend import Settings
from musictag.hearing.network.architecture import AnyArchitecture, Architecture
from musictag.hearing.scattering.plan import FrontEnd
from musictag.training.schedule import SCHEDULES
from musictag.training.variants import Variants

AUGMENTATIONS = ("shift", "knobs", "mix", "noise", "mask")
"""Names of what is done to coefficients anew in every epoch, in the order in which it is done."""

SHARES = ("people", "absence", "moods", "voice", "teaching", "smoothing")
"""Settings that say how far labels are moved, from 0 (not at all) to 1 (the whole way)."""


@dataclass(frozen=True)
class TrainSettings:
    """Settings of a run. A model card lists those of its model that are not the default."""

    dataset: Path
    output: Path
    features: Path | None = None  # where features are kept; by default in `output`
    name: str = "my-model"  # of the checkpoint
    recipe: str = ""  # what front end, network and other settings come from, for the record
    tags: tuple[str, ...] = ()  # label columns to learn, in this order; by default all
    split: Path | None = None  # folder with lists of clips, see `magnatagatune.read_split`
    epochs: int = 60  # 0 keeps the weights of `start`: thresholds and calibration alone are learned
    batch_size: int = 64  # examples per step, of all ranks together
    learning_rate: float = 1e-3  # the highest
    weight_decay: float = 0.01
    gradient_norm: float = 1.0  # gradients are clipped to it; 0: they are not
    averaging: float = 0.99  # of the weights, per step; 0 takes them as they are
    patience: int = 0
    """Epochs without a better validation score before the run stops; its best epoch counts then.
    0: it never stops and the last epoch counts, so that validation chooses and flatters less."""
    seed: int = 0
    schedule: str = "one-cycle"  # of the learning rate, one of SCHEDULES
    augmentations: tuple[str, ...] = AUGMENTATIONS
    mixing: float = 0.4  # parameter of the Beta distribution of a second example's share
    crop: float = 1.0  # share of each example's frames that a step hears, a random stretch
    people: float = 0.6  # how far tags that people gave move up
    absence: float | None = None  # how far genres that these rule out move down; None: as far
    moods: float = 0.5  # how far quadrants and words of mood by people move labels
    voice: float = 0.5  # how far "there is a voice" or "there is none" moves labels
    balance: float = 0.0  # each tag's loss weighs its share to the power of -balance; 0: all alike
    start: Path | None = None  # checkpoint whose weights the run begins with; by default none
    freeze: tuple[int, ...] = ()  # recurrent layers, from 0, whose weights stay as they are
    teachers: tuple[Path, ...] = ()  # checkpoints whose probabilities are taught as well
    teaching: float = 0.5  # how far the teachers move the training labels
    smoothing: float = 0.0  # how far each label moves to its tag's mean
    n_variants: int = 3  # of each training example's sound, the plain one included
    n_wide: int = 0  # further variants, faster or slower by up to two semitones
    n_mixed: int = 0  # further variants, mixed with the sound of another example
    half: bool = True  # the checkpoint's weights as float16, if that changes no decision
    device: str = "cpu"
    bfloat16: bool = False  # products in half precision: faster on GPUs, AMX and AVX-512 BF16
    workers: int | None = None  # decoding threads; by default as many as cores
    resume: bool = False  # go on where a run with the same settings stopped
    save_every_s: float = 30.0  # at most this much work is lost, in seconds
    architecture: AnyArchitecture = field(default_factory=Architecture)  # its ends are the data's
    front_end: Settings = field(default_factory=FrontEnd)

    @property
    def variants(self) -> Variants:
        return Variants(self.n_variants, self.n_wide, self.n_mixed)

    def __post_init__(self) -> None:
        for name in ("batch_size", "n_variants", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} must be at least 1")
        if self.epochs == 0 and self.start is None:
            raise UsageError("epochs can be 0 only with a model to start from")
        for name in (
            *("epochs", "patience", "n_wide", "n_mixed", "balance", "learning_rate"),
            *("weight_decay", "gradient_norm"),
        ):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"{name} must be at least 0")
        if abs(self.seed) > 2**40:
            raise UsageError("seed must be from -2**40 to 2**40")
        if not 0 <= self.averaging < 1:
            raise UsageError("averaging must be at least 0 and less than 1")
        if not 0 < self.crop <= 1:
            raise UsageError("crop must be more than 0 and at most 1")
        for name in SHARES:
            if not 0 <= (getattr(self, name) or 0) <= 1:
                raise UsageError(f"{name} must be from 0 to 1")
        if self.schedule not in SCHEDULES:
            raise UsageError(f"schedule must be one of {', '.join(SCHEDULES)}")
        if unknown := set(self.augmentations) - set(AUGMENTATIONS):
            raise UsageError(f"there is no augmentation {', '.join(sorted(unknown))}")


def layers_of(text: str) -> tuple[int, ...]:
    """The layers that `2` or `0-3` on the command line means."""
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if first > last:
        raise UsageError(f"layers are {text!r}, must be a number or a range such as 0-3")
    return tuple(range(first, last + 1))
