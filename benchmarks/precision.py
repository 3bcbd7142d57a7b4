"""Whether anything that is computed less exactly than it could be moves a decision.

    python benchmarks/precision.py --dataset DIR [--splits validation test] [--json]

Every segment of a data set's splits is heard several times: with the front end
at high exactness or as it is, in torch (as on a GPU) or on kernels (as on a CPU),
and with the network in float32 by torch, or on kernels, with or without the
products in bfloat16 of a CPU with AMX. For each: how far probabilities move from
those of the most exact one at most and on average, and on how many segments and
tracks other values would be written.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from musictag import decision
from musictag.config import Settings
from musictag.errors import FileError
from musictag.hearing import checkpoint
from musictag.hearing.checkpoint import Checkpoint
from musictag.hearing.kernels import mkl
from musictag.hearing.kernels.choice import choose
from musictag.hearing.network.core import CoreNetwork, can
from musictag.hearing.scattering.core import CoreScattering
from musictag.hearing.scattering.plan import FrontEnd
from musictag.hearing.scattering.torch import Scattering
from musictag.training.dataset import DataSet, Example
from musictag.training.folder import read_folder
from musictag.training.reading import read_samples
from musictag.training.scores import by_track

BATCH = 16
Table = NDArray[np.float64]
Real = NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    split: str
    arithmetic: str
    most: float
    """Of all differences between probabilities."""
    mean: float
    n_segments: int
    n_segments_changed: int
    n_tracks: int
    n_tracks_changed: int


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--splits", nargs="+", default=["validation", "test"])
    parser.add_argument("--model", help="name or directory (default: the bundled model)")
    parser.add_argument("--json", action="store_true", help="print one JSON list")
    arguments = parser.parse_args()
    found = checkpoint.find(arguments.model)
    dataset = read_folder(arguments.dataset)
    rows = [row for split in arguments.splits for row in measure(found, dataset, split)]
    print(json.dumps([asdict(row) for row in rows], indent=1) if arguments.json else table(rows))


def measure(found: Checkpoint, dataset: DataSet, split: str) -> Iterator[Row]:
    """Everything against the most exact, which comes first."""
    heard, examples = hear(found, [dataset.examples[row] for row in dataset.rows(split)])
    names = list(heard)
    wanted = heard[names[0]]
    tracks = [example.track for example in examples]
    for name in names[1:]:
        difference = np.abs(heard[name] - wanted)
        by_tracks = [by_track(probabilities, tracks)[0] for probabilities in (heard[name], wanted)]
        yield Row(
            split,
            name,
            float(difference.max()),
            float(difference.mean()),
            len(wanted),
            n_changed(found, heard[name], wanted),
            len(by_tracks[0]),
            n_changed(found, *by_tracks),
        )


@torch.inference_mode()
def hear(
    found: Checkpoint, examples: Sequence[Example]
) -> tuple[Mapping[str, Table], Sequence[Example]]:
    """Arithmetic → (n, K) probabilities, and the examples that could be read."""
    tagger = found.network()
    sizes = tagger.architecture
    if not can(sizes):
        raise SystemExit(f"{found.name}: there is one arithmetic for such a network, torch's")
    weights = {name: tensor.numpy() for name, tensor in tagger.state_dict().items()}
    exact, fast = (
        Scattering(FrontEnd(**{**found.front_end, "exactness": exactness}))
        for exactness in ("high", "fast")
    )

    def in_torch(coefficients: Real) -> Real:
        probabilities: Real = tagger(torch.from_numpy(coefficients)).sigmoid().numpy()
        return probabilities

    def on_core(library: str) -> Callable[[Tensor], Tensor]:
        kernels = choose(transforms=library, products=library)
        front_end = CoreScattering(FrontEnd(**found.front_end), kernels=kernels)
        return lambda batch: torch.from_numpy(np.stack([front_end(x) for x in batch.numpy()]))

    def network(library: str, bfloat16: bool = False) -> Callable[[Real], Real]:
        kernels = choose(products=library)
        core = CoreNetwork(sizes, weights, kernels=kernels, bfloat16=bfloat16)
        return lambda coefficients: core(coefficients).probabilities

    front_ends: dict[str, Callable[[Tensor], Tensor]]
    front_ends = {"exact": exact, "torch": fast, "portable": on_core("portable")}
    networks: dict[str, tuple[str, Callable[[Real], Real]]] = {
        "front end at high exactness, float32": ("exact", in_torch),
        "torch": ("torch", in_torch),
        "SciPy and NumPy": ("portable", network("portable")),
    }
    if mkl.is_there():
        front_ends["mkl"] = on_core("mkl")
        networks["oneMKL, float32"] = "mkl", network("mkl")
        networks["oneMKL, bfloat16 (AMX)"] = "mkl", network("mkl", bfloat16=True)
    heard: dict[str, list[Real]] = {name: [] for name in networks}
    read: list[Example] = []
    for batch in batches(examples, read):
        coefficients = {name: front_end(batch).numpy() for name, front_end in front_ends.items()}
        for name, (front_end, judged) in networks.items():
            heard[name].append(judged(coefficients[front_end]))
    return {name: np.concatenate(some).astype(float) for name, some in heard.items()}, read


def batches(examples: Sequence[Example], read: list[Example]) -> Iterator[Tensor]:
    """(B, N) samples; `read` is told whose."""
    batch: list[Tensor] = []
    for example in examples:
        try:
            batch.append(torch.from_numpy(read_samples(example)))
        except FileError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        read.append(example)
        if len(batch) == BATCH:
            yield torch.stack(batch)
            batch = []
    if batch:
        yield torch.stack(batch)


def n_changed(found: Checkpoint, ours: Table, wanted: Table) -> int:
    return sum(
        chosen(found, ours_row) != chosen(found, wanted_row)
        for ours_row, wanted_row in zip(ours.tolist(), wanted.tolist(), strict=True)
    )


def chosen(found: Checkpoint, row: Sequence[float]) -> Mapping[str, tuple[str, ...]]:
    probabilities = dict(zip(found.tags, row, strict=True))
    return decision.choose(probabilities, found.vocabulary, limits=Settings().limits)


def table(rows: Sequence[Row]) -> str:
    lines = [
        "differences from the front end at high exactness with the network in float32",
        f"{'split':12}{'arithmetic':34}{'most':>9}{'mean':>9}  other values on",
    ]
    lines += [
        f"{row.split:12}{row.arithmetic:34}{row.most:9.1e}{row.mean:9.1e}  "
        f"{row.n_segments_changed} of {row.n_segments} segments, "
        f"{row.n_tracks_changed} of {row.n_tracks} tracks"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
