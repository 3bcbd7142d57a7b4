"""MagnaTagATune's archive: download what is missing and unpack it.

The archive is a zip file in three parts, which are read as one without a copy.
"""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from musictag.errors import DataSetError
from musictag.training import download
from musictag.training.magnatagatune import (
    ANNOTATIONS,
    BROKEN,
    CLIP_INFO,
    SPLIT_OF_FOLDER,
    annotated,
    is_in,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SOURCE = "https://mirg.city.ac.uk/datasets/magnatagatune"
LICENCE = "CC BY-NC-SA 3.0 (non-commercial use, share alike); the music is Magnatune's"
PARTS = {
    "mp3.zip.001": 1_100_000_000,
    "mp3.zip.002": 1_100_000_000,
    "mp3.zip.003": 772_769_864,
}
"""Parts of the archive and their sizes in bytes, to announce; what counts is the server's word."""
ABSENT = "without-sound.txt"
"""Name of a file that lists clips which the archive does not hold, to look for them only once."""


@dataclass(frozen=True)
class Beginning:
    """News before a download begins. Sizes in bytes, as once published."""

    directory: Path
    source: str
    download_size: int
    disk_size: int  # of the archive and clips that are missing
    licence: str = LICENCE


@dataclass(frozen=True)
class Fetched:
    """How many bytes of a file are downloaded, of how many (None: the server does not say)."""

    name: str
    done: int
    total: int | None


@dataclass(frozen=True)
class Unpacked:
    """How many clips are unpacked, of how many that were missing."""

    done: int
    total: int


Tell = Callable[["Beginning | Fetched | Unpacked"], None]


def fetch(directory: Path, *, source: str, tell: Tell) -> None:
    """Download and unpack what is missing in `directory`.

    It may be killed at any time and called again: downloads continue, and clips
    that exist are not unpacked again. The archive's parts stay, since they may
    be somebody's own copy, but are no longer needed. Raises DataSetError if
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
    """The annotated clips that do not exist; an empty file counts as missing."""
    there = {
        f"{folder}/{path.name}"
        for folder in SPLIT_OF_FOLDER
        if (directory / folder).is_dir()
        for path in (directory / folder).iterdir()
        if path.stat().st_size > 0
    }
    absent = directory / ABSENT
    there |= set(absent.read_text("utf-8").splitlines()) if absent.exists() else set()
    wanted = (path for path in annotated(directory) if path not in BROKEN)
    return [path for path in wanted if path not in there]


def _partial_sizes(directory: Path) -> list[int]:
    """Bytes that are there of each part whose download has begun."""
    kept = [download.partial(directory / name) for name in PARTS]
    return [path.stat().st_size for path in kept if path.exists()]


def _fetch_parts(directory: Path, source: str, tell: Tell) -> None:
    left = [name for name in PARTS if not (directory / name).exists()]
    if not left:
        return
    sizes = [download.size(f"{source}/{name}") or 0 for name in PARTS]
    to_come = sum(size for size, name in zip(sizes, PARTS, strict=True) if name in left)
    to_come -= sum(_partial_sizes(directory))
    # Clips hardly shrink in an archive: unpacked they need as much room again.
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
    """Unpack the annotated clips, each whole or not at all, and nothing else."""
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
    """Unpack to `path`, which is below the data set's folder because the annotations name it."""
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
    """Several files read as one, so that the archive need not be copied."""

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
        """Read as much as is asked for, or up to the end of a part; 0 at the end of the last."""
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
