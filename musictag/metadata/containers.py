"""A file's tags, opened by the family that its format carries: `formats.table` says which."""

from __future__ import annotations

import importlib
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from musictag.formats.table import FORMATS, MPEG, Format, recognised
from musictag.metadata.ape import APE
from musictag.metadata.asf import ASF
from musictag.metadata.family import Family
from musictag.metadata.fields import FIELDS
from musictag.metadata.id3 import ID3, ID3AtPointer, TrueAudio
from musictag.metadata.mp4 import MP4
from musictag.metadata.ogg import Ogg
from musictag.metadata.parsing import parsing
from musictag.metadata.replacement import Refusal
from musictag.metadata.riff import Chunked
from musictag.metadata.vorbis import FLAC

FAMILIES: dict[str, Callable[[Path, Any, tuple[str, ...]], Family]] = {
    "APEv2": APE,
    "ASF": ASF,
    "FLAC": FLAC,
    "ID3": ID3,
    "ID3 at a pointer": ID3AtPointer,
    "ID3 in a chunk": Chunked,
    "ID3 in True Audio": TrueAudio,
    "MP4": MP4,
    "Ogg": Ogg,
}
"""`Format.family` → what opens a file of it."""


def open_file(path: Path, *, named: Path | None = None, fields: tuple[str, ...] = FIELDS) -> Family:
    """The file's tags, its format told by its content; `named` must not claim another one. `fields`
    are ours in it, all others other people's."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise Refusal("not_a_file", "not a regular file")
    if not status.st_size:
        raise Refusal("empty", "the file is empty")
    found = _recognised(path)
    if named is not None:
        claims = [row for row in FORMATS if named.suffix.lower() in row.all_suffixes]
        if claims and found not in claims:
            raise Refusal(
                "mislabelled",
                f"named {named.suffix}, but it is {found.name}",
                f"rename it to end in {found.suffix}",
            )
    if found.family is None:
        raise Refusal("no_tags", f"musictag cannot write tags into {found.name}")
    with parsing():
        return FAMILIES[found.family](path, _kind(found), fields)


def _kind(row: Format) -> Any:
    """mutagen's class that reads the length of files of this format; None if ours does."""
    if not row.mutagen:
        return None
    module, _, name = row.mutagen.partition(".")
    return getattr(importlib.import_module(f"mutagen.{module}"), name)


def _recognised(path: Path) -> Format:
    with path.open("rb") as file:
        found = recognised(file)
    if found.format is not None:
        return found.format
    suffix = path.suffix.lower()
    known = any(suffix in row.all_suffixes for row in FORMATS)
    # An mp3 may begin with junk. mutagen looks further in, and says if it finds no frames.
    if suffix in MPEG.suffixes or (found.start and not known):
        return MPEG
    if known:
        raise Refusal("bad_header", f"it does not begin as a {suffix} file does")
    raise Refusal("no_tags", "not a container that musictag knows")
