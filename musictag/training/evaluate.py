"""How good a model is: what it heard against what it should have heard.

Everything is computed on (n, K) tables of probabilities and labels, n being
examples (segment level) or tracks (track level: the mean over a track's
examples, for probabilities and labels alike).

- Hard labels, 0 or 1, are people's; a track carries a tag that at least half of
  its examples do. Soft labels are probabilities. ROC-AUC and PR-AUC (average
  precision) need yes or no: soft labels become so at each tag's prevalence: the
  share·n examples with the highest soft label carry the tag.
- Correlation (Pearson) is with soft labels as they are; there is none with hard ones.
- Calibration asks whether a probability means what it says. Brier score (`brier`)
  and expected calibration error (`ece`, ten bins of equal width) are against yes
  and no as above; for soft labels also against these as they are (`brier_soft`,
  `ece_soft`): the first says how often a listener of MagnaTagATune would agree, if
  tags are as common here as there; the second whether the teachers would, which
  holds however common they are. `reliability` shows the bins, all tags together.
- Precision, recall and F1 are those of each value, calibrated, at its threshold, synonyms merged;
  what else `decision` does (opposites, most values per field) is left out.
- Intervals hold 95 % of the results when whole tracks are drawn again with
  replacement: two excerpts of a recording are not two witnesses.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from musictag.errors import DataSetError, FileError, UsageError
from musictag.training.by_people import judge_people
from musictag.training.scores import (
    N_BINS,
    Mask,
    Table,
    are_hard,
    binarise,
    bins,
    brier,
    by_track,
    calibration_error,
    correlations,
    interval,
    mean,
    merge_values,
    pr_aucs,
    precision_recall_f1,
    resampled,
    roc_aucs,
    value_shares,
)
from musictag.vocabulary import Vocabulary

if TYPE_CHECKING:
    import torch

    from musictag.hearing.checkpoint import Checkpoint
    from musictag.hearing.ear import Ear
    from musictag.training.dataset import DataSet, Example

log = logging.getLogger(__name__)

LEVELS = ("segment", "track")
N_RESAMPLES = 400
BATCH_SIZE = 8


@dataclass(frozen=True)
class Score:
    """One number, or several tags' mean, with its 95 % interval where that was asked for."""

    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Evaluation:
    """What was found. Numbers that cannot be had (a tag nobody carries) are None in JSON."""

    model: str
    split: str
    level: str
    n: int
    n_tracks: int
    macro: Mapping[str, Score]
    tags: Mapping[str, Mapping[str, Score]]
    values: Mapping[str, Mapping[str, float]]  # shown value → threshold, precision, recall …
    reliability: Sequence[Mapping[str, float]]  # one bin of probabilities each, all tags together
    people: Mapping[str, Any] = field(
        default_factory=dict
    )  # against what people said, see `by_people`
    left_out: Mapping[str, str] = field(default_factory=dict)  # id → why it could not be heard

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "split": self.split,
            "level": self.level,
            "n": self.n,
            "n_tracks": self.n_tracks,
            "left_out": len(self.left_out),
            "macro": _plain(self.macro),
            "tags": {tag: _plain(scores) for tag, scores in self.tags.items()},
            "values": _finite(self.values),
            "reliability": [_finite(row) for row in self.reliability],
            "people": _finite(self.people),
        }


def evaluate(
    checkpoint: Checkpoint,
    dataset: DataSet,
    *,
    split: str = "test",
    level: str = "segment",
    device: torch.device | str = "cpu",
    n_resamples: int = N_RESAMPLES,
    tell: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Hear the examples of one split as a scan would hear them, and judge what was heard.

    The model's tags and the data set's are matched by name, whatever their
    order; the data set may have more. For one's own words capitals make no
    difference, and those that the data set lacks are not judged. Examples
    whose audio cannot be read are left out: look at `left_out` before
    comparing scores. `tell` is called with how many examples are done and how
    many there are.
    """
    _check_level(level)
    dataset = _in_own_words(dataset, checkpoint.own_tags)
    _check_tags(checkpoint, dataset)
    dataset = dataset.only([tag for tag in dataset.tags if tag in checkpoint.tags])
    rows = dataset.rows(split)
    if not rows:
        raise UsageError(f"the data set has no examples in its {split} split")
    columns = [checkpoint.tags.index(tag) for tag in dataset.tags]
    probabilities, left_out = hear(
        checkpoint.load(device, batch_size=BATCH_SIZE),
        [dataset.examples[row] for row in rows],
        tell=tell,
    )
    evaluation = judge(
        probabilities[:, columns],
        dataset,
        [row for row in rows if dataset.examples[row].id not in left_out],
        vocabulary=checkpoint.vocabulary,
        level=level,
        model=checkpoint.name,
        n_resamples=n_resamples,
    )
    return replace(evaluation, left_out=left_out)


def hear(
    ear: Ear,
    examples: Sequence[Example],
    *,
    tell: Callable[[int, int], None] | None = None,
) -> tuple[NDArray[np.float32], dict[str, str]]:
    """(n, K) probabilities of the examples that can be read, and id → why the others cannot.

    DataSetError when none can.
    """
    from musictag.training.reading import read_ahead  # noqa: PLC0415

    reader = read_ahead(examples)
    left_out: dict[str, str] = {}
    heard: list[NDArray[np.float32]] = []
    for first in range(0, len(examples), BATCH_SIZE):
        some = examples[first : first + BATCH_SIZE]
        batch = []
        for example in some:
            samples = next(reader)
            if isinstance(samples, FileError):
                left_out[example.id] = str(samples)
            else:
                batch.append(samples)
        if batch:
            heard.append(ear.hear(np.stack(batch)).probabilities)
        if tell:
            tell(first + len(some), len(examples))
    if not heard:
        raise DataSetError(f"no audio could be read, first: {next(iter(left_out.values()))}")
    return np.concatenate(heard), left_out


def judge(
    probabilities: NDArray[np.floating[Any]],
    dataset: DataSet,
    rows: Sequence[int],
    *,
    vocabulary: Vocabulary,
    level: str = "segment",
    model: str = "",
    n_resamples: int = N_RESAMPLES,
) -> Evaluation:
    """Compare what was heard, one row per example in `rows`, with the data set's labels."""
    _check_level(level)
    heard = np.asarray(probabilities, dtype=np.float64)
    labels = dataset.labels[list(rows)].astype(np.float64)
    tracks = [dataset.examples[row].track for row in rows]
    track_table, names = by_track(heard, tracks)
    soft = not are_hard(dataset.labels)
    if level == "track":
        heard, labels, tracks = track_table, by_track(labels, tracks)[0], names
        labels = labels if soft else (labels >= 0.5).astype(np.float64)
    positive = binarise(labels, [dataset.shares[tag] for tag in dataset.tags])
    tags, macro = _score_tags(heard, labels, positive, resampled(tracks, n_resamples), soft=soft)
    values = _score_values(heard, labels, dataset, vocabulary)
    for name in ("precision", "recall", "f1"):
        macro[name] = Score(mean([scores[name] for scores in values.values()]))
    return Evaluation(
        model=model,
        split=dataset.examples[rows[0]].split,
        level=level,
        n=len(heard),
        n_tracks=len(names),
        macro=macro,
        tags=dict(zip(dataset.tags, tags, strict=True)),
        values=values,
        reliability=_reliability(heard, positive, labels if soft else None),
        people=judge_people(track_table, dataset, rows, vocabulary, n_resamples=n_resamples),
    )


def _check_level(level: str) -> None:
    if level not in LEVELS:
        raise UsageError(f"level is {level!r}, must be {' or '.join(LEVELS)}")


def _in_own_words(dataset: DataSet, own_tags: Sequence[str]) -> DataSet:
    """The data set with the names that one's own words have: Jazz for jazz."""
    names = {tag.casefold(): tag for tag in own_tags}
    taken = set(dataset.tags)
    return dataset.called(
        {
            tag: names[tag.casefold()]
            for tag in dataset.tags
            if tag.casefold() in names and names[tag.casefold()] not in taken
        }
    )


def _check_tags(checkpoint: Checkpoint, dataset: DataSet) -> None:
    model, data = set(checkpoint.own_tags or checkpoint.tags), set(dataset.tags)
    only_here, only_there = _some(model - data), _some(data - model)
    if checkpoint.own_tags and only_here and model & data:
        log.warning("not judged, because the data set has no such tags: %s", only_here)
    elif only_here:
        differences = [f"{only_here} only in the model"]
        differences += [f"{only_there} only in the data set"] if only_there else []
        raise UsageError(
            f"{checkpoint.name} and the data set have different tags: {'; '.join(differences)}"
        )


def _some(tags: set[str]) -> str:
    """The first five of some tags."""
    return ", ".join(sorted(tags)[:5]) + (" …" if len(tags) > 5 else "")


def _score_tags(
    heard: Table, labels: Table, positive: Mask, weights: Table, *, soft: bool
) -> tuple[list[dict[str, Score]], dict[str, Score]]:
    """Each tag's scores and their mean over tags, with intervals over resampled tracks."""
    tags = range(heard.shape[1])
    found = {  # each (K, 1 + n_resamples)
        "roc_auc": [roc_aucs(heard[:, k], positive[:, k], weights) for k in tags],
        "pr_auc": [pr_aucs(heard[:, k], positive[:, k], weights) for k in tags],
    }
    targets = {"": positive.astype(np.float64)}
    if soft:
        found["correlation"] = [correlations(heard[:, k], labels[:, k], weights) for k in tags]
        targets["_soft"] = labels
    per_tag = [{name: _score(rows[k]) for name, rows in found.items()} for k in tags]
    for k in tags:
        for suffix, target in targets.items():
            per_tag[k][f"brier{suffix}"] = Score(brier(heard[:, k], target[:, k]))
            per_tag[k][f"ece{suffix}"] = Score(calibration_error(heard[:, k], target[:, k]))
    macro = {name: Score(mean(scores[name].value for scores in per_tag)) for name in per_tag[0]}
    for name, rows in found.items():
        macro[name] = _score(np.array([mean(column) for column in np.array(rows).T]))
    for k in tags:
        per_tag[k]["share"] = Score(float(positive[:, k].mean()))
    return per_tag, macro


def _score(values: Table) -> Score:
    """As found, and the interval of what was found in the resampled tracks."""
    return Score(float(values[0]), *interval(values[1:]))


def _reliability(heard: Table, positive: Mask, soft: Table | None) -> list[dict[str, float]]:
    """What came true of probabilities, bin by bin; `label` is the mean of the soft labels."""
    p, where = heard.ravel(), bins(heard.ravel())
    rows = []
    for b in range(N_BINS):
        inside = where == b
        if inside.any():
            row = {
                "from": b / N_BINS,
                "to": (b + 1) / N_BINS,
                "n": int(inside.sum()),
                "heard": float(p[inside].mean()),
                "positive": float(positive.ravel()[inside].mean()),
            }
            if soft is not None:
                row["label"] = float(soft.ravel()[inside].mean())
            rows.append(row)
    return rows


def _score_values(
    heard: Table, labels: Table, dataset: DataSet, vocabulary: Vocabulary
) -> dict[str, dict[str, float]]:
    """How well each shown value's threshold cuts."""
    merged, names = merge_values(heard, dataset.tags, vocabulary)
    soft, _ = merge_values(labels, dataset.tags, vocabulary)
    shares = value_shares(dataset.shares, vocabulary)
    positive = binarise(soft, [shares[name] for name in names])
    result = {}
    for v, name in enumerate(names):
        value = vocabulary.by_name[name]
        threshold = value.threshold
        if threshold is None:
            continue
        chosen = np.vectorize(value.calibrated, otypes=[float])(merged[:, v]) >= threshold
        result[name] = {
            "threshold": threshold,
            "n_chosen": int(chosen.sum()),
            "n_positive": int(positive[:, v].sum()),
            **precision_recall_f1(chosen, positive[:, v]),
        }
    return result


def _plain(scores: Mapping[str, Score]) -> dict[str, Any]:
    """`name`, and `name_95` beside it where there is an interval."""
    plain: dict[str, Any] = {}
    for name, score in scores.items():
        plain[name] = _finite(score.value)
        if not math.isnan(score.low):
            plain[f"{name}_95"] = [_finite(score.low), _finite(score.high)]
    return plain


def _finite(value: Any) -> Any:
    """JSON knows no nan: numbers that cannot be had become None, the others get five digits."""
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    if isinstance(value, float):
        return round(value, 5) if math.isfinite(value) else None
    return value
