"""Finding music files, in a stable order.

    for found in walk([Path("Music")], exclude=["Podcasts", "*/live/*"]):
        ...                       # a Path, or a FileError for a folder that cannot be listed

Files come before the folders beside them, both sorted by the bytes of their names, so that two runs
agree on every machine and the files of a folder stand together. One folder level is in memory at a
time, so half a million files are no problem. Each file comes once, however the roots overlap and
wherever links lead.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

from musictag.errors import FileError, UsageError
from musictag.formats.table import FORMATS

EXTENSIONS = frozenset(suffix for row in FORMATS for suffix in row.suffixes)
"""File name extensions that a walk looks for. Formats that mostly hold films (.mp4, .mkv) are heard
only when named."""

MARKER = ".nomusictag"
"""Name of a file that keeps musictag out of its folder and everything below."""

# Folders that file servers, systems and archives leave among the music; compared in lower case.
SYSTEM = frozenset(
    {"@eadir", "@recycle", "@recently-snapshot", "@tmp", "#recycle", "#snapshot", "lost+found"}
    | {"$recycle.bin", "recycler", "system volume information", "__macosx"}
    | {"network trash folder", "temporary items"}
)


def check_roots(roots: Iterable[Path]) -> None:
    """Raise UsageError for the first root that does not exist."""
    for root in roots:
        try:
            root.stat()
        except (FileNotFoundError, NotADirectoryError):  # noqa: PERF203  (few roots)
            raise UsageError(f"{root}: no such file or folder") from None
        except OSError:
            pass  # it exists; the walk will say what is wrong with it


def walk(roots: Iterable[Path], *, exclude: Sequence[str] = ()) -> Iterator[Path | FileError]:
    """Music files below these roots, each once; raises UsageError at once if a root is missing.

    The walk skips hidden names, system folders, folders that contain `.nomusictag`, and whatever
    `exclude` matches. A pattern without a slash is compared with the name of each file and folder
    at any depth, a pattern with a slash with the whole path below the root (`*` matches slashes,
    too). Case matters. Excluded folders are not entered.

    A root that is a file is taken whatever its name, unless excluded. Links are followed, but a
    file that the walk also meets directly comes only once. Hard links count as separate files.
    Everything with one of EXTENSIONS that is not a folder is yielded, so that a broken link is
    reported when it is opened.
    """
    roots = list(roots)
    check_roots(roots)
    return _Walk(exclude).over(roots)


def excluded(path: Path, exclude: Sequence[str]) -> bool:
    """Whether a pattern matches this file or one of the folders in its path, by the rule of `walk`.

    For files that come from a list instead of a walk: a pattern with a slash is compared with the
    path as listed, from its beginning.
    """
    names = [name for name in path.parts if name != path.anchor]
    return any(_matches(name, "/".join(names[: i + 1]), exclude) for i, name in enumerate(names))


def belongs(path: Path, root: Path, *, exclude: Sequence[str] = ()) -> bool:
    """Whether a walk of `root` would come to this file, which need not exist, by the names of the
    file and of the folders above it. For a file that is heard of in another way."""
    if not path.is_relative_to(root):
        return False
    names = path.relative_to(root).parts
    walk = _Walk(exclude)
    for i, name in enumerate(names):
        is_folder = i < len(names) - 1
        if not walk._wants(name, "/".join(names[: i + 1]), is_folder=is_folder):
            return False
        if os.path.exists(root.joinpath(*names[:i], MARKER)):  # noqa: PTH110
            return False
    return bool(names)


def _matches(name: str, relative: str, exclude: Sequence[str]) -> bool:
    patterns = (pattern.strip("/") for pattern in exclude)
    return any(fnmatchcase(relative if "/" in p else name, p) for p in patterns)


def read_list(stream: BinaryIO, *, null: bool) -> Iterator[Path]:
    """Paths from a list, as they arrive: one per line or, with `null`, each ended by a zero byte.

    Empty entries are ignored. In lines, a carriage return at the end and a byte order mark at the
    start belong to Windows and not to the name. A name with a line break needs zero bytes.
    UsageError for a list that ends its names in the other way.
    """
    for i, entry in enumerate(_until_zeros(stream) if null else stream):
        name = entry
        if not null and b"\0" in name:
            raise UsageError("the names in the list end with NUL, not with newline: add -0")
        if null and i == 0 and name.count(b"\n") > 1 and not os.path.lexists(name):
            raise UsageError("the names in the list end with newline, not with NUL: leave out -0")
        if not null:
            name = name.removesuffix(b"\n").removesuffix(b"\r")
            name = name.removeprefix(b"\xef\xbb\xbf") if i == 0 else name
        if name:
            yield Path(os.fsdecode(name))


def _until_zeros(stream: BinaryIO) -> Iterator[bytes]:
    read = getattr(stream, "read1", stream.read)  # read1 returns what has arrived, without waiting
    rest = b""
    while block := read(65_536):
        *entries, rest = (rest + block).split(b"\0")
        yield from entries
    yield rest


class _Walk:
    """What one walk remembers: an entry per folder and per link to a file, none per file."""

    def __init__(self, exclude: Sequence[str]) -> None:
        self._exclude = exclude
        self._walked: dict[tuple[int, int], str | None] = {}
        """(device, inode) of each folder seen → its path below the root; None if not listed."""
        self._taken: set[str] = set()
        """Real paths of files yielded out of turn: as a root, or through a link from elsewhere."""

    def over(self, roots: Iterable[Path]) -> Iterator[Path | FileError]:
        for root in roots:
            if not os.path.isdir(root):  # noqa: PTH112  (Path.is_dir raises without permission)
                if not excluded(Path(root.name), self._exclude) and self._takes(root):
                    yield root
            else:
                yield from self._folder(root)

    def _folder(self, root: Path) -> Iterator[Path | FileError]:
        """A folder's files first, then its folders. The stack holds the rest of each level."""
        levels: list[_Level] = []
        found = self._level(root, "")
        while True:
            if isinstance(found, FileError):
                yield found
            elif found:
                levels.append(found)
            while levels and not levels[-1].left:
                levels.pop()
            if not levels:
                return
            level = levels[-1]
            name, is_folder, is_link = level.left.pop()
            found = None
            path, relative = level.path / name, level.relative + name
            if is_folder:
                found = self._level(path, relative + "/")
            elif is_link:
                if self._takes(path):
                    yield path
            elif not self._taken or os.path.join(level.real, name) not in self._taken:  # noqa: PTH118
                yield path

    def _level(self, folder: Path, relative: str) -> _Level | FileError | None:
        """A folder's entries that matter, or why it cannot be listed; None to skip it."""
        try:
            status = folder.stat()
            identity = (status.st_dev, status.st_ino)
            if identity in self._walked:
                return None
            self._walked[identity] = None
            entries: list[tuple[str, bool, bool]] = []
            with os.scandir(folder) as listing:
                for entry in listing:
                    if entry.name == MARKER:
                        return None
                    is_folder = _is_folder(entry)
                    if self._wants(entry.name, relative + entry.name, is_folder=is_folder):
                        entries.append((entry.name, is_folder, entry.is_symlink()))
        except OSError as error:
            return _unlisted(folder, error)
        self._walked[identity] = relative
        entries.sort(key=lambda entry: (entry[1], os.fsencode(entry[0])), reverse=True)
        return _Level(folder, relative, entries)

    def _wants(self, name: str, relative: str, *, is_folder: bool) -> bool:
        if _hidden(name) or _matches(name, relative, self._exclude):
            return False
        if is_folder:
            return name.lower() not in SYSTEM
        return os.path.splitext(name)[1].lower() in EXTENSIONS  # noqa: PTH122  (a million times)

    def _takes(self, path: Path) -> bool:
        """Whether to yield a file met as a root or through a link: not if the walk meets it too."""
        real = os.path.realpath(path)
        if not os.path.exists(real):  # noqa: PTH110  # broken, or leading round in a circle:
            return True  # opening it will say so
        if real in self._taken:
            return False
        folder, name = os.path.split(real)
        try:
            status = os.stat(folder)  # noqa: PTH116
            relative = self._walked.get((status.st_dev, status.st_ino))
        except OSError:
            relative = None
        if relative is not None and self._wants(name, relative + name, is_folder=False):
            return False
        self._taken.add(real)
        return True


class _Level:
    """A folder that is being walked."""

    def __init__(self, path: Path, relative: str, left: list[tuple[str, bool, bool]]) -> None:
        self.path = path
        self.relative = relative
        self.left = left
        """(name, is a folder, is a link), the next one last."""
        self.real = os.path.realpath(path)


def _hidden(name: str) -> bool:
    """Whether a name starts with a single dot. Several dots are an ellipsis, as in album titles."""
    return name.startswith(".") and (not name.startswith("..") or ".musictag-" in name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads round in a circle, or to a place without permission
        return False


def _unlisted(folder: Path, error: OSError) -> FileError:
    if isinstance(error, FileNotFoundError):
        return FileError(folder, "not_found", "the folder is gone")
    return FileError.of_system(folder, error, "the folder cannot be listed")
