"""What a model learns from: stretches of music with a probability for every tag.

A folder data set is a directory with

    clips.csv           id, file, start, duration, track, split and optionally genre;
                        one line per example, seconds inside the file, files relative
                        to the directory; other columns are for people
    soft_labels.csv     id and one column per tag, probabilities
    tag_statistics.csv  optional: tag, share of clips that carry it
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from musictag.errors import AudioError, DataSetError

SPLITS = ("train", "validation", "test")
CLIPS, LABELS = "clips.csv", "soft_labels.csv"


@dataclass(frozen=True)
class Example:
    """One training item: at most a segment's length of one file's music."""

    id: str
    path: Path
    start_s: float
    duration_s: float
    track: str  # excerpts of one recording share it; no track is in two splits
    split: str
    genre: str = ""  # given by people, where known


@dataclass(frozen=True)
class DataSet:
    """Examples and their labels, row by row."""

    directory: Path
    tags: tuple[str, ...]
    examples: tuple[Example, ...]
    labels: NDArray[np.float32]  # (n_examples, K)
    shares: Mapping[str, float]  # tag → share of all music that carries it
    untagged: Mapping[str, int] = field(default_factory=dict)
    """Split → clips that were dropped because they carry none of the tags."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """Id → why a clip that is known to be broken was left out."""

    def rows(self, split: str) -> list[int]:
        """Where the examples of one split stand, in order."""
        if split not in SPLITS:
            raise DataSetError(f"there is no split {split!r}, only {', '.join(SPLITS)}")
        return [i for i, example in enumerate(self.examples) if example.split == split]

    def digest(self) -> str:
        """Identity of what can be learned here: examples, splits and labels, not the audio."""
        state = hashlib.sha256(json.dumps(self.tags).encode())
        for example in self.examples:
            state.update(json.dumps({**asdict(example), "path": example.path.name}).encode())
        state.update(np.ascontiguousarray(self.labels).tobytes())
        return state.hexdigest()


def open_dataset(directory: Path) -> DataSet:
    """The data set in `directory`, of either layout: this module's or MagnaTagATune's."""
    from musictag.training import magnatagatune  # noqa: PLC0415  # it makes our DataSet

    if magnatagatune.is_in(directory):
        return magnatagatune.read(directory)
    if not directory.is_dir():
        raise DataSetError(f"{directory}: there is no such folder")
    if not (directory / CLIPS).exists():
        raise DataSetError(
            f"{directory}: not a data set: neither {CLIPS} nor {magnatagatune.ANNOTATIONS} is in it"
        )
    return read_folder(directory)


def read_folder(directory: Path) -> DataSet:
    """The folder data set in `directory`. Audio is not looked at; a wrong table is named."""
    clips, labelled = directory / CLIPS, directory / LABELS
    tags, labels_of = _read_labels(labelled)
    examples = tuple(_read_clips(clips, directory))
    if not examples:
        raise DataSetError(f"{clips}: no examples")
    _check(examples, labels_of, clips, labelled)
    labels = np.array([labels_of[example.id] for example in examples], dtype=np.float32)
    statistics = directory / "tag_statistics.csv"
    if statistics.exists():
        shares = _read_shares(statistics, tags)
    else:  # the labels' own word for it
        training = np.array([example.split == "train" for example in examples])
        mean = labels[training].mean(axis=0) if training.any() else labels.mean(axis=0)
        shares = dict(zip(tags, mean.tolist(), strict=True))
    return DataSet(directory, tags, examples, labels, shares)


def _read_clips(path: Path, directory: Path) -> Iterator[Example]:
    for line, row in _rows(path, ("id", "file", "start", "duration", "track", "split")):
        start_s = _number(row["start"], path, line)
        duration_s = _number(row["duration"], path, line)
        if not (start_s >= 0 and duration_s > 0):
            raise DataSetError(f"{path}:{line}: starts at {start_s} s, lasts {duration_s} s")
        if row["split"] not in SPLITS:
            raise DataSetError(f"{path}:{line}: split is {row['split']!r}")
        yield Example(
            id=row["id"],
            path=directory / row["file"],
            start_s=start_s,
            duration_s=duration_s,
            track=row["track"],
            split=row["split"],
            genre=row.get("genre") or "",
        )


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


def _read_shares(path: Path, tags: tuple[str, ...]) -> dict[str, float]:
    shares = {
        row["tag"]: _number(row["share"], path, line) for line, row in _rows(path, ("tag", "share"))
    }
    if missing := [tag for tag in tags if tag not in shares]:
        raise DataSetError(f"{path}: no share for {', '.join(missing)}")
    return {tag: shares[tag] for tag in tags}


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
        raise DataSetError(f"{path}: {error.strerror}") from error
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


def read_samples(example: Example) -> NDArray[np.float32]:
    """One segment's samples, decoded and padded as a scan would do it: (SEGMENT_LENGTH,).

    Raises AudioError, also where the file ends more than half a second before the example does.
    """
    from musictag.audio.track import RATE_HZ, SEGMENT_LENGTH, Track  # noqa: PLC0415 (not where features are)

    start = round(example.start_s * RATE_HZ)
    wanted = min(round(example.duration_s * RATE_HZ), SEGMENT_LENGTH)
    segment = np.zeros(SEGMENT_LENGTH, dtype=np.float32)
    position = 0
    for block in Track(example.path).samples():
        first, last = max(start, position), min(start + wanted, position + len(block))
        if first < last:
            segment[first - start : last - start] = block[first - position : last - position]
        position += len(block)
        if position >= start + wanted:
            break
    if position < start + wanted - RATE_HZ // 2:
        reason = f"ends at {position / RATE_HZ:.1f} s, before example {example.id} does"
        raise AudioError(example.path, "truncated", reason)
    return segment
