"""The decoders to try, in turn."""

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
    """A way to the samples: its name, and what gives a file's blocks from a second on."""

    name: str
    blocks: Callable[[Path, float], Iterator[Block]]


LIBSNDFILE = Door("libsndfile", libsndfile.blocks)
FFMPEG = Door("ffmpeg", ffmpeg.blocks)
AUDIOREAD = Door("audioread", platforms.blocks)


def to_try(path: Path) -> tuple[Door, ...]:
    """The doors to try, by what the file is and not by what it is called.

    mp3 is ffmpeg's although libsndfile is as fast: its mpg123 stops at the first junk between
    two frames, often without an error, and prints what it thinks of the file on stderr.
    """
    with open_file(path) as file:
        found = recognised(file)
    if found.format is not None and found.format.libsndfile_first and not found.start:
        return LIBSNDFILE, FFMPEG, AUDIOREAD
    return FFMPEG, LIBSNDFILE, AUDIOREAD


def seekable(path: Path, door: Door) -> bool:
    """Whether starting in the middle gives the samples that reading up to there gives."""
    if door is LIBSNDFILE:
        return True
    with contextlib.suppress(GaveUp), ffmpeg.opened(path) as (container, stream):
        return ffmpeg.seeks_exactly(container, stream)
    return False
