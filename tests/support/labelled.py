"""Data sets in folders, made for tests, with or without sound."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import sounds

from musictag.hearing.network.architecture import Architecture
from musictag.hearing.scattering.plan import FrontEnd
from musictag.training import augment, features
from musictag.training.dataset import DataSet, Example
from musictag.training.settings import TrainSettings

TAGS = ("rock", "classical", "no vocals")


def write_folder(
    directory: Path, rows: list[dict[str, object]], labels: list[list[float]], tags=TAGS
) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with (directory / "clips.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
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


def write_audible(directory: Path) -> Path:
    """Three examples with audio: two stretches of one file, and one that is broken."""
    folder = directory / "data"
    folder.mkdir()
    tone = sounds.chord(40, rate_hz=16_000, channels=1)
    sounds.write(folder / "a.wav", "wav", tone, 16_000)
    (folder / "b.wav").write_bytes(b"RIFF, but then nothing")
    rows = [
        clip("a0", file="a.wav", track="a"),
        clip("a1", file="a.wav", track="a", start=10),
        clip("b", "validation"),
        clip("d", "validation", file="a.wav", start=0, duration=12),
    ]
    return write_folder(folder, rows, [[0.5, 0.1, 0.2]] * 4)


def write_learnable(directory: Path) -> TrainSettings:
    """A tiny data set without audio, whose features give the labels away.

    Coefficient k is high where tag k applies. Features are used although the audio is
    missing, as when training on another machine.
    """
    rng = np.random.default_rng(5)
    C, T, n = 6, 9, 40
    labels = (rng.random((n, 3)) < 0.4) * 0.8 + 0.1
    splits = ["train"] * 24 + ["validation"] * 16
    rows = [clip(f"c{i}", split) for i, split in enumerate(splits)]
    folder = write_folder(directory / "data", rows, labels.tolist())
    shares = (labels[24:] > 0.5).mean(axis=0)
    lines = [f"{tag},{share}" for tag, share in zip(TAGS, shares, strict=True)]
    (folder / "tag_statistics.csv").write_text("\n".join(["tag,share", *lines]))
    x = rng.normal(size=(n, C, T)) + 5
    x[:, :3] += 3 * labels[:, :, None]
    place = features.place(directory / "features", FrontEnd())
    place.mkdir(parents=True)
    np.save(place / "all.npy", x.astype(np.float16))
    shard = {
        "file": "all.npy",
        "variant": 0,
        "ids": [row["id"] for row in rows],
        "audio": [None] * n,
        "broken": {},
    }
    index = {
        "format": 1,
        "front_end": asdict(FrontEnd()),
        "responses": np.full((1 + augment.N_BANDS, C), 0.01).tolist(),
        "shards": [shard],
    }
    (place / "index.json").write_text(json.dumps(index))
    return TrainSettings(
        dataset=folder,
        output=directory / "run",
        features=directory / "features",
        epochs=4,
        batch_size=8,
        learning_rate=0.02,
        averaging=0.5,
        n_variants=1,
        half=False,
        save_every_s=0,
        architecture=Architecture(n_coefficients=C, n_units=8, n_layers=2, n_tags=3),
    )
