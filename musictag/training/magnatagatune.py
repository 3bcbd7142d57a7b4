"""MagnaTagATune as it is published: 25,863 clips of 29 s that people tagged in a game.

    DIR/annotations_final.csv   clip_id, 188 tags as 0 or 1, mp3_path; tab-separated
    DIR/clip_info_final.csv     clip_id, track_number, title, artist, album … mp3_path
    DIR/0 … DIR/f               clips, an album always in one folder
    DIR/mp3.zip.001 … 003       the same folders as one archive in three parts

What everybody reports on is the 50 most frequent tags and the split by folder,
12 : 1 : 3. `read` gives that; `fetch` brings whatever is not there yet.

Law, West, Mandel, Bay and Downie, "Evaluation of algorithms using games: the
case of music tagging", ISMIR 2009.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from musictag.errors import DataSetError
from musictag.training import download
from musictag.training.dataset import DataSet, Example

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

NAME = "mtat"
SOURCE = "https://mirg.city.ac.uk/datasets/magnatagatune"
LICENCE = "CC BY-NC-SA 3.0 (non-commercial use, share alike); the music is Magnatune's"
ANNOTATIONS = "annotations_final.csv"
CLIP_INFO = "clip_info_final.csv"
PARTS = {
    "mp3.zip.001": 1_100_000_000,
    "mp3.zip.002": 1_100_000_000,
    "mp3.zip.003": 772_769_864,
}
"""The archive, and its size to announce; what counts is what the server says."""
ABSENT = "without-sound.txt"
"""What the archive was found not to hold, so that it is not asked for again."""
CLIP_S = 29.0

TAGS = (
    *("guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast"),
    *("piano", "ambient", "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male"),
    *("singing", "vocals", "no vocals", "harpsichord", "loud", "quiet", "flute", "woman"),
    *("male vocal", "no vocal", "pop", "soft", "sitar", "solo", "man", "classic", "choir", "voice"),
    *("new age", "dance", "male voice", "female vocal", "beats", "harp", "cello", "no voice"),
    *("weird", "country", "metal", "female voice", "choral"),
)
"""The 50 most frequent, in the order in which published taggers give them; none merged."""

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
"""Clips that came without sound."""

_CLIP_PATH = re.compile(r"[0-9a-f]/[^/\\\0]+\.mp3")


# ---------------------------------------------------------------- reading


def is_in(directory: Path) -> bool:
    """Whether this folder is laid out like MagnaTagATune."""
    return (directory / ANNOTATIONS).is_file()


def read(directory: Path) -> DataSet:
    """The 50 tags as 0 or 1, clips without any of them dropped, in the split by folder.

    `track` is the recording that a clip was cut from. The audio is not looked
    at: what cannot be read is left out where it is read. How common a tag is,
    the training clips say.
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
    """The 50 tags we know are the most frequent ones of this file; otherwise it is another."""
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
    """Line numbers and cells. Old titles may be in any encoding; they only have to differ."""
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file, delimiter="\t")
            for row in reader:
                yield reader.line_num, row
    except (OSError, csv.Error) as error:
        raise DataSetError(f"{path}: {error}") from error


# ---------------------------------------------------------------- fetching


@dataclass(frozen=True)
class Beginning:
    """What is going to be fetched, before anything is. Sizes in bytes, as once published."""

    directory: Path
    source: str
    download_size: int
    disk_size: int  # archive and clips, as far as they are not there
    licence: str = LICENCE


@dataclass(frozen=True)
class Fetched:
    """So many bytes of a file are there, of so many (None: the server does not say)."""

    name: str
    done: int
    total: int | None


@dataclass(frozen=True)
class Unpacked:
    """So many clips are out of the archive, of so many that were not."""

    done: int
    total: int


Tell = Callable[["Beginning | Fetched | Unpacked"], None]


def directory_of(name: str) -> Path | None:
    """Where `mtat` or `mtat:DIR` means; None for any other name of a data set."""
    if name == NAME:
        import platformdirs  # noqa: PLC0415  # not where only features are

        return Path(platformdirs.user_data_dir("musictag", appauthor=False), NAME)
    kind, _, directory = name.partition(":")
    return Path(directory) if kind == NAME and directory else None


def fetch(directory: Path, *, source: str, tell: Tell) -> None:
    """Download and unpack what is not in `directory` yet; nothing happens when all is.

    May be killed at any time and called again: downloads go on where they were,
    clips that are there are not unpacked again. The archive's parts stay (they
    may be somebody's own copy); nobody needs them afterwards. DataSetError where
    there is no network, no room, or a damaged archive.
    """
    try:
        if is_in(directory) and not _missing(directory):
            return
        to_download = sum(size for name, size in PARTS.items() if not (directory / name).exists())
        to_download -= sum(_partial_sizes(directory))
        tell(Beginning(directory, source, to_download, to_download + sum(PARTS.values())))
        directory.mkdir(parents=True, exist_ok=True)
        for name in (CLIP_INFO, ANNOTATIONS):
            _download(directory, name, source, tell)
        _fetch_parts(directory, source, tell)
        unpack(directory, tell=tell)
    except OSError as error:
        raise DataSetError(f"{directory}: {error}") from error


def _missing(directory: Path) -> list[str]:
    """The clips that are annotated and not there. An empty file is none, but where it came so."""
    there = {
        f"{folder}/{path.name}"
        for folder in SPLIT_OF_FOLDER
        if (directory / folder).is_dir()
        for path in (directory / folder).iterdir()
        if path.stat().st_size > 0
    }
    absent = directory / ABSENT
    there |= set(absent.read_text("utf-8").splitlines()) if absent.exists() else set()
    annotated = [path for _, path, _ in _read_annotations(directory / ANNOTATIONS)]
    return [path for path in annotated if path not in there and path not in BROKEN]


def _partial_sizes(directory: Path) -> list[int]:
    """Of the parts whose download has begun."""
    kept = [download.partial(directory / name) for name in PARTS]
    return [path.stat().st_size for path in kept if path.exists()]


def _fetch_parts(directory: Path, source: str, tell: Tell) -> None:
    left = [name for name in PARTS if not (directory / name).exists()]
    if not left:
        return
    sizes = [download.size(f"{source}/{name}") or 0 for name in PARTS]
    to_come = sum(size for size, name in zip(sizes, PARTS, strict=True) if name in left)
    to_come -= sum(_partial_sizes(directory))
    # Clips hardly shrink in an archive: unpacked they take what it takes.
    _check_room(directory, to_come + sum(sizes))
    for name in left:
        _download(directory, name, source, tell)


def _download(directory: Path, name: str, source: str, tell: Tell) -> None:
    if not (directory / name).exists():
        download.fetch(
            f"{source}/{name}",
            directory / name,
            tell=lambda done, total: tell(Fetched(name, done, total)),
        )


def unpack(directory: Path, *, tell: Tell) -> None:
    """The annotated clips out of the archive, each whole or not at all; nothing else."""
    missing = set(_missing(directory))
    parts = [directory / name for name in PARTS]
    try:
        with Joined(parts) as joined, zipfile.ZipFile(io.BufferedReader(joined)) as archive:
            members = [member for member in archive.infolist() if member.filename in missing]
            _check_room(directory, sum(member.file_size for member in members))
            for n_done, member in enumerate(members, start=1):
                _unpack_one(archive, member, directory / member.filename)
                if n_done % 100 == 0 or n_done == len(members):
                    tell(Unpacked(n_done, len(members)))
        if absent := _missing(directory):
            (directory / ABSENT).write_text("\n".join(absent), "utf-8")
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError) as error:
        raise DataSetError(
            f"{parts[0]} to {parts[-1].suffix}: the archive is damaged ({error}); "
            "delete its parts to download them again"
        ) from error


def _unpack_one(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    """`path` is a name that the annotations gave, so it stays below the data set's folder."""
    path.parent.mkdir(exist_ok=True)
    temporary = download.partial(path)
    with archive.open(member) as packed, temporary.open("wb") as file:
        shutil.copyfileobj(packed, file)  # checks the CRC at its end
    temporary.replace(path)


def _check_room(directory: Path, needed: int) -> None:
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise DataSetError(
            f"{directory}: no room: {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free"
        )


class Joined(io.RawIOBase):
    """Files one after the other, as one to read: the archive without a copy of it."""

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__()
        self._files = [path.open("rb") for path in paths]
        self._sizes = [path.stat().st_size for path in paths]
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: sum(self._sizes)}
        self._position = max(0, start[whence] + offset)
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        """As much as is asked for, or up to where a part ends; 0 at the end of the last."""
        inside = self._position
        for file, size in zip(self._files, self._sizes, strict=True):
            if inside < size:
                file.seek(inside)
                n = file.readinto(buffer)
                self._position += n
                return n
            inside -= size
        return 0

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()
