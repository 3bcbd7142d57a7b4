"""A training run between two epochs, and the steps from one to the next.

Every epoch draws all its randomness from a seed of its own, and nothing but
the epoch's number is needed to draw it again. So a run that was killed and
resumed ends with the same weights, bit for bit, as one that was not (on a CPU;
a GPU does not promise the same sums twice). For the same reason a run may go on
in another number of processes, see `ranks`.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from musictag.disk import replacing
from musictag.errors import DataSetError, MusictagError, UsageError
from musictag.hearing import checkpoint
from musictag.hearing.checkpoint import Checkpoint
from musictag.hearing.network.architecture import AnyArchitecture, Architecture
from musictag.hearing.network.torch import flush_subnormals, make
from musictag.training import augment, labels, record, start, state
from musictag.training.batches import Examples, hear
from musictag.training.chance import own_chance, seed
from musictag.training.dataset import DataSet
from musictag.training.features import Features
from musictag.training.ranks import ALONE, Ranks
from musictag.training.record import EpochResult, score
from musictag.training.schedule import SCHEDULES
from musictag.training.scores import binarise, correlation, mean, roc_auc
from musictag.training.settings import TrainSettings
from musictag.training.thresholds import fit, n_decided_otherwise
from musictag.vocabulary import Vocabulary, for_tags

log = logging.getLogger(__name__)


class Run:
    """Everything that changes while a model is trained, alike in all ranks.

    All ranks take each step together; only the first one saves and finishes.
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
        self.commit = record.commit()  # read now, because the checkout may change during the run
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
        self.start = start.read(settings.start, settings.front_end) if settings.start else None
        self.teachers = [start.read(path, settings.front_end) for path in settings.teachers]
        self.training.labels = torch.from_numpy(self._targets()).to(self.device)
        self.validation.labels = torch.from_numpy(self._as_people_said("validation")).to(
            self.device
        )
        shares = [dataset.shares[tag] for tag in dataset.tags]
        loss_weights = labels.loss_weights(shares, settings.balance)
        self.loss_weights = torch.from_numpy(loss_weights).to(self.device)

        architecture = replace(
            self.start.network().architecture if self.start else settings.architecture,
            n_coefficients=features.n_coefficients,
            n_tags=len(dataset.tags),
        )
        _check_fits(architecture, features, ranks)
        self.model = make(architecture).to(self.device)
        start.freeze(self.model, settings.freeze)
        self.average = make(architecture).to(self.device).eval()
        self.optimizer = torch.optim.AdamW(
            start.learning(self.model), lr=0.0, weight_decay=settings.weight_decay
        )
        self.n_steps = 0
        self.history: list[EpochResult] = []
        self.kept: dict[str, Tensor] = {}  # averaged weights of the epoch that counts
        self.saved_at = time.monotonic()
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high")

    def _targets(self) -> labels.Labels:
        """Labels that the training examples are taught with: (n, K)."""
        targets = self.dataset.labels[self.rows["train"]]
        if self.teachers:
            opinions = [self._opinion(teacher) for teacher in self.teachers]
            targets = labels.hear_teachers(targets, opinions, self.settings.teaching)
        return labels.doubt(self._as_people_said("train", targets), self.settings.smoothing)

    def _as_people_said(self, split: str, given: labels.Labels | None = None) -> labels.Labels:
        """The labels of one split, moved towards what people said."""
        rows = self.rows[split]
        given = self.dataset.labels[rows] if given is None else given
        weights = labels.Weights.of(self.settings)
        return labels.hear_people(given, self.dataset, rows, weights, self.vocabulary)

    def _opinion(self, teacher: Checkpoint) -> labels.Labels:
        """A teacher's probabilities for the training examples: (n, K)."""
        if teacher.tags != self.dataset.tags:
            raise UsageError(f"{teacher.name} cannot teach: it has other tags")
        return hear(teacher.network().to(self.device), self.training, self.ranks)

    # begin, epoch, save, finish: in this order

    def begin(self) -> None:
        """Start at the first epoch, or where a run with the same settings stopped."""
        self.ranks.once(self._begin)
        if self.ranks.n > 1:
            packed = self.ranks.once(lambda: state.packed(self))
            state.restore(self, state.read(self, io.BytesIO(packed)))

    def _begin(self) -> None:
        path = self.settings.output / state.STATE
        if self.settings.resume and path.exists():
            kept = state.read(self, path)
            state.check(self, kept, path)
            state.restore(self, kept)
            return
        seed(self.settings.seed, 0)
        self.model.initialise()
        self.model.mean, self.model.std = self.training.moments()
        prior = self.training.labels.mean(dim=0).clamp(1e-3, 1 - 1e-3)
        self.model.output.bias.data = (
            prior.logit()
        )  # to begin with, each tag is as likely as it is common
        if self.start:
            start.take_weights(self.model, self.start, self.dataset.tags)
        self.average.load_state_dict(self.model.state_dict())

    @property
    def finished(self) -> bool:
        settings, n = self.settings, len(self.history)
        if n >= settings.epochs:
            return True
        best = max((r.epoch for r in self.history if r.best), default=0)
        return 0 < settings.patience <= n - best

    def epoch(self) -> EpochResult:
        """Learn every training example once, then score the averaged weights on validation.

        Validation labels are moved by what people said, like those of training.
        """
        began = time.monotonic()
        number = len(self.history) + 1
        seed(self.settings.seed, number)
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
        """Learn one batch, (B, C, T) float16 and (B, K), and return its loss."""
        settings = self.settings
        features, targets = self._augmented(features.float(), targets)
        mine, weight = self.ranks.share(len(targets))
        with (
            self._own_dropout(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=settings.bfloat16),
        ):
            logits = self.model(features[mine]).float()
        loss = weight * nn.functional.binary_cross_entropy_with_logits(
            logits, targets[mine], self.loss_weights if settings.balance else None
        )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        learning = start.learning(self.model)
        loss = self.ranks.add_up(loss.detach(), learning)
        if settings.gradient_norm:
            nn.utils.clip_grad_norm_(learning, settings.gradient_norm)
        steps_per_epoch = math.ceil(len(self.training.labels) / settings.batch_size)
        rate = SCHEDULES[settings.schedule](self.n_steps / (settings.epochs * steps_per_epoch))
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * rate
        self.optimizer.step()
        self.n_steps += 1
        self._average()
        return loss

    def _augmented(self, features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, T) and (B, K) -> the same, varied at random."""
        asked_for = self.settings.augmentations
        if "shift" in asked_for:
            features = augment.shift(features)
        if "knobs" in asked_for:
            features = augment.turn_knobs(features, self.responses)
        if "mix" in asked_for:
            features, targets = augment.mix(features, targets, self.settings.mixing)
        if "noise" in asked_for and self.noise is not None:
            features, targets = augment.hush(features, targets, self.noise)
        if "mask" in asked_for:
            features = augment.mask(features, self.model.mean)
        if self.settings.crop < 1:
            features = augment.crop(features, self.settings.crop)
        return features, targets

    @contextlib.contextmanager
    def _own_dropout(self) -> Iterator[None]:
        """Random numbers of this rank alone; afterwards all ranks draw the same again."""
        if self.ranks.n == 1:
            yield
            return
        with own_chance(self.device):
            seed(self.settings.seed, -1 - (self.n_steps * self.ranks.n + self.ranks.rank))
            yield

    @torch.no_grad()
    def _average(self) -> None:
        """Update the exponential average of the weights, whose memory is short at first, and of the
        statistics of batch normalisation."""
        keep = min(self.settings.averaging, self.n_steps / (self.n_steps + 10))
        torch._foreach_lerp_(start.tensors(self.average), start.tensors(self.model), 1 - keep)

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
        """Write the record, and the state if the last one is old enough."""
        record.write(self.settings.output, self._record({}), self.history)
        if time.monotonic() - self.saved_at < self.settings.save_every_s:
            return
        with replacing(self.settings.output / state.STATE) as temporary:
            torch.save(state.of(self), temporary)
        self.saved_at = time.monotonic()

    def finish(self) -> Path:
        """Make a checkpoint of the epoch that counts, with thresholds chosen on validation."""
        if self.kept:  # not without an epoch
            self.average.load_state_dict(self.kept)
        flush_subnormals(self.average)
        heard = hear(self.average, self.validation)
        vocabulary = fit(heard, self.dataset, self.rows["validation"], self.vocabulary)
        half = self.settings.half and self._halved(heard, vocabulary)
        counted = [r for r in self.history if r.best or not self.settings.patience]
        roc, pearson = self._scores(heard.astype(np.float64))
        outcome = {
            "epoch": counted[-1].epoch if counted else 0,
            "validation": {"roc_auc": roc, "correlation": pearson},
            "thresholds": vocabulary.thresholds,
        }
        directory = self.settings.output / "model"
        checkpoint.save(
            directory,
            self.average.cpu(),
            front_end=self.settings.front_end,
            tags=self.dataset.tags,
            vocabulary=vocabulary,
            name=self.settings.name,
            training=record.for_strangers(self._record(outcome)),
            half=half,
        )
        record.write(self.settings.output, self._record(outcome), self.history)
        (self.settings.output / state.STATE).unlink(missing_ok=True)
        return directory

    def _halved(self, heard: NDArray[np.float32], vocabulary: Vocabulary) -> bool:
        """Round the averaged weights to float16, unless that changes what a track gets."""
        exact = {name: tensor.clone() for name, tensor in self.average.state_dict().items()}
        self.average.load_state_dict({k: v.half().float() for k, v in exact.items()})
        rounded = hear(self.average, self.validation)
        n_changed = n_decided_otherwise(
            heard, rounded, self.dataset, self.rows["validation"], vocabulary
        )
        if n_changed:
            log.warning("float16 would change what %d tracks get: kept float32", n_changed)
            self.average.load_state_dict(exact)
        return not n_changed

    def _record(self, outcome: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "settings": asdict(self.settings),
            "versions": record.versions(self.commit),
            "device": record.device_name(self.device, self.ranks.n),
            "data": {
                "digest": self.dataset.digest(),
                "n_train": len(self.rows["train"]),
                "n_validation": len(self.rows["validation"]),
                "broken": self.broken,
            },
            "start": {"name": self.start.name, "digest": self.start.digest} if self.start else None,
            "teachers": [teacher.name for teacher in self.teachers],
            "n_parameters": self.model.n_parameters(),
            "n_parameters_paper": self.model.n_parameters(paper=True),
            "history": [asdict(result) for result in self.history],
            **outcome,
        }


def _check_fits(architecture: AnyArchitecture, features: Features, ranks: Ranks) -> None:
    """UsageError for a network that these features, or several processes, cannot train."""
    if isinstance(architecture, Architecture):
        if architecture.sequence == "frequency" and architecture.n_frames > features.n_frames:
            raise UsageError(
                f"the network takes {architecture.n_frames} frames, "
                f"the front end gives {features.n_frames}"
            )
        normalised = architecture.cell == "bn-lstm"
    else:
        normalised = True
    if normalised and ranks.n > 1:
        raise UsageError(
            "a network with batch normalisation trains in one process: "
            "its statistics are those of whole batches"
        )
