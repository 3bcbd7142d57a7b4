"""Looking after the cache, also beside a running scan."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from caches import HEARD, SUMMARY, a_file

from musictag.errors import MusictagError
from musictag.stores import cache, keys
from musictag.stores.cache import Cache
from musictag.stores.upkeep import Upkeep

OURS, OTHER = keys.hearing("ours"), keys.hearing("other")


def filled(path: Path, *songs: Path) -> None:
    with Cache(path) as remembered:
        for song in songs:
            digest = song.name.encode()
            remembered.remember_content(song, song.stat(), digest)
            remembered.remember_heard(digest, OURS, replace(HEARD, summary=SUMMARY))
            remembered.remember_heard(digest, OTHER, HEARD)


def counts(path: Path) -> tuple[int, dict[str, tuple[int, int]]]:
    with Upkeep(path) as upkeep:
        found = upkeep.contents()
    by_model = {name: (one.n_sounds, one.n_summaries) for name, one in found.by_model.items()}
    return found.n_files, by_model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    songs = [a_file(tmp_path, f"{n}.mp3") for n in range(3)]
    filled(tmp_path / "heard.sqlite", *songs)
    return tmp_path / "heard.sqlite"


def test_it_counts_by_model(path: Path) -> None:
    assert counts(path) == (3, {"ours": (3, 3), "other": (3, 0)})


def test_what_is_gone_is_forgotten_with_its_sound(path: Path) -> None:
    (path.parent / "1.mp3").unlink()
    with Upkeep(path) as upkeep:
        done = upkeep.prune()
    assert (done.n_files, done.n_sounds, done.n_away) == (1, 2, 0)
    assert counts(path) == (2, {"ours": (2, 2), "other": (2, 0)})
    with Upkeep(path) as upkeep:
        assert upkeep.prune().n_files == 0


def test_a_sound_that_another_file_has_stays(path: Path) -> None:
    copy = a_file(path.parent, "copy.mp3")
    with Cache(path) as remembered:
        remembered.remember_content(copy, copy.stat(), b"1.mp3")
    (path.parent / "1.mp3").unlink()
    with Upkeep(path) as upkeep:
        assert upkeep.prune().n_sounds == 0
    assert counts(path)[1]["ours"] == (3, 3)


def test_other_models_are_forgotten_on_request(path: Path) -> None:
    with Upkeep(path) as upkeep:
        assert upkeep.prune(keep="ours").n_sounds == 3
    assert counts(path) == (3, {"ours": (3, 3)})


def test_files_of_a_disk_that_is_not_mounted_stay(path: Path, tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    (mount / "album").mkdir(parents=True)
    filled(path, a_file(mount / "album", "far.mp3"))
    shutil.rmtree(mount / "album")  # an empty mount point is left
    with Upkeep(path) as upkeep:
        done = upkeep.prune()
    assert (done.n_files, done.n_away) == (0, 1)
    a_file(mount, "something")  # mounted, and the album is not there
    with Upkeep(path) as upkeep:
        assert upkeep.prune().n_files == 1


def test_what_a_scan_remembers_meanwhile_stays(path: Path) -> None:
    with Cache(path) as running, Upkeep(path) as upkeep:
        upkeep.clear()
        song = path.parent / "1.mp3"
        running.remember_content(song, song.stat(), b"1.mp3")
        running.remember_heard(b"1.mp3", OURS, HEARD)
        running.flush()
        upkeep.prune(keep="ours")
        assert running.heard(b"1.mp3", OURS) == HEARD
    assert counts(path) == (1, {"ours": (1, 0)})


def test_space_is_given_back(path: Path) -> None:
    with Cache(path) as remembered:
        for n in range(2500):
            remembered.remember_heard(b"%d" % n, OURS, replace(HEARD, summary=SUMMARY * 100))
    before = path.stat().st_size
    with Upkeep(path) as upkeep:
        upkeep.prune()
    assert path.stat().st_size < before / 5


def test_a_new_cache_has_room_for_three_summaries_in_a_page(path: Path) -> None:
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA page_size").fetchone() == (8192,)
    database.close()


def test_a_file_that_is_no_cache_is_an_error_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "heard.sqlite"
    path.write_bytes(b"no database at all " * 100)
    with pytest.raises(MusictagError, match=r"heard\.sqlite: "):
        Upkeep(path)
    assert path.read_bytes().startswith(b"no database")


def test_a_cache_of_small_pages_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "heard.sqlite"
    old = replace(cache.SCHEMA, settings=("PRAGMA page_size = 4096",))
    cache.database.connect(path, old, synchronous="NORMAL").close()
    filled(path, a_file(tmp_path))
    (tmp_path / "a.mp3").unlink()
    with Upkeep(path) as upkeep:
        assert upkeep.prune().n_files == 1
