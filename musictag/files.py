"""Which files, in what order.

    for found in walk([Path("Music")], exclude=["Podcasts", "*/live/*"]):
        ...                       # a Path, or a FileError for a folder that cannot be listed

In the order of their names' bytes, so that two runs agree on every machine;
one folder level in memory at a time, so that half a million files are no
problem; each file once, however the roots overlap and wherever links lead.
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
"""What a walk looks for. Containers that mostly hold films (.mp4, .mkv) are heard when named."""

MARKER = ".nomusictag"
"""A file of this name in a folder: neither the folder nor anything below it is ours."""

# What file servers, systems and archives leave among the music; compared in lower case.
SYSTEM = frozenset(
    {"@eadir", "@recycle", "@recently-snapshot", "@tmp", "#recycle", "#snapshot", "lost+found"}
    | {"$recycle.bin", "recycler", "system volume information", "__macosx"}
    | {"network trash folder", "temporary items"}
)


def check_roots(roots: Iterable[Path]) -> None:
    """Raise UsageError for the first root that does not exist; the rest is no use then."""
    for root in roots:
        try:
            root.stat()
        except (FileNotFoundError, NotADirectoryError):  # noqa: PERF203  (few roots)
            raise UsageError(f"{root}: no such file or folder") from None
        except OSError:
            pass  # it is there; what is wrong with it, the walk will say


def walk(roots: Iterable[Path], *, exclude: Sequence[str] = ()) -> Iterator[Path | FileError]:
    """Music files below these roots, each once; raises UsageError at once if a root is missing.

    Skipped are hidden names, system folders, folders with a `.nomusictag` in
    them, and what `exclude` matches. A pattern without a slash is compared with
    the name of each file and folder at any depth, a pattern with one with the
    whole path from the root on (`*` matches slashes too); upper and lower case
    differ. What is below an excluded folder is not looked at.

    A root that is a file is taken whatever it is called, unless excluded. Links
    are followed; a file that the walk also meets directly is not given twice.
    Hard links are files of their own. Whatever has one of EXTENSIONS and is no
    folder is given, so that a broken link is reported when it is opened.
    """
    roots = list(roots)
    check_roots(roots)
    return _Walk(exclude).over(roots)


def excluded(path: Path, exclude: Sequence[str]) -> bool:
    """Whether a pattern matches this file, or a folder that its path names: `walk`'s rule.

    For files that were listed and not found below a root: the pattern with a
    slash is compared with the path as it was listed, from its beginning.
    """
    names = [name for name in path.parts if name != path.anchor]
    return any(_matches(name, "/".join(names[: i + 1]), exclude) for i, name in enumerate(names))


def _matches(name: str, relative: str, exclude: Sequence[str]) -> bool:
    patterns = (pattern.strip("/") for pattern in exclude)
    return any(fnmatchcase(relative if "/" in p else name, p) for p in patterns)


def read_list(stream: BinaryIO, *, null: bool) -> Iterator[Path]:
    """Paths from a list, as they come: one per line, or (`null`) with a zero byte after each.

    Empty entries are ignored. In lines, a carriage return before the line's end
    and a byte order mark at the start are Windows' and not the name's; a name
    with a line break in it needs zero bytes.
    """
    for i, entry in enumerate(_until_zeros(stream) if null else stream):
        name = entry
        if not null:
            name = name.removesuffix(b"\n").removesuffix(b"\r")
            name = name.removeprefix(b"\xef\xbb\xbf") if i == 0 else name
        if name:
            yield Path(os.fsdecode(name))


def _until_zeros(stream: BinaryIO) -> Iterator[bytes]:
    read = getattr(stream, "read1", stream.read)  # read1 gives what is there, without waiting
    rest = b""
    while block := read(65_536):
        *entries, rest = (rest + block).split(b"\0")
        yield from entries
    yield rest


class _Walk:
    """The memory of one walk: one entry per folder and per link to a file, none per file."""

    def __init__(self, exclude: Sequence[str]) -> None:
        self._exclude = exclude
        self._walked: dict[tuple[int, int], str | None] = {}
        """Folders seen, by device and inode: their path from the root; None if not listed."""
        self._taken: set[str] = set()
        """Real paths of files given out of turn: as a root, or by a link from elsewhere."""

    def over(self, roots: Iterable[Path]) -> Iterator[Path | FileError]:
        for root in roots:
            if not os.path.isdir(root):  # noqa: PTH112  (Path.is_dir raises where it may not look)
                if not excluded(Path(root.name), self._exclude) and self._takes(root):
                    yield root
            else:
                yield from self._folder(root)

    def _folder(self, root: Path) -> Iterator[Path | FileError]:
        """Depth first, folders among files by name. The stack holds what is left of each level."""
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
        """A folder's entries that matter, or why it cannot be listed; None if it is not ours."""
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
        entries.sort(key=lambda entry: os.fsencode(entry[0]), reverse=True)
        return _Level(folder, relative, entries)

    def _wants(self, name: str, relative: str, *, is_folder: bool) -> bool:
        if _hidden(name) or _matches(name, relative, self._exclude):
            return False
        if is_folder:
            return name.lower() not in SYSTEM
        return os.path.splitext(name)[1].lower() in EXTENSIONS  # noqa: PTH122  (a million times)

    def _takes(self, path: Path) -> bool:
        """Whether to give this file, met as a root or by a link: not if the walk met it or will."""
        real = os.path.realpath(path)
        if not os.path.exists(real):  # noqa: PTH110  # broken, or round in a circle: whoever
            return True  # opens it will say so
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
    """A folder in the middle of being walked."""

    def __init__(self, path: Path, relative: str, left: list[tuple[str, bool, bool]]) -> None:
        self.path = path
        self.relative = relative
        self.left = left
        """(name, is a folder, is a link), the next one last."""
        self.real = os.path.realpath(path)


def _hidden(name: str) -> bool:
    """Names with a dot in front; with several it is an ellipsis, as albums have it."""
    return name.startswith(".") and (not name.startswith("..") or ".musictag-" in name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads round in a circle, or where we may not look
        return False


def _unlisted(folder: Path, error: OSError) -> FileError:
    if isinstance(error, FileNotFoundError):
        return FileError(folder, "not_found", "the folder is gone")
    return FileError.of_system(folder, error, "the folder cannot be listed")
