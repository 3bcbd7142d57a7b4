"""A new default model: heard anew once, said in a line; what the old one wrote is ours to retag."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sounds
import torch
from journalled import InProcess
from program import TAGS

from musictag import metadata
from musictag.config import Settings
from musictag.hearing import checkpoint
from musictag.hearing.checkpoint import Checkpoint
from musictag.hearing.network.architecture import Architecture
from musictag.hearing.network.recurrent import Tagger
from musictag.hearing.scattering.plan import FrontEnd
from musictag.outcome import Outcome
from musictag.scan import pipeline, undo
from musictag.stores import journal as journals
from musictag.stores.cache import Cache
from musictag.stores.journal import Journal
from musictag.vocabulary import magnatagatune

SETTINGS = Settings(device="cpu", jobs=1)
SAID = "new is a new model here: what another one heard is heard again, this once"


def model(folder: Path, name: str, seed: int, value: str) -> Checkpoint:
    """A tiny model that says this one genre of every track."""
    torch.manual_seed(seed)
    return checkpoint.save(
        folder / name,
        Tagger(Architecture(n_units=4, n_layers=1)),
        front_end=FrontEnd(),
        tags=TAGS,
        vocabulary=magnatagatune().with_thresholds({value: 0.0}),
        name=name,
        training={},
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkpoint, Checkpoint]:
    folder = tmp_path_factory.mktemp("models")
    return model(folder, "old", 1, "Rock"), model(folder, "new", 2, "Pop")


@pytest.fixture
def songs(tmp_path: Path) -> list[Path]:
    """Three kinds of files, so that three families of tags are put back."""
    return [sounds.make(tmp_path, kind) for kind in ("flac", "mp3", "m4a")]


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with Cache(tmp_path / "heard.sqlite") as opened:
        yield opened


def scan(songs: list[Path], model: Checkpoint, cache: Cache, *, write: bool) -> list[Outcome]:
    with Journal(journals.default_path()) as journal:
        command = ["scan", "--write"] if write else None
        found = pipeline.scan(songs, model, SETTINGS, cache=cache, journal=journal, write=command)
        return list(found)


def genres(songs: list[Path]) -> list[tuple[str, ...]]:
    return [metadata.read(song)["GENRE"] for song in songs]


def take_back(number: int) -> list[str]:
    with Journal(journals.default_path()) as journal:
        (run,) = undo.choose(journal, undo.Numbers(number, number), [])
        outcomes = undo.undo(
            journal,
            {run: undo.standing(journal, run, [])},
            SETTINGS,
            cache=Cache(None),
            decoder=InProcess(),
            write=["undo"],
        )
        return [outcome.status for outcome in outcomes]


def test_a_new_model_hears_once_says_so_in_one_line_and_takes_nothing_from_the_old_one(
    models: tuple[Checkpoint, Checkpoint],
    songs: list[Path],
    cache: Cache,
    caplog: pytest.LogCaptureFixture,
) -> None:
    old, new = models
    assert [o.from_cache for o in scan(songs, old, cache, write=False)] == [False] * 3
    assert SAID not in caplog.messages, "nobody has heard anything before"
    cache.flush()
    assert [o.from_cache for o in scan(songs, new, cache, write=False)] == [False] * 3
    assert caplog.messages.count(SAID) == 1
    assert [o.from_cache for o in scan(songs, new, cache, write=False)] == [True] * 3
    assert [o.from_cache for o in scan(songs, old, cache, write=False)] == [True] * 3
    assert caplog.messages.count(SAID) == 1


def test_new_files_and_more_segments_are_no_new_model(
    models: tuple[Checkpoint, Checkpoint],
    songs: list[Path],
    cache: Cache,
    caplog: pytest.LogCaptureFixture,
) -> None:
    old, _ = models
    scan(songs[:2], old, cache, write=False)
    scan(songs, old, cache, write=False)
    cache.flush()
    fewer = Settings(device="cpu", jobs=1, segments=1)
    assert not [o.from_cache for o in pipeline.scan(songs, old, fewer, cache=cache) if o.from_cache]
    assert not [message for message in caplog.messages if "new model" in message]


def test_files_that_the_old_model_tagged_are_retagged_and_undo_is_exact(
    models: tuple[Checkpoint, Checkpoint], songs: list[Path], cache: Cache
) -> None:
    old, new = models
    untagged = [metadata.snapshot(song) for song in songs]
    assert [o.status for o in scan(songs, old, cache, write=True)] == ["written"] * 3
    assert genres(songs) == [("Rock",)] * 3
    of_the_old = [metadata.snapshot(song) for song in songs]
    metadata.write(songs[1], {"GENRE": ("Jazz",)})  # its owner knows better
    of_the_owner = metadata.snapshot(songs[1])

    outcomes = scan(songs, new, cache, write=True)
    assert [o.status for o in outcomes] == ["written", "unchanged", "written"]
    assert genres(songs) == [("Pop",), ("Jazz",), ("Pop",)]

    assert take_back(2) == ["restored"] * 2
    assert [metadata.snapshot(song) for song in songs] == [
        of_the_old[0],
        of_the_owner,
        of_the_old[2],
    ]
    assert sorted(take_back(1)) == ["failed", "restored", "restored"]
    assert metadata.snapshot(songs[1]) == of_the_owner
    assert [metadata.snapshot(song) for song in (songs[0], songs[2])] == [untagged[0], untagged[2]]


def test_what_an_old_model_wrote_is_ours_whether_or_not_anything_is_remembered(
    models: tuple[Checkpoint, Checkpoint], songs: list[Path]
) -> None:
    old, new = models
    scan(songs, old, Cache(None), write=True)
    before = [os.stat(song).st_mtime_ns for song in songs]  # noqa: PTH116
    (planned, *_) = scan(songs, new, Cache(None), write=False)
    assert (planned.fields["GENRE"].old, planned.fields["GENRE"].new) == (("Rock",), ("Pop",))
    assert [os.stat(song).st_mtime_ns for song in songs] == before  # noqa: PTH116
