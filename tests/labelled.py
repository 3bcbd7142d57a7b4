"""Folder data sets made on the spot, with or without sound."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from musictag.training.dataset import DataSet, Example

TAGS = ("rock", "classical", "no vocals")


def write_folder(
    directory: Path, rows: list[dict[str, object]], labels: list[list[float]], tags=TAGS
) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    columns = ["id", "file", "start", "duration", "track", "split", "genre"]
    with (directory / "clips.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    with (directory / "soft_labels.csv").open("w", newline="") as file:
        writer_ = csv.writer(file)
        writer_.writerow(["id", *tags])
        writer_.writerows([row["id"], *values] for row, values in zip(rows, labels, strict=True))
    return directory


def clip(name: str, split: str = "train", **other: object) -> dict[str, object]:
    row = {"id": name, "file": f"{name}.wav", "start": 0, "duration": 29, "track": name}
    return {**row, "split": split, "genre": "", **other}


def data_set(labels: list[list[float]], *, tracks: str = "", shares=(0.5, 0.5, 0.5)) -> DataSet:
    """Examples of a validation split, one track each unless `tracks` spells them."""
    tracks = tracks or "".join(chr(97 + i) for i in range(len(labels)))
    examples = tuple(
        Example(f"{i}", Path(f"{i}.wav"), 0, 29, track, "validation")
        for i, track in enumerate(tracks)
    )
    shares_ = dict(zip(TAGS, shares, strict=True))
    return DataSet(Path(), TAGS, examples, np.array(labels, dtype=np.float32), shares_)
