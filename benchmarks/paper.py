"""The paper's table: every row of it trained alike, and judged on music that none was trained on.

    OMP_NUM_THREADS=1 python benchmarks/paper.py --dataset DIR --features DIR --output DIR \\
        [--divide N] [--epochs N] [--crop X] [--seeds N] [--only NAME …] [--print]

The paper's sizes take days on a CPU. --divide N trains every network with an N-th of its units or
channels; parameters and speed of a scan are always those of the paper's size. All rows see the same
examples as often, with the same settings. Spectrograms are averaged over 16 frames, so that their
sequences are as long as those of scattering; layers along frequency see all frames, uncropped.

Every row is trained in a process of its own, on the plain sound of each example and the 50 tags of
MagnaTagATune, and appends a line to OUTPUT/results.jsonl. Killed, the same command goes on. The
last epoch counts, so nothing is chosen by the validation split, and both it and the test split
judge: segments against the data set's labels, whole tracks against the genres that people gave. The
table shows the mean over seeds, and 95 % intervals of the first seed over tracks. Seconds are those
that cores worked, so that other programs on the machine disturb them little.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import timing
import torch
from numpy.typing import NDArray
from training import ENOUGH, carries

from musictag.hearing import checkpoint, frontend
from musictag.hearing.network.architecture import AnyArchitecture, Architecture
from musictag.hearing.network.torch import make
from musictag.hearing.spectra.cqt import Cqt
from musictag.hearing.spectra.mel import Mel
from musictag.training import magnatagatune, recipes
from musictag.training.batches import Examples, hear
from musictag.training.dataset import DataSet
from musictag.training.datasets import open_dataset
from musictag.training.evaluate import judge
from musictag.training.features import prepare
from musictag.training.recipes import Recipe
from musictag.training.record import EpochResult
from musictag.training.scores import (
    Mask,
    Table,
    by_track,
    interval,
    mean,
    pr_aucs,
    resampled,
    roc_aucs,
)
from musictag.training.settings import TrainSettings
from musictag.training.train import train
from musictag.vocabulary import for_tags

ROWS = (
    *("scat-5l-512h-gru", "scat-4l-512h-gru", "scat-4l-512h-lstm", "scat-6l-512h-gru"),
    *("mel-5l-512h-gru", "cqt-5l-512h-gru", "mel-5l-512h-lstm", "cqt-5l-512h-lstm"),
    *("scat-4l-256h-gru", "scat-4l-256h-lstm", "scat-4l-cnn"),
    *("scat-4l-512h-bn-lstm", "scat-4l-256h-bn-lstm"),
)
"""Names of recipes, in the order of training: what tells most first, what takes longest last."""
FURTHER = (
    *("scat-5l-512h-gru-last", "mel-5l-512h-gru-as-counted", "mel-5l-512h-lstm-as-counted"),
    *("cqt-5l-256h-gru-as-counted", "cqt-5l-256h-lstm-as-counted"),
    *("mel-1d-cnn", "mel-2d-cnn", "mel-crnn"),
)
"""Recipes that are no row of the table."""
POOL = 16
"""Frames of a spectrogram that are averaged."""
N_SEGMENTS, N_RUNS = 4, 3
RESULTS = "results.jsonl"
N_RESAMPLES = 400


def divided(architecture: AnyArchitecture, by: int) -> AnyArchitecture:
    """The same network with fewer units or channels in every layer."""
    if isinstance(architecture, Architecture):
        return replace(architecture, n_units=max(1, architecture.n_units // by))
    return replace(
        architecture,
        n_units=max(1, architecture.n_units // by),
        channels=tuple(max(1, n // by) for n in architecture.channels),
    )


def along_frequency(recipe: Recipe) -> bool:
    return isinstance(recipe.network, Architecture) and recipe.network.sequence == "frequency"


def pooled(recipe: Recipe) -> frontend.Settings:
    if isinstance(recipe.front_end, Mel | Cqt) and not along_frequency(recipe):
        return replace(recipe.front_end, pool=POOL)
    return recipe.front_end


def settings_of(recipe: Recipe, seed: int, options: argparse.Namespace) -> TrainSettings:
    settings: TrainSettings = recipe.settings(
        dataset=options.dataset,
        output=options.output / f"{recipe.name}-{seed}",
        name=recipe.name,
        tags=magnatagatune.TAGS,
        features=options.features,
        front_end=pooled(recipe),
        architecture=divided(recipe.network, options.divide),
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        crop=1.0 if along_frequency(recipe) else options.crop,
        n_variants=1,
        seed=seed,
        bfloat16=options.bfloat16,
        resume=True,
        save_every_s=60,
    )
    return settings


# ---------------------------------------------------------------- one row


def measured(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train one row and judge it; everything that the table says of it."""
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    recipe = recipes.read(name)
    settings = settings_of(recipe, seed, options)
    spent: list[float] = []
    model = train(settings, tell=_clock(spent))
    record = json.loads((settings.output / "run.json").read_text())
    whole = open_dataset(settings.dataset)
    speed = seconds_per_segment(recipe, whole.only(settings.tags)) if seed == 0 else {}
    return {
        "recipe": name,
        "seed": seed,
        "divide": options.divide,
        "epochs": options.epochs,
        "crop": settings.crop,
        "learning_rate": options.learning_rate,
        "bfloat16": options.bfloat16,
        "n_examples": record["data"]["n_train"],
        "parameters": counted(recipe.network, len(settings.tags)),
        "trained_parameters": record["n_parameters_paper"],
        **judged(model, settings, whole.only(settings.tags)),
        "validation": record["validation"],
        "epoch_s": float(np.median(spent)) if spent else None,
        "memory_gb": timing.peak_memory_gb(),
        **speed,
    }


def counted(network: AnyArchitecture, n_tags: int) -> int:
    with torch.device("meta"):
        return make(replace(network, n_tags=n_tags)).n_parameters(paper=True)


def _clock(spent: list[float]) -> Callable[[object], None]:
    """What notes the seconds of work that each epoch took."""
    last = [time.process_time()]

    def tell(news: object) -> None:
        now = time.process_time()
        if isinstance(news, EpochResult):
            spent.append(now - last[0])
            print(f"  epoch {news.epoch}: ROC-AUC {news.roc_auc:.4f}", file=sys.stderr, flush=True)
        last[0] = now

    return tell


def judged(model: Path, settings: TrainSettings, dataset: DataSet) -> dict[str, Any]:
    """Segments against the data set's labels, whole tracks against people's genres."""
    assert settings.features is not None
    features = prepare(dataset, settings.front_end, settings.features, kinds=settings.variants)
    found = checkpoint.read(model)
    rows = [
        row
        for split in ("validation", "test")
        for row in dataset.rows(split)
        if dataset.examples[row].id not in features.broken
    ]
    heard = hear(found.network(), Examples(dataset, features, rows, torch.device("cpu")))
    macro = judge(heard, dataset, rows, vocabulary=found.vocabulary).to_json()["macro"]
    names = ("roc_auc", "pr_auc")
    return {
        "taggers": {key: macro[key] for name in names for key in (name, f"{name}_95")},
        "people": by_people(heard.astype(np.float64), dataset, rows),
        "n_judged": len(rows),
    }


def by_people(heard: NDArray[np.float64], dataset: DataSet, rows: Sequence[int]) -> dict[str, Any]:
    """Whole tracks against the genres that people gave: the mean over genres with ENOUGH tracks."""
    examples = [dataset.examples[row] for row in rows]
    table, names = by_track(heard, [example.track for example in examples])
    said = {example.track: example.people for example in examples}
    vocabulary = for_tags(dataset.tags)
    found: dict[str, list[Table]] = {"roc_auc": [], "pr_auc": []}
    weights = resampled(names, N_RESAMPLES)
    for tag in (tag for value in vocabulary.in_field("GENRE") for tag in value.tags):
        given = [carries(tag, said[name]) for name in names]
        known = [i for i, yes in enumerate(given) if yes is not None]
        positive: Mask = np.array([bool(given[i]) for i in known])
        if positive.sum() < ENOUGH:
            continue
        values = table[known, dataset.tags.index(tag)]
        found["roc_auc"].append(roc_aucs(values, positive, weights[:, known]))
        found["pr_auc"].append(pr_aucs(values, positive, weights[:, known]))
    result: dict[str, Any] = {"n_genres": len(found["roc_auc"])}
    for name, of_genres in found.items():
        averages = np.array([mean(column) for column in np.array(of_genres).T])
        result[name] = float(averages[0])
        result[f"{name}_95"] = list(interval(averages[1:]))
    return result


def seconds_per_segment(recipe: Recipe, dataset: DataSet) -> dict[str, float]:
    """How long one core hears 29 s with the paper's size, as a scan does; weights are random."""
    network = make(replace(recipe.network, n_tags=len(dataset.tags))).eval()
    network.initialise()
    with tempfile.TemporaryDirectory() as directory:
        ear = checkpoint.save(
            Path(directory),
            network,
            front_end=recipe.front_end,
            tags=dataset.tags,
            vocabulary=for_tags(dataset.tags),
            name=recipe.name,
            training={},
        ).load("cpu", batch_size=N_SEGMENTS)
    shape = N_SEGMENTS, recipe.front_end.n_samples
    segments = np.random.default_rng(0).normal(0, 0.1, shape).astype(np.float32)
    took = []
    for _ in range(1 + N_RUNS):
        began = time.process_time()
        ear.hear(segments)
        took.append(time.process_time() - began)
    return {"segment_s": min(took[1:]) / N_SEGMENTS}


# ---------------------------------------------------------------- all rows


def results(output: Path) -> list[dict[str, Any]]:
    path = output / RESULTS
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def table(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Markdown, a line for each recipe that has results."""
    lines = [
        "| recipe | parameters | paper | paper's ROC-AUC | taggers: ROC-AUC | PR-AUC "
        "| people: ROC-AUC | PR-AUC | seeds | s per epoch | GB | scan, × real time |",
        f"|---|{'---|' * 11}",
    ]
    for name in (*ROWS, *FURTHER):
        some = [one for one in found if one["recipe"] == name]
        if some:
            lines.append(_line(recipes.read(name), sorted(some, key=lambda one: one["seed"])))
    return lines


def _line(recipe: Recipe, some: Sequence[Mapping[str, Any]]) -> str:
    paper, first = recipe.paper, some[0]
    cells = [
        recipe.name,
        f"{first['parameters']:,}",
        f"{paper.parameters:,}K" if paper and paper.parameters else "",
        f"{paper.roc_auc:.3f}" if paper and paper.roc_auc else "",
        *(_score(some, by, name) for by in ("taggers", "people") for name in ("roc_auc", "pr_auc")),
        str(len(some)),
        f"{np.mean([one['epoch_s'] for one in some if one['epoch_s']]):.0f}",
        f"{max(one['memory_gb'] for one in some):.1f}",
        f"{29 / first['segment_s']:.0f}" if "segment_s" in first else "",
    ]
    return f"| {' | '.join(cells)} |"


def _score(some: Sequence[Mapping[str, Any]], by: str, name: str) -> str:
    low, high = some[0][by][f"{name}_95"]
    return f"{np.mean([one[by][name] for one in some]):.3f} ({low:.3f}-{high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--divide", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--crop", type=float, default=1.0)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--only", nargs="*", default=[*ROWS, *FURTHER], metavar="NAME")
    parser.add_argument("--print", action="store_true", help="print the table and train nothing")
    parser.add_argument("--row", nargs=2, metavar=("NAME", "SEED"), help="train this one, here")
    options = parser.parse_args()

    options.output.mkdir(parents=True, exist_ok=True)
    if options.row:
        name, seed = options.row
        line = json.dumps(measured(name, int(seed), options))
        with (options.output / RESULTS).open("a") as file:
            file.write(line + "\n")
        return
    for seed in range(options.seeds):
        for name in options.only:
            done = {(one["recipe"], one["seed"]) for one in results(options.output)}
            if options.print or (name, seed) in done:
                continue
            print(f"{name}, seed {seed} …", file=sys.stderr, flush=True)
            subprocess.run([sys.executable, *sys.argv, "--row", name, str(seed)], check=True)
    print("\n".join(table(results(options.output))))


if __name__ == "__main__":
    main()
