"""The folder layout of a data set.

clips.csv           id, file, start, duration, track and split; optionally genre, people,
                    quadrant, moods, kind and voice. One line per example, seconds inside
                    the file, files relative to the directory. Other columns are ignored.
soft_labels.csv     id and one column per tag, probabilities
tag_statistics.csv  optional: tag, share of all music that carries it
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from musictag.errors import DataSetError, system_trouble
from musictag.training.dataset import QUADRANTS, SPLITS, DataSet, Example

CLIPS, LABELS, STATISTICS = "clips.csv", "soft_labels.csv", "tag_statistics.csv"
VOICE = {"yes": True, "no": False, "": None}
"""Values of the column voice and what they mean."""


def read_folder(directory: Path) -> DataSet:
    """Read the folder data set in `directory`; DataSetError names the table that is wrong.

    Audio is not looked at. A tag that tag_statistics.csv does not name is as
    common as its mean label on the training split.
    """
    clips, labelled = directory / CLIPS, directory / LABELS
    tags, labels_of = _read_labels(labelled)
    examples = tuple(_read_clips(clips, directory))
    if not examples:
        raise DataSetError(f"{clips}: no examples")
    _check(examples, labels_of, clips, labelled)
    labels = np.array([labels_of[example.id] for example in examples], dtype=np.float32)
    training = np.array([example.split == "train" for example in examples])
    mean = labels[training].mean(axis=0) if training.any() else labels.mean(axis=0)
    shares = dict(zip(tags, mean.tolist(), strict=True))
    if (directory / STATISTICS).exists():
        known = _read_shares(directory / STATISTICS)
        shares = {tag: known.get(tag, share) for tag, share in shares.items()}
    return DataSet(directory, tags, examples, labels, shares)


def _read_clips(path: Path, directory: Path) -> Iterator[Example]:
    for line, row in _rows(path, ("id", "file", "start", "duration", "track", "split")):
        start_s = _number(row["start"], path, line)
        duration_s = _number(row["duration"], path, line)
        if not (start_s >= 0 and duration_s > 0):
            raise DataSetError(f"{path}:{line}: starts at {start_s} s, lasts {duration_s} s")
        if row["split"] not in SPLITS:
            raise DataSetError(f"{path}:{line}: split is {row['split']!r}")
        quadrant = row.get("quadrant", "").strip()
        if quadrant and quadrant not in QUADRANTS:
            raise DataSetError(f"{path}:{line}: quadrant is {quadrant!r}, not Q1 to Q4")
        voice = row.get("voice", "").strip()
        if voice not in VOICE:
            raise DataSetError(f"{path}:{line}: voice is {voice!r}, not yes, no or empty")
        yield Example(
            id=row["id"],
            path=directory / row["file"],
            start_s=start_s,
            duration_s=duration_s,
            track=row["track"],
            split=row["split"],
            genre=row.get("genre", ""),
            people=tuple(
                frozenset(_words(some, "|"))
                for some in _words(row.get("people", row.get("genre", "")))
            ),
            quadrant=quadrant,
            moods=_words(row.get("moods", "")),
            kind=row.get("kind", "").strip(),
            voice=VOICE[voice],
        )


def _words(text: str, separator: str = ";") -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(separator) if word.strip())


def _read_labels(path: Path) -> tuple[tuple[str, ...], dict[str, list[float]]]:
    tags: tuple[str, ...] = ()
    labels: dict[str, list[float]] = {}
    for line, row in _rows(path, ("id",)):
        tags = tuple(name for name in row if name != "id")
        values = [_number(row[tag], path, line) for tag in tags]
        if not all(0 <= value <= 1 for value in values):
            raise DataSetError(f"{path}:{line}: a label is not between 0 and 1")
        labels[row["id"]] = values
    if not tags:
        raise DataSetError(f"{path}: no labels")
    return tags, labels


def _read_shares(path: Path) -> dict[str, float]:
    return {
        row["tag"]: _number(row["share"], path, line) for line, row in _rows(path, ("tag", "share"))
    }


def _number(text: str, path: Path, line: int) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise DataSetError(f"{path}:{line}: {text!r} is not a number") from error


def _rows(path: Path, needed: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines of a table with their numbers; one with too few columns is an error."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in needed if name not in (reader.fieldnames or ())]
            if missing:
                raise DataSetError(f"{path}: no column {', '.join(missing)}")
            for row in reader:
                if None in row or None in row.values():
                    raise DataSetError(f"{path}:{reader.line_num}: wrong number of columns")
                yield reader.line_num, row
    except OSError as error:
        raise DataSetError(f"{path}: {system_trouble(error).reason}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataSetError(f"{path}: {error}") from error


def _check(
    examples: tuple[Example, ...],
    labels: Mapping[str, list[float]],
    clips: Path,
    labelled: Path,
) -> None:
    """Every example once, with labels, and no track on both sides of a split."""
    seen: set[str] = set()
    split_of: dict[str, str] = {}
    for example in examples:
        if example.id in seen:
            raise DataSetError(f"{clips}: {example.id} is there twice")
        seen.add(example.id)
        if example.id not in labels:
            raise DataSetError(f"{labelled}: no labels for {example.id}")
        if split_of.setdefault(example.track, example.split) != example.split:
            raise DataSetError(f"{clips}: track {example.track} is in two splits")
