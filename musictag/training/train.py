"""Training: data, step, evaluation, checkpoint.

    OUTPUT/run.json     what was asked, with what, and how it went, epoch by epoch
    OUTPUT/curves.svg   the same to look at
    OUTPUT/state.pt     all that the next epoch needs; goes when training is done
    OUTPUT/model/       the checkpoint, once there is one

Every epoch draws all its randomness from a seed of its own, and nothing but
the epoch's number is needed to draw it again. So a run that was killed and
resumed ends with the same weights, bit for bit, as one that was not (on CPU;
a GPU does not promise the same sums twice). For the same reason a run may go on
in another number of processes, see `ranks`.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import math
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import musictag
from musictag.disk import replacing
from musictag.errors import DataSetError, MusictagError, UsageError
from musictag.hearing import checkpoint
from musictag.hearing.checkpoint import Checkpoint
from musictag.hearing.network.architecture import Architecture
from musictag.hearing.network.recurrent import Tagger, flush_subnormals, initialise, n_parameters
from musictag.hearing.scattering.plan import FrontEnd
from musictag.training import augment, curves, labels
from musictag.training.batches import Examples
from musictag.training.dataset import DataSet
from musictag.training.datasets import open_dataset
from musictag.training.features import Features, prepare
from musictag.training.ranks import ALONE, Ranks
from musictag.training.scores import binarise, correlation, mean, roc_auc
from musictag.training.thresholds import choose_thresholds, n_decided_otherwise
from musictag.vocabulary import for_tags

log = logging.getLogger(__name__)


AUGMENTATIONS = ("shift", "knobs", "mix", "noise", "mask")


@dataclass(frozen=True)
class TrainSettings:
    """What was asked for. Of the shipped model the card tells what was not the default."""

    dataset: Path
    output: Path
    features: Path | None = None  # where features are kept; by default in `output`
    name: str = "my-model"  # of the checkpoint
    epochs: int = 60
    batch_size: int = 64  # examples per step, of all ranks together
    learning_rate: float = 1e-3  # at its highest
    weight_decay: float = 0.01
    gradient_norm: float = 1.0  # clipped to this
    averaging: float = 0.99  # of the weights, per step; 0 takes them as they are
    patience: int = 0  # epochs without a better validation score before stopping, and then the
    # best epoch counts; 0: the last one does, so that validation chooses less and flatters less
    seed: int = 0
    schedule: str = "one-cycle"  # of the learning rate: "one-cycle", "exponential", "constant"
    augmentations: tuple[str, ...] = AUGMENTATIONS  # of coefficients, anew in every epoch
    mixing: float = 0.4  # Beta of the share of a second example
    people: float = 0.6  # how far genres given by people move the training labels
    start: Path | None = None  # checkpoint whose weights are the beginning; by default none
    teachers: tuple[Path, ...] = ()  # checkpoints whose opinion is taught as well
    teaching: float = 0.5  # how far the teachers move the training labels
    smoothing: float = 0.0  # how far each label is moved to its tag's mean
    n_variants: int = 3  # of each training example's audio, the plain one included
    half: bool = True  # the checkpoint's weights as float16, if that changes no decision
    device: str = "cpu"
    bfloat16: bool = False  # products in half precision: faster on GPUs and CPUs with AMX
    workers: int | None = None  # decoding threads; by default as many as cores
    resume: bool = False  # go on where a run with the same settings stopped
    save_every_s: float = 30.0  # at most this much work is lost
    architecture: Architecture = field(default_factory=Architecture)  # its ends are the data's
    front_end: FrontEnd = field(default_factory=FrontEnd)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "n_variants"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1")
        if not 0 <= self.learning_rate < math.inf:
            raise UsageError("learning_rate must be at least 0")
        if self.patience < 0:
            raise UsageError("patience must be at least 0")
        if abs(self.seed) > 2**40:
            raise UsageError("seed must be from -2**40 to 2**40")
        if self.workers is not None and self.workers < 1:
            raise UsageError("workers must be at least 1")
        if not 0 <= self.averaging < 1:
            raise UsageError("averaging must be at least 0 and less than 1")
        for name in ("people", "teaching", "smoothing"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} must be from 0 to 1")
        if self.schedule not in SCHEDULES:
            raise UsageError(f"schedule must be one of {', '.join(SCHEDULES)}")
        if unknown := set(self.augmentations) - set(AUGMENTATIONS):
            raise UsageError(f"there is no augmentation {', '.join(sorted(unknown))}")


@dataclass(frozen=True)
class FeatureProgress:
    """So many rows of features are there, of so many."""

    done: int
    total: int


@dataclass(frozen=True)
class EpochResult:
    """One epoch: `loss` over the training examples as augmented, the rest on validation."""

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
        """By which the best epoch is the best."""
        return score(self.roc_auc, self.correlation)


def score(roc_auc: float, correlation: float) -> float:
    """Their mean; 0 where neither can be had (a validation split of one example)."""
    both = mean([roc_auc, correlation])
    return 0.0 if math.isnan(both) else both


Tell = Callable[["DataSet | FeatureProgress | EpochResult"], None]


def train(settings: TrainSettings, *, tell: Tell | None = None, ranks: Ranks = ALONE) -> Path:
    """Make a model from a data set; returns the checkpoint's directory.

    `tell` hears how it goes, one value at a time: what there is to learn from,
    its features, then the epochs. Of several ranks, only the first one's does.
    """
    if tell is None or not ranks.first:
        tell = lambda _: None  # noqa: E731
    torch.set_flush_denormal(True)  # subnormals make CPU products a hundred times slower
    if ranks.once(lambda: _finished_before(settings)):
        return settings.output / "model"
    dataset, features = ranks.once(lambda: _materials(settings, tell))
    run = Run(settings, dataset, features, ranks)
    with _own_chance(run.device):
        run.begin()
        while not run.finished:
            tell(run.epoch())
            if ranks.first:
                run.save()
    return ranks.once(run.finish)


def _finished_before(settings: TrainSettings) -> bool:
    """Whether there is nothing left to do; a run's work is never overwritten by another."""
    state, model = settings.output / "state.pt", settings.output / "model" / checkpoint.CONFIG
    if settings.resume:
        return model.exists() and not state.exists()
    if state.exists() or model.exists():
        raise UsageError(
            f"{settings.output} holds a run already: go on with --resume, "
            "or write to another directory"
        )
    return False


def _materials(settings: TrainSettings, tell: Tell) -> tuple[DataSet, Features]:
    dataset = open_dataset(settings.dataset)
    tell(dataset)
    settings.output.mkdir(parents=True, exist_ok=True)
    features = prepare(
        dataset,
        settings.front_end,
        settings.features or settings.output / "features",
        n_variants=settings.n_variants,
        device=settings.device,
        workers=settings.workers,
        tell=lambda done, total: tell(FeatureProgress(done, total)),
    )
    for reason in features.broken.values():
        log.warning("left out: %s", reason)
    return dataset, features


class Run:
    """A training run between two epochs: everything that changes is here, and alike in all ranks.

    Those take each step of it together, but for `save` and `finish`.
    """

    def __init__(
        self,
        settings: TrainSettings,
        dataset: DataSet,
        features: Features,
        ranks: Ranks = ALONE,
    ) -> None:
        self.settings = settings
        self.ranks = ranks
        self.dataset = dataset
        self.vocabulary = for_tags(dataset.tags)
        self.device = torch.device(settings.device)
        self.commit = _commit()  # now: the checkout may move on while this runs
        self.broken = features.broken
        self.rows = {
            split: [r for r in dataset.rows(split) if dataset.examples[r].id not in features.broken]
            for split in ("train", "validation")
        }
        for split, rows in self.rows.items():
            if not rows:
                raise DataSetError(f"{dataset.directory}: no usable examples for {split}")
        self.training = Examples(dataset, features, self.rows["train"], self.device)
        self.validation = Examples(dataset, features, self.rows["validation"], self.device)
        self.responses = features.responses.to(self.device)
        noise = features.noise()
        self.noise = None if noise is None else noise.to(self.device)
        self.start = self._heard_alike(settings.start) if settings.start else None
        self.teachers = [self._heard_alike(directory) for directory in settings.teachers]
        self.training.labels = torch.from_numpy(self._targets()).to(self.device)
        self.validation.labels = torch.from_numpy(
            labels.hear_people(
                dataset.labels[self.rows["validation"]],
                dataset,
                self.rows["validation"],
                settings.people,
                self.vocabulary,
            )
        ).to(self.device)

        architecture = replace(
            self.start.network().architecture if self.start else settings.architecture,
            n_coefficients=features.n_coefficients,
            n_tags=len(dataset.tags),
        )
        self.model = Tagger(architecture).to(self.device)
        self.average = Tagger(architecture).to(self.device).eval()
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=0.0, weight_decay=settings.weight_decay
        )
        self.n_steps = 0
        self.history: list[EpochResult] = []
        self.kept: dict[str, Tensor] = {}  # averaged weights of the epoch that counts
        self.saved_at = time.monotonic()
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high")

    def _heard_alike(self, directory: Path) -> Checkpoint:
        """A model that is fed with the same features."""
        found = checkpoint.read(directory)
        if found.front_end != asdict(self.settings.front_end):
            raise UsageError(f"{found.name} is of no use here: it has another front end")
        return found

    def _targets(self) -> labels.Labels:
        """What the training examples are to be heard as: (n, K)."""
        settings, rows = self.settings, self.rows["train"]
        targets = self.dataset.labels[rows]
        if self.teachers:
            opinions = [self._opinion(teacher) for teacher in self.teachers]
            targets = labels.hear_teachers(targets, opinions, settings.teaching)
        targets = labels.hear_people(targets, self.dataset, rows, settings.people, self.vocabulary)
        return labels.doubt(targets, settings.smoothing)

    def _opinion(self, teacher: Checkpoint) -> labels.Labels:
        """A teacher's probabilities for the training examples: (n, K)."""
        if teacher.tags != self.dataset.tags:
            raise UsageError(f"{teacher.name} cannot teach: it has other tags")
        return hear(teacher.network().to(self.device), self.training, self.ranks)

    # begin, epoch, save, finish: in this order

    def begin(self) -> None:
        """From the first epoch, or from where a run with the same settings stopped."""
        self.ranks.once(self._begin)
        if self.ranks.n > 1:
            self._restore(self._read(io.BytesIO(self.ranks.once(self._packed))))

    def _begin(self) -> None:
        path = self.settings.output / "state.pt"
        if self.settings.resume and path.exists():
            state = self._read(path)
            before, now = state["settings"], self._identity()
            different = [name for name in now if before.get(name) != now[name]]
            if different:
                raise UsageError(
                    f"{path} is from a run with another {', '.join(different)}: "
                    "use the same settings, or begin anew without resume"
                )
            self._restore(state)
            return
        _seed(self.settings.seed, 0)
        initialise(self.model)
        self.model.mean, self.model.std = self.training.moments()
        prior = self.training.labels.mean(dim=0).clamp(1e-3, 1 - 1e-3)
        self.model.output.bias.data = prior.logit()  # begin by saying what is common
        if self.start:
            self._take_weights(self.start)
        self.average.load_state_dict(self.model.state_dict())

    def _take_weights(self, start: Checkpoint) -> None:
        """All that an earlier model knows; where the tags are others, all but the last layer."""
        weights = start.network().state_dict()
        if start.tags != self.dataset.tags:
            weights = {k: v for k, v in weights.items() if not k.startswith("output.")}
        self.model.load_state_dict(weights, strict=start.tags == self.dataset.tags)

    @property
    def finished(self) -> bool:
        settings, n = self.settings, len(self.history)
        if n >= settings.epochs:
            return True
        best = max((r.epoch for r in self.history if r.best), default=0)
        return 0 < settings.patience <= n - best

    def epoch(self) -> EpochResult:
        """Every training example once, then the averaged weights on validation.

        Validation wants what training teaches: genres by people count there as much.
        """
        began = time.monotonic()
        number = len(self.history) + 1
        _seed(self.settings.seed, number)
        self.model.train()
        losses = [
            self.step(features, targets) * len(targets)
            for features, targets in self.training.batches(self.settings.batch_size)
        ]
        loss = float(torch.stack(losses).sum()) / len(self.training.labels)
        if not math.isfinite(loss):
            raise MusictagError(
                f"training diverged in epoch {number}: a lower learning rate may help"
            )
        roc, pearson = self.evaluate()
        best_before = max((r.score for r in self.history), default=-math.inf)
        seconds = time.monotonic() - began
        result = EpochResult(
            epoch=number,
            epochs=self.settings.epochs,
            loss=loss,
            roc_auc=roc,
            correlation=pearson,
            seconds=seconds,
            left_s=seconds * (self.settings.epochs - number),
            best=score(roc, pearson) > best_before,
        )
        if result.best or not self.settings.patience:
            self.kept = {k: v.detach().cpu().clone() for k, v in self.average.state_dict().items()}
        self.history.append(result)
        return result

    def step(self, features: Tensor, targets: Tensor) -> Tensor:
        """One batch: (B, C, T) float16 and (B, K) -> its loss; the weights have moved."""
        settings = self.settings
        features = features.float()
        if "shift" in settings.augmentations:
            features = augment.shift(features)
        if "knobs" in settings.augmentations:
            features = augment.turn_knobs(features, self.responses)
        if "mix" in settings.augmentations:
            features, targets = augment.mix(features, targets, settings.mixing)
        if "noise" in settings.augmentations and self.noise is not None:
            features, targets = augment.hush(features, targets, self.noise)
        if "mask" in settings.augmentations:
            features = augment.mask(features, self.model.mean)
        mine, weight = self.ranks.share(len(targets))
        with (
            self._own_dropout(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=settings.bfloat16),
        ):
            logits = self.model(features[mine]).float()
        loss = nn.functional.binary_cross_entropy_with_logits(logits, targets[mine]) * weight
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        loss = self.ranks.add_up(loss.detach(), self.model.parameters())
        nn.utils.clip_grad_norm_(self.model.parameters(), settings.gradient_norm)
        steps_per_epoch = math.ceil(len(self.training.labels) / settings.batch_size)
        rate = SCHEDULES[settings.schedule](self.n_steps / (settings.epochs * steps_per_epoch))
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * rate
        self.optimizer.step()
        self.n_steps += 1
        self._average()
        return loss

    @contextlib.contextmanager
    def _own_dropout(self) -> Iterator[None]:
        """Chance as this rank's own in this step; what is drawn afterwards is the same in all."""
        if self.ranks.n == 1:
            yield
            return
        with _own_chance(self.device):
            _seed(self.settings.seed, -1 - (self.n_steps * self.ranks.n + self.ranks.rank))
            yield

    @torch.no_grad()
    def _average(self) -> None:
        """Exponential average of the weights; a short memory at first, when they still run."""
        keep = min(self.settings.averaging, self.n_steps / (self.n_steps + 10))
        torch._foreach_lerp_(
            list(self.average.parameters()), list(self.model.parameters()), 1 - keep
        )

    def evaluate(self) -> tuple[float, float]:
        """Macro ROC-AUC and mean correlation of the averaged weights on validation."""
        heard = hear(self.average, self.validation, self.ranks).astype(np.float64)
        return self.ranks.once(lambda: self._scores(heard))

    def _scores(self, heard: NDArray[np.float64]) -> tuple[float, float]:
        given = self.validation.labels.cpu().numpy().astype(np.float64)
        positive = binarise(given, [self.dataset.shares[tag] for tag in self.dataset.tags])
        columns = range(heard.shape[1])
        return (
            mean([roc_auc(heard[:, k], positive[:, k]) for k in columns]),
            mean([correlation(heard[:, k], given[:, k]) for k in columns]),
        )

    def save(self) -> None:
        """The run record always, the state when the last one is old enough."""
        self._write_record({})
        if time.monotonic() - self.saved_at < self.settings.save_every_s:
            return
        with replacing(self.settings.output / "state.pt") as temporary:
            torch.save(self._state(), temporary)
        self.saved_at = time.monotonic()

    def _state(self) -> dict[str, Any]:
        return {
            "settings": self._identity(),
            "history": [asdict(result) for result in self.history],
            "n_steps": self.n_steps,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "kept": self.kept,
        }

    def _packed(self) -> bytes:
        content = io.BytesIO()
        torch.save(self._state(), content)
        return content.getvalue()

    def _read(self, state: Path | io.BytesIO) -> dict[str, Any]:
        read: dict[str, Any] = torch.load(state, map_location=self.device, weights_only=True)
        return read

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.history = [EpochResult(**result) for result in state["history"]]
        self.n_steps = state["n_steps"]
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.kept = {name: tensor.cpu() for name, tensor in state["kept"].items()}

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a run to go on."""
        where = {"dataset", "output", "features", "name", "half", "start", "teachers"}
        how = {"device", "workers", "resume", "save_every_s"}
        settings = asdict(self.settings)
        fixed = {name: value for name, value in settings.items() if name not in where | how}
        return {
            **fixed,
            "started from": self.start.digest if self.start else None,
            "taught by": [teacher.digest for teacher in self.teachers],
            "data": self.dataset.digest(),
            "broken": sorted(self.broken),
        }

    def finish(self) -> Path:
        """The epoch that counts, with thresholds chosen on validation, as a checkpoint."""
        self.average.load_state_dict(self.kept)
        flush_subnormals(self.average)
        rows = self.rows["validation"]
        heard = hear(self.average, self.validation)
        thresholds = choose_thresholds(
            heard, self.dataset, rows, self.vocabulary, people=self.settings.people
        )
        vocabulary = self.vocabulary.with_thresholds(thresholds)
        half = self.settings.half
        if half:
            exact = {name: tensor.clone() for name, tensor in self.average.state_dict().items()}
            self.average.load_state_dict({k: v.half().float() for k, v in exact.items()})
            n_changed = n_decided_otherwise(
                heard, hear(self.average, self.validation), self.dataset, rows, vocabulary
            )
            if n_changed:
                log.warning("float16 would change what %d tracks get: kept float32", n_changed)
                self.average.load_state_dict(exact)
                half = False
        counts = [r for r in self.history if r.best or not self.settings.patience][-1]
        outcome = {
            "epoch": counts.epoch,
            "validation": {"roc_auc": counts.roc_auc, "correlation": counts.correlation},
            "thresholds": thresholds,
        }
        directory = self.settings.output / "model"
        checkpoint.save(
            directory,
            self.average.cpu(),
            front_end=self.settings.front_end,
            tags=self.dataset.tags,
            vocabulary=vocabulary,
            name=self.settings.name,
            training=_for_strangers(self._record(outcome)),
            half=half,
        )
        self._write_record(outcome)
        (self.settings.output / "state.pt").unlink(missing_ok=True)
        return directory

    def _record(self, outcome: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "settings": asdict(self.settings),
            "versions": {
                "musictag": musictag.__version__,
                "commit": self.commit,
                "python": platform.python_version(),
                "torch": torch.__version__,
                "numpy": np.__version__,
            },
            "device": _device_name(self.device, self.ranks.n),
            "data": {
                "digest": self.dataset.digest(),
                "n_train": len(self.rows["train"]),
                "n_validation": len(self.rows["validation"]),
                "broken": self.broken,
            },
            "start": {"name": self.start.name, "digest": self.start.digest} if self.start else None,
            "teachers": [teacher.name for teacher in self.teachers],
            "n_parameters": n_parameters(self.model),
            "n_parameters_paper": n_parameters(self.model, paper=True),
            "history": [asdict(result) for result in self.history],
            **outcome,
        }

    def _write_record(self, outcome: Mapping[str, Any]) -> None:
        with replacing(self.settings.output / "run.json") as temporary:
            record = json.dumps(self._record(outcome), indent=1, default=os.fspath)
            temporary.write_text(record, encoding="utf-8")
        picture = curves.svg(
            {
                "loss on the training examples": {"loss": [r.loss for r in self.history]},
                "validation": {
                    "ROC-AUC": [r.roc_auc for r in self.history],
                    "correlation": [r.correlation for r in self.history],
                },
            }
        )
        with replacing(self.settings.output / "curves.svg") as temporary:
            temporary.write_text(picture, encoding="utf-8")


@torch.inference_mode()
def hear(model: nn.Module, examples: Examples, ranks: Ranks = ALONE) -> NDArray[np.float32]:
    """(n, K) probabilities of the examples as they are, in their order."""
    mine = slice(ranks.rank, None, ranks.n)
    heard = [
        model(features.float()).sigmoid().cpu()
        for features, _ in examples.batches(256, shuffled=False, which=mine)
    ]
    probabilities: NDArray[np.float32] = torch.cat(ranks.gather(heard)).numpy()
    return probabilities


def one_cycle(progress: float) -> float:
    """Learning rate over its highest: up over the first tenth, down to nothing as a cosine."""
    rise = 0.1
    if progress < rise:
        return 0.04 + 0.96 * progress / rise
    return (1 + math.cos(math.pi * (progress - rise) / (1 - rise))) / 2


def exponential(progress: float) -> float:
    """As the paper has it: from the highest down by the same factor each epoch, here to 1 %."""
    return math.exp(math.log(0.01) * progress)


SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "one-cycle": one_cycle,
    "exponential": exponential,
    "constant": lambda _: 1.0,
}


def _own_chance(device: torch.device) -> contextlib.AbstractContextManager[None]:
    """Inside, torch's random state is another; afterwards it is what it was."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def _seed(seed: int, epoch: int) -> None:
    torch.manual_seed(seed * 1_000_003 + epoch)


def _for_strangers(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record as it goes with the checkpoint: without this machine's paths, and short."""
    settings = {
        name: value
        for name, value in record["settings"].items()
        if name not in ("dataset", "output", "features", "start", "teachers")
    }
    short = {name: value for name, value in record.items() if name != "history"}
    return {**short, "settings": settings, "epochs": len(record["history"])}


def _device_name(device: torch.device, n_ranks: int) -> str:
    several = f", {n_ranks} processes" if n_ranks > 1 else ""
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}{several}"
    return f"{device.type}: {torch.get_num_threads()} threads{several}"


def _commit() -> str | None:
    """Of the checkout this runs from; None when installed."""
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
