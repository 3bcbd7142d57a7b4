"""MagnaTagATune as it is published: 25,863 clips of 29 s that people tagged in a game.

    DIR/annotations_final.csv   clip_id, 188 tags as 0 or 1, mp3_path; tab-separated
    DIR/clip_info_final.csv     clip_id, track_number, title, artist, album … mp3_path
    DIR/0 … DIR/f               clips, an album always in one folder
    DIR/mp3.zip.001 … 003       the same folders as one archive in three parts

Results are usually reported on the 50 most frequent tags and a split by folder,
12 : 1 : 3, which is what `read` gives. `archive.fetch` downloads what is missing.

Law, West, Mandel, Bay and Downie, "Evaluation of algorithms using games: the
case of music tagging", ISMIR 2009.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from musictag.errors import DataSetError
from musictag.training.dataset import DataSet, Example

NAME = "mtat"
ANNOTATIONS = "annotations_final.csv"
CLIP_INFO = "clip_info_final.csv"
CLIP_S = 29.0

TAGS = (
    *("guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast"),
    *("piano", "ambient", "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male"),
    *("singing", "vocals", "no vocals", "harpsichord", "loud", "quiet", "flute", "woman"),
    *("male vocal", "no vocal", "pop", "soft", "sitar", "solo", "man", "classic", "choir", "voice"),
    *("new age", "dance", "male voice", "female vocal", "beats", "harp", "cello", "no voice"),
    *("weird", "country", "metal", "female voice", "choral"),
)
"""The 50 most frequent tags, unmerged, in the order of published taggers."""

SPLIT_OF_FOLDER: Mapping[str, str] = {
    **dict.fromkeys("0123456789ab", "train"),
    "c": "validation",
    **dict.fromkeys("def", "test"),
}

BROKEN = frozenset(
    {
        "6/norine_braun-now_and_zen-08-gently-117-146.mp3",
        "8/jacob_heringman-josquin_des_prez_lute_settings-19-gintzler__pater_noster-204-233.mp3",
        "9/american_baroque-dances_and_suites_of_rameau_and_couperin-25-"
        "le_petit_rien_xiveme_ordre_couperin-88-117.mp3",
    }
)
"""Paths of clips that were published without sound."""

_CLIP_PATH = re.compile(r"[0-9a-f]/[^/\\\0]+\.mp3")


def directory_of(name: str) -> Path | None:
    """The folder that `mtat` or `mtat:DIR` names; None for any other name of a data set."""
    if name == NAME:
        import platformdirs  # noqa: PLC0415  # not where only features are

        return Path(platformdirs.user_data_dir("musictag", appauthor=False), NAME)
    kind, _, directory = name.partition(":")
    return Path(directory) if kind == NAME and directory else None


def is_in(directory: Path) -> bool:
    """Whether this folder is laid out like MagnaTagATune."""
    return (directory / ANNOTATIONS).is_file()


def read(directory: Path) -> DataSet:
    """Read the 50 tags as 0 or 1 and the split by folder; clips without any tag are dropped.

    `track` is the recording that a clip was cut from. Audio is not looked at:
    undecodable clips are skipped later, when features are computed. A tag's
    share is that of the training clips that carry it.
    """
    clips = _read_annotations(directory / ANNOTATIONS)
    recordings = _read_recordings(directory / CLIP_INFO)
    examples, labels = [], []
    untagged = dict.fromkeys(("train", "validation", "test"), 0)
    broken = {}
    for id_, path, carried in clips:
        split = SPLIT_OF_FOLDER[path[0]]
        if path in BROKEN:
            broken[id_] = f"{path}: a clip that came without sound"
        elif not carried.any():
            untagged[split] += 1
        else:
            track = recordings.get(id_) or re.sub(r"-\d+-\d+\.mp3$", "", path[2:])
            examples.append(Example(id_, directory / path, 0.0, CLIP_S, track, split))
            labels.append(carried)
    if not examples:
        raise DataSetError(f"{directory / ANNOTATIONS}: no clip carries any of the 50 tags")
    table = np.array(labels, dtype=np.float32)
    training = np.array([example.split == "train" for example in examples])
    shares = (table[training] if training.any() else table).mean(axis=0)
    return DataSet(
        directory,
        TAGS,
        tuple(examples),
        table,
        dict(zip(TAGS, shares.tolist(), strict=True)),
        untagged=untagged,
        broken=broken,
    )


def annotated(directory: Path) -> list[str]:
    """The paths of all clips in the annotations, relative to the data set's folder."""
    return [path for _, path, _ in _read_annotations(directory / ANNOTATIONS)]


def _read_annotations(path: Path) -> list[tuple[str, str, NDArray[np.bool_]]]:
    """(clip_id, mp3_path, which of TAGS it carries) of every clip."""
    rows = _rows(path)
    _, header = next(rows, (0, []))
    if header[:1] != ["clip_id"] or header[-1:] != ["mp3_path"]:
        raise DataSetError(f"{path}: the columns are not clip_id, the tags, mp3_path")
    tags = header[1:-1]
    if missing := [tag for tag in TAGS if tag not in tags]:
        raise DataSetError(f"{path}: no column {', '.join(missing)}")
    names, cells = [], []
    for line, row in rows:
        if len(row) != len(header):
            raise DataSetError(f"{path}:{line}: {len(row)} columns, not {len(header)}")
        if not _CLIP_PATH.fullmatch(row[-1]):
            raise DataSetError(f"{path}:{line}: {row[-1]!r} is not a clip in a folder 0 to f")
        if not {*row[1:-1]} <= {"0", "1"}:
            raise DataSetError(f"{path}:{line}: a tag is neither 0 nor 1")
        names.append((row[0], row[-1]))
        cells.append([cell == "1" for cell in row[1:-1]])
    if not names:
        raise DataSetError(f"{path}: no clips")
    carried = np.array(cells)  # (n clips, all tags)
    _check_frequent(dict(zip(tags, carried.sum(axis=0).tolist(), strict=True)), path)
    ours = carried[:, [tags.index(tag) for tag in TAGS]]
    return [(*name, row) for name, row in zip(names, ours, strict=True)]


def _check_frequent(counts: Mapping[str, int], path: Path) -> None:
    """DataSetError unless our 50 tags are the most frequent ones: otherwise it is another file."""
    rarest = min(TAGS, key=lambda tag: counts[tag])
    for tag, count in counts.items():
        if tag not in TAGS and count > counts[rarest]:
            raise DataSetError(
                f"{path}: not MagnaTagATune as published: {tag!r} ({count} clips) is more "
                f"frequent than {rarest!r} ({counts[rarest]})"
            )


def _read_recordings(path: Path) -> dict[str, str]:
    """clip_id → what it was cut from; empty without the table, whose names the files bear too."""
    if not path.exists():
        return {}
    rows = _rows(path)
    _, header = next(rows, (0, []))
    wanted = ("artist", "album", "track_number", "title")
    if missing := [name for name in ("clip_id", *wanted) if name not in header]:
        raise DataSetError(f"{path}: no column {', '.join(missing)}")
    columns = [header.index(name) for name in wanted]
    id_ = header.index("clip_id")
    return {
        row[id_]: " / ".join(row[column] for column in columns)
        for _, row in rows
        if len(row) == len(header)
    }


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells. Old titles may be in any encoding; they only need to be distinct."""
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file, delimiter="\t")
            for row in reader:
                yield reader.line_num, row
    except (OSError, csv.Error) as error:
        raise DataSetError(f"{path}: {error}") from error
