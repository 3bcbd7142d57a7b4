"""The decoders and the order in which they are tried on a file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from musictag.audio import ffmpeg, libsndfile, platforms
from musictag.audio.blocks import Block, GaveUp
from musictag.audio.source import open_file
from musictag.formats.table import recognised


class Door(NamedTuple):
    """A decoder: its name, and the function that yields a file's blocks from a given second on."""

    name: str
    blocks: Callable[[Path, float], Iterator[Block]]


LIBSNDFILE = Door("libsndfile", libsndfile.blocks)
FFMPEG = Door("ffmpeg", ffmpeg.blocks)
AUDIOREAD = Door("audioread", platforms.blocks)


def to_try(path: Path) -> tuple[Door, ...]:
    """The decoders to try on this file, in order. Its content decides, not its name.

    ffmpeg comes first for mp3 although libsndfile is as fast: libsndfile's mpg123 stops at the
    first junk between two frames, often without an error, and prints remarks on stderr.
    """
    with open_file(path) as file:
        found = recognised(file)
    if found.format is not None and found.format.libsndfile_first and not found.start:
        return LIBSNDFILE, FFMPEG, AUDIOREAD
    return FFMPEG, LIBSNDFILE, AUDIOREAD


def seekable(path: Path, door: Door) -> bool:
    """Whether decoding from the middle gives the same samples as decoding from the start."""
    if door is LIBSNDFILE:
        return True
    with contextlib.suppress(GaveUp), ffmpeg.opened(path) as (container, stream):
        return ffmpeg.seeks_exactly(container, stream)
    return False
