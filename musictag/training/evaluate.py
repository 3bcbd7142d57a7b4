"""How good a model is: what it heard against what it should have heard.

Everything is computed on (n, K) tables of probabilities and labels, n being
examples (segment level) or tracks (track level: the mean over a track's
examples, for probabilities and labels alike).

- ROC-AUC and PR-AUC (average precision) need yes or no. Soft labels become so
  at each tag's prevalence: the share·n examples with the highest soft label
  carry the tag.
- Correlation (Pearson) is with the soft labels as they are.
- Precision, recall and F1 are those of each value at its threshold, synonyms merged;
  what else `decision` does (opposites, most values per field) is left out.
- Intervals hold 95 % of the results when whole tracks are drawn again with
  replacement: two excerpts of a recording are not two witnesses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from musictag.decision import choose
from musictag.errors import UsageError
from musictag.training.scores import (
    Mask,
    Table,
    binarise,
    by_track,
    correlation,
    mean,
    merge_values,
    pr_auc,
    precision_recall_f1,
    roc_auc,
    value_shares,
)

if TYPE_CHECKING:
    import torch

    from musictag.checkpoint import Checkpoint
    from musictag.training.dataset import DataSet

LEVELS = ("segment", "track")
N_RESAMPLES = 400

# The tags that people gave as genres too, and what else a listener would let stand for each.
COMPATIBLE_GENRES: Mapping[str, frozenset[str]] = {
    "ambient": frozenset({"Ambient", "New Age", "Electronic"}),
    "classical": frozenset({"Classical", "Opera", "Choral"}),
    "country": frozenset({"Country"}),
    "dance": frozenset({"Dance", "Electronic", "Techno", "Pop"}),
    "electronic": frozenset({"Electronic", "Techno", "Dance", "Ambient"}),
    "metal": frozenset({"Metal", "Rock"}),
    "pop": frozenset({"Pop", "Rock", "Dance"}),
    "rock": frozenset({"Rock", "Metal"}),
}


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
    people: Mapping[str, Any] = field(default_factory=dict)  # against genres given by people

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "split": self.split,
            "level": self.level,
            "n": self.n,
            "n_tracks": self.n_tracks,
            "macro": _plain(self.macro),
            "tags": {tag: _plain(scores) for tag, scores in self.tags.items()},
            "values": _finite(self.values),
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

    `tell` is called with how many examples are done and how many there are.
    Audio that cannot be read ends the evaluation (AudioError): scores over what
    happens to be readable would not be comparable.
    """
    from musictag.training.features import heard  # noqa: PLC0415 (torch)

    _check_level(level)
    if dataset.tags != checkpoint.tags:
        raise UsageError(f"{checkpoint.name} and the data set have different tags")
    rows = dataset.rows(split)
    if not rows:
        raise UsageError(f"the data set has no examples in its {split} split")
    probabilities = heard(
        checkpoint.load(device), [dataset.examples[row] for row in rows], tell=tell
    )
    return judge(
        probabilities,
        dataset,
        rows,
        thresholds=checkpoint.thresholds,
        level=level,
        model=checkpoint.name,
        n_resamples=n_resamples,
    )


def judge(
    probabilities: NDArray[np.floating[Any]],
    dataset: DataSet,
    rows: Sequence[int],
    *,
    thresholds: Mapping[str, float],
    level: str = "segment",
    model: str = "",
    n_resamples: int = N_RESAMPLES,
) -> Evaluation:
    """Compare what was heard, one row per example in `rows`, with the data set's labels."""
    _check_level(level)
    heard = np.asarray(probabilities, dtype=np.float64)
    labels = dataset.labels[list(rows)].astype(np.float64)
    tracks = [dataset.examples[row].track for row in rows]
    genres = {dataset.examples[row].track: dataset.examples[row].genre for row in rows}
    track_table, names = by_track(heard, tracks)
    if level == "track":
        heard, labels, tracks = track_table, by_track(labels, tracks)[0], names
    positive = binarise(labels, [dataset.shares[tag] for tag in dataset.tags])
    tags, macro = _score_tags(heard, labels, positive, tracks, n_resamples)
    values = _score_values(heard, labels, dataset, thresholds)
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
        people=judge_genres(
            track_table, dataset.tags, [genres[name] for name in names], thresholds
        ),
    )


def _check_level(level: str) -> None:
    if level not in LEVELS:
        raise UsageError(f"level is {level!r}, must be {' or '.join(LEVELS)}")


def _score_tags(
    heard: Table, labels: Table, positive: Mask, tracks: Sequence[str], n_resamples: int
) -> tuple[list[dict[str, Score]], dict[str, Score]]:
    """Each tag's scores and their mean over tags, with intervals over resampled tracks."""
    names = ("roc_auc", "pr_auc", "correlation")
    n_tags = heard.shape[1]

    def scores(rows: NDArray[np.intp]) -> Table:
        return np.array(
            [
                (
                    roc_auc(heard[rows, k], positive[rows, k]),
                    pr_auc(heard[rows, k], positive[rows, k]),
                    correlation(heard[rows, k], labels[rows, k]),
                )
                for k in range(n_tags)
            ]
        )  # (K, 3)

    everything = np.arange(len(heard))
    found = scores(everything)
    rows_of: dict[str, list[int]] = {}
    for row, track in enumerate(tracks):
        rows_of.setdefault(track, []).append(row)
    groups = [np.array(rows, dtype=np.intp) for rows in rows_of.values()]
    generator = np.random.default_rng(0)
    resampled = [
        scores(
            np.concatenate([groups[g] for g in generator.integers(len(groups), size=len(groups))])
        )
        for _ in range(n_resamples)
    ]
    per_tag = [
        {
            name: Score(float(found[k, i]), *_interval([r[k, i] for r in resampled]))
            for i, name in enumerate(names)
        }
        for k in range(n_tags)
    ]
    macro = {
        name: Score(mean(found[:, i]), *_interval([mean(r[:, i]) for r in resampled]))
        for i, name in enumerate(names)
    }
    for k in range(n_tags):
        per_tag[k]["share"] = Score(float(positive[:, k].mean()))
    return per_tag, macro


def _score_values(
    heard: Table, labels: Table, dataset: DataSet, thresholds: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """How well each shown value's threshold cuts."""
    merged, names = merge_values(heard, dataset.tags)
    soft, _ = merge_values(labels, dataset.tags)
    shares = value_shares(dataset.shares)
    positive = binarise(soft, [shares[name] for name in names])
    result = {}
    for v, name in enumerate(names):
        if name not in thresholds:
            continue
        chosen = merged[:, v] >= thresholds[name]
        result[name] = {
            "threshold": thresholds[name],
            "n_chosen": int(chosen.sum()),
            "n_positive": int(positive[:, v].sum()),
            **precision_recall_f1(chosen, positive[:, v]),
        }
    return result


def table(evaluation: Evaluation) -> str:
    """What was found, for people: a line per tag, then per shown value, then the genres."""
    e = evaluation
    lines = [
        f"{e.model} on the {e.split} split: {e.n} {e.level}s of {e.n_tracks} tracks",
        "",
        f"{'tag':16}{'share':>7}{'ROC-AUC':>9}{'95 %':>15}{'PR-AUC':>9}{'95 %':>15}{'corr.':>8}",
    ]
    for name, scores in (("macro average", e.macro), *e.tags.items()):
        share = f"{scores['share'].value:7.3f}" if "share" in scores else " " * 7
        roc, pr = (_with_interval(scores[key]) for key in ("roc_auc", "pr_auc"))
        lines.append(f"{name:16}{share}{roc}{pr}{_shown(scores['correlation'].value):>8}")
    lines += ["", f"{'value':16}{'from':>7}{'chosen':>9}{'precision':>11}{'recall':>8}{'F1':>8}"]
    for name, cut in e.values.items():
        lines.append(
            f"{name:16}{cut['threshold']:7.3f}{cut['n_chosen']:9}"
            f"{_shown(cut['precision']):>11}{_shown(cut['recall']):>8}{_shown(cut['f1']):>8}"
        )
    if e.people:
        lines += [
            "",
            f"genres against people's on {e.people['n_tracks']} tracks: one is written for "
            f"a share of {_shown(e.people['coverage'])}; right or compatible are "
            f"{_shown(e.people['precision'])} (of the first ones "
            f"{_shown(e.people['precision_first'])}); "
            f"ROC-AUC {_shown(e.people['macro_roc_auc'])}",
        ]
        for said, counts in sorted(e.people["confusion"].items()):
            most = sorted(counts.items(), key=lambda item: -item[1])
            heard = ", ".join(f"{genre or 'none'} {count}" for genre, count in most)
            lines.append(
                f"  {said:12} {_shown(e.people['roc_auc'].get(said, math.nan)):>5}   {heard}"
            )
    return "\n".join(lines)


def _with_interval(score: Score) -> str:
    return f"{_shown(score.value):>9}  {_shown(score.low):>5} – {_shown(score.high):>5}"


def _shown(number: float) -> str:
    return "–" if math.isnan(number) else f"{number:.3f}"


def judge_genres(
    heard: Table,
    tags: Sequence[str],
    genres: Sequence[str],
    thresholds: Mapping[str, float],
    *,
    max_genres: int = 2,
) -> dict[str, Any]:
    """Track-level genres as they would be written, against what people said.

    Only tracks whose genre is a tag count. coverage: share of them for which a
    genre is written; precision: share of written genres that are right or
    compatible (COMPATIBLE_GENRES), precision_first the same for the first one;
    roc_auc: each genre's tag against the other tracks. `confusion` counts the
    first genre written, "" for none.
    """
    known = [i for i, genre in enumerate(genres) if genre in COMPATIBLE_GENRES]
    if not known:
        return {}
    confusion: dict[str, dict[str, int]] = {}
    first_right, right, written = [], 0, 0
    for i in known:
        chosen = choose(
            dict(zip(tags, heard[i].tolist(), strict=True)),
            thresholds,
            limits={"GENRE": max_genres},
        )["GENRE"]
        compatible = COMPATIBLE_GENRES[genres[i]]
        first = chosen[0] if chosen else ""
        counts = confusion.setdefault(genres[i], {})
        counts[first] = counts.get(first, 0) + 1
        right += sum(genre in compatible for genre in chosen)
        written += len(chosen)
        if chosen:
            first_right.append(first in compatible)
    columns = {tag: k for k, tag in enumerate(tags)}
    said = np.array([genres[i] for i in known])
    auc = {
        genre: roc_auc(heard[known, columns[genre]], said == genre)
        for genre in sorted(set(said.tolist()))
        if genre in columns
    }
    return {
        "n_tracks": len(known),
        "coverage": len(first_right) / len(known),
        "precision": right / written if written else math.nan,
        "precision_first": sum(first_right) / len(first_right) if first_right else math.nan,
        "roc_auc": auc,
        "macro_roc_auc": mean(list(auc.values())),
        "confusion": confusion,
    }


def _interval(values: Sequence[float]) -> tuple[float, float]:
    known = [v for v in values if not math.isnan(v)]
    if not known:
        return math.nan, math.nan
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)


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
    if isinstance(value, float):
        return round(value, 5) if math.isfinite(value) else None
    return value
