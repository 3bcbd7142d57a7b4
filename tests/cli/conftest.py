"""Libraries for the commands to work on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import sounds
from journalled import flac
from program import Run

from musictag.config import Settings
from musictag.stores.cache import Cache


def make_library(root: Path) -> Path:
    """Three tracks in two folders."""
    for number, name in enumerate(("Abba/1.flac", "Abba/2.mp3", "Bach/1.ogg")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        sounds.make(
            root / Path(name).parent, Path(name).suffix[1:], name=Path(name).name, seed=number
        )
    return root


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A library of three tracks, for this test alone."""
    return make_library(tmp_path / "Music")


@pytest.fixture(scope="session")
def heard_once(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A folder with a library, `Music`, and a cache that remembers all of it, `heard.sqlite`."""
    from musictag.hearing import checkpoint  # noqa: PLC0415  # not for tests that need no model
    from musictag.scan import pipeline  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("heard")
    paths = sorted(path for path in make_library(folder / "Music").rglob("*") if path.is_file())
    settings = Settings(device="cpu", jobs=2)
    with Cache(folder / "heard.sqlite") as cache:
        outcomes = list(pipeline.scan(paths, checkpoint.read(tiny), settings, cache=cache))
    assert [outcome.status for outcome in outcomes] == ["planned"] * 3
    return folder


@pytest.fixture
def heard_library(heard_once: Path, nobodys_home: Path, use_tiny: None) -> Path:
    """A library that this test's cache remembers, so that a scan of it is soon over.

    Tests share it: they only read it.
    """
    cache = Path(os.environ["XDG_CACHE_HOME"], "musictag", "heard.sqlite")
    cache.parent.mkdir(parents=True)
    shutil.copy(heard_once / "heard.sqlite", cache)
    return heard_once / "Music"


@pytest.fixture
def remembered(musictag: Run, tmp_path: Path) -> list[Path]:
    """Three tracks that have been heard, so that no model needs to be loaded."""
    songs = [flac(tmp_path / "Music", f"{number}.flac") for number in range(3)]
    assert musictag("scan", tmp_path / "Music").code == 0
    return songs
