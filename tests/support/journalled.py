"""Files that the journal knows: written as a scan writes, taken back as an undo does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sounds

from musictag import metadata
from musictag.audio.digest import payload_digest
from musictag.config import Settings
from musictag.outcome import Outcome
from musictag.scan import undo, writing
from musictag.scan.moved import Sounds
from musictag.stores.cache import Cache
from musictag.stores.journal import Journal

posix = pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
ROCK, POP = {"GENRE": ("Rock",)}, {"GENRE": ("Pop",), "MOOD": ("Slow", "Soft")}


class InProcess:
    """Stands for the decoder's process, which takes a moment to start."""

    payload_digest = staticmethod(payload_digest)

    def track(self, path: Path, *, n_segments: int | None = None) -> Any:
        raise AssertionError(f"an undo decodes nothing: {path}, {n_segments}")

    def kill(self) -> None:
        pass

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def write(book: Journal, *changes: tuple[Path, Any], command: Sequence[str] = ("scan",)) -> None:
    """A run that writes these values, as a scan does."""
    with writing.begun(book, command, ("tiny", "digest")) as run:
        assert run is not None
        for path, values in changes:
            others = dict.fromkeys(values, ())
            with writing.written_down(run, path, others=others) as about_to:
                digest = payload_digest
                assert metadata.write(path, values, payload_digest=digest, about_to=about_to)


def take_back(book: Journal, number: int, *paths: Path, **options: Any) -> list[Outcome]:
    return take_all_back(book, undo.Numbers(number, number), *paths, **options)


def take_all_back(
    book: Journal, wanted: undo.Numbers | undo.Since, *paths: Path, **options: Any
) -> list[Outcome]:
    cache = options.pop("cache", Cache(None))
    options = {"write": ["undo"], **options}
    sounds = Sounds(cache, payload_digest)
    runs = {
        run: undo.standing(book, run, paths, sounds=sounds)
        for run in undo.choose(book, wanted, paths, sounds)
    }
    return list(
        undo.undo(book, runs, Settings(), cache=cache, decoder=InProcess(), paths=paths, **options)
    )


def statuses(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.status for outcome in outcomes]


def flac(folder: Path, name: str = "a.flac") -> Path:
    folder.mkdir(exist_ok=True)
    return sounds.make(folder, "flac", name=name)


def genres(songs: Sequence[Path]) -> list[bool]:
    return [bool(metadata.read(song)["GENRE"]) for song in songs]
