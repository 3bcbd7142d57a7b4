"""MagnaTagATune as it is published: 25,863 clips of 29 s that people tagged in a game.

    DIR/annotations_final.csv   clip_id, 188 tags as 0 or 1, mp3_path; tab-separated
    DIR/clip_info_final.csv     clip_id, track_number, title, artist, album … mp3_path
    DIR/0 … DIR/f               clips, an album always in one folder
    DIR/mp3.zip.001 … 003       the same folders as one archive in three parts

Results are usually reported on the 50 most frequent tags and a split by folder,
12 : 1 : 3, which is what `read` gives. Lists of the clips in each split have
been published as well, cleaned of what is short or silent; `read` takes them.
`archive.fetch` downloads what is missing.

Law, West, Mandel, Bay and Downie, "Evaluation of algorithms using games: the
case of music tagging", ISMIR 2009.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from musictag.errors import DataSetError, system_trouble
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

SPLIT_LISTS: Mapping[str, str] = {"train": "train", "valid": "validation", "test": "test"}
"""How the names of published lists begin → the split whose clips they name."""

_LISTED = re.compile(r"([0-9a-f]/[^'\"\t\r\n]+)\.(?:mp3|npy|wav)")
"""A clip in a list, whatever is around it: lines, columns or Python's text of a pickled list."""

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


def read(directory: Path, *, tags: Sequence[str] = (), split: Path | None = None) -> DataSet:
    """Read the 50 tags as 0 or 1 and the split by folder; clips without any tag are dropped.

    `tags`: more of the 188, which count as well. `split`: a folder with lists of the clips in each
    split, see `read_split`; clips that none names are left out.

    `track` is the recording that a clip was cut from. Audio is not looked at:
    undecodable clips are skipped later, when features are computed. A tag's
    share is that of the training clips that carry it.
    """
    table = _Table.read(directory / ANNOTATIONS)
    wanted = (*TAGS, *(tag for tag in tags if tag not in TAGS and tag in table.tags))
    split_of = read_split(split) if split else None
    recordings = _read_recordings(directory / CLIP_INFO)
    examples, labels = [], []
    untagged = dict.fromkeys(("train", "validation", "test"), 0)
    broken = {}
    for (id_, path), carried in zip(table.clips, table.of(wanted), strict=True):
        where = split_of.get(path[: -len(".mp3")]) if split_of else SPLIT_OF_FOLDER[path[0]]
        if where is None:
            continue
        if path in BROKEN:
            broken[id_] = f"{path}: a clip that came without sound"
        elif not carried.any():
            untagged[where] += 1
        else:
            track = recordings.get(id_) or re.sub(r"-\d+-\d+\.mp3$", "", path[2:])
            examples.append(Example(id_, directory / path, 0.0, CLIP_S, track, where))
            labels.append(carried)
    if not examples:
        named = f" and is named in {split}" if split else ""
        raise DataSetError(
            f"{directory / ANNOTATIONS}: no clip carries any of the {len(wanted)} tags{named}"
        )
    ours = np.array(labels, dtype=np.float32)
    training = np.array([example.split == "train" for example in examples])
    shares = (ours[training] if training.any() else ours).mean(axis=0)
    return DataSet(
        directory,
        wanted,
        tuple(examples),
        ours,
        dict(zip(wanted, shares.tolist(), strict=True)),
        untagged=untagged,
        broken=broken,
    )


def most_frequent(directory: Path, n: int) -> tuple[str, ...]:
    """The n tags that most clips carry, the most frequent first. DataSetError if it has fewer."""
    table = _Table.read(directory / ANNOTATIONS)
    if n > len(table.tags):
        raise DataSetError(f"{directory}: has {len(table.tags)} tags, not {n}")
    order = np.argsort(-table.carried.sum(axis=0), kind="stable")
    return tuple(table.tags[k] for k in order[:n])


def read_split(directory: Path) -> dict[str, str]:
    """Clip, without its suffix → its split, from a folder with published lists.

    Their names begin with train, valid and test; each is a text that names clips (train_list_pub.cP
    of Lee et al. is one, the text of a pickled list, which is read as text and not run) or an array
    of texts in NumPy's format.
    """
    found: dict[str, str] = {}
    for name, split in SPLIT_LISTS.items():
        clips = {
            clip
            for path in sorted(directory.glob(f"{name}*"))
            for clip in _LISTED.findall(_text(path))
        }
        if not clips:
            raise DataSetError(f"{directory}: no file {name}… with clips such as 0/name.mp3")
        if twice := sorted(clips & found.keys()):
            raise DataSetError(f"{directory}: {twice[0]} is in both {found[twice[0]]} and {split}")
        found.update(dict.fromkeys(clips, split))
    return found


def _text(path: Path) -> str:
    """What a list says, one way or another."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataSetError(f"{path}: {system_trouble(error).reason}") from error
    if content.startswith(b"\x93NUMPY"):
        try:
            return "\n".join(map(str, np.load(io.BytesIO(content), allow_pickle=False).ravel()))
        except ValueError as error:
            raise DataSetError(f"{path}: {error}") from error
    return content.decode("utf-8", "replace")


def annotated(directory: Path) -> list[str]:
    """The paths of all clips in the annotations, relative to the data set's folder."""
    return [path for _, path in _Table.read(directory / ANNOTATIONS).clips]


@dataclass(frozen=True)
class _Table:
    """The annotations."""

    tags: tuple[str, ...]
    clips: tuple[tuple[str, str], ...]
    """clip_id and mp3_path."""
    carried: NDArray[np.bool_]  # (n clips, all tags)

    @classmethod
    def read(cls, path: Path) -> _Table:
        rows = _rows(path)
        _, header = next(rows, (0, []))
        if header[:1] != ["clip_id"] or header[-1:] != ["mp3_path"]:
            raise DataSetError(f"{path}: the columns are not clip_id, the tags, mp3_path")
        tags = header[1:-1]
        if missing := [tag for tag in TAGS if tag not in tags]:
            raise DataSetError(f"{path}: no column {', '.join(missing)}")
        clips, cells = [], []
        for line, row in rows:
            if len(row) != len(header):
                raise DataSetError(f"{path}:{line}: {len(row)} columns, not {len(header)}")
            if not _CLIP_PATH.fullmatch(row[-1]):
                raise DataSetError(f"{path}:{line}: {row[-1]!r} is not a clip in a folder 0 to f")
            if not {*row[1:-1]} <= {"0", "1"}:
                raise DataSetError(f"{path}:{line}: a tag is neither 0 nor 1")
            clips.append((row[0], row[-1]))
            cells.append([cell == "1" for cell in row[1:-1]])
        if not clips:
            raise DataSetError(f"{path}: no clips")
        carried = np.array(cells)
        _check_frequent(dict(zip(tags, carried.sum(axis=0).tolist(), strict=True)), path)
        return cls(tuple(tags), tuple(clips), carried)

    def of(self, tags: Sequence[str]) -> NDArray[np.bool_]:
        """Which of these tags each clip carries: (n clips, K)."""
        return self.carried[:, [self.tags.index(tag) for tag in tags]]


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
