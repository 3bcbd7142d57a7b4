"""The cache: remembers across runs, threads and processes, and is never a reason to stop."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from caches import HEARD, SUMMARY, TAGS, a_file
from waits import join, start_together

from musictag.stores import cache
from musictag.stores.cache import Cache
from musictag.stores.stored import StoredFields, StoredFile, StoredHearing


def test_what_was_heard_is_known_to_the_next_run(tmp_path: Path) -> None:
    song = a_file(tmp_path)
    with Cache(tmp_path / "heard.sqlite") as first:
        first.remember_content(song, song.stat(), b"digest")
        first.remember_heard(b"digest", "model", HEARD)
    with Cache(tmp_path / "heard.sqlite") as second:
        assert second.content(song, song.stat()) == b"digest"
        assert second.heard(b"digest", "model") == HEARD


def test_a_remembered_hearing_equals_a_fresh_one_to_the_last_bit(tmp_path: Path) -> None:
    fresh = StoredHearing(1.0, (0.1, 1 / 3, 2 / 3))
    with Cache(tmp_path / "heard.sqlite") as remembered:
        remembered.remember_heard(b"d", "k", fresh)
        assert remembered.heard(b"d", "k") == fresh


def test_silence_and_damage_are_remembered_with_their_reason(tmp_path: Path) -> None:
    silence = StoredHearing(3.0, (), "silent", "there is only silence in it")
    with Cache(tmp_path / "heard.sqlite") as remembered:
        remembered.remember_heard(b"d", "k", silence)
        assert remembered.heard(b"d", "k") == silence


def test_a_summary_is_remembered_and_given_to_who_asks_for_it(tmp_path: Path) -> None:
    song = a_file(tmp_path)
    heard = replace(HEARD, summary=SUMMARY)
    with Cache(tmp_path / "heard.sqlite") as remembered:
        remembered.remember_content(song, song.stat(), b"digest")
        for key, what in (("base", heard), ("other", HEARD)):
            remembered.remember_heard(b"digest", key, what)
        for summaries, expected in ((False, HEARD), (True, heard)):
            known = remembered.known(song, song.stat(), "", ("base", "other"), summaries=summaries)
            assert known is not None
            assert known.heard == {"base": expected, "other": HEARD}
            assert remembered.heard(b"digest", "base", with_summary=summaries) == expected


def test_a_summary_that_waits_for_the_disk_is_known(tmp_path: Path, clock: list[float]) -> None:
    song = a_file(tmp_path)
    heard = replace(HEARD, summary=SUMMARY)
    with Cache(tmp_path / "heard.sqlite") as remembered:
        remembered.remember_content(song, song.stat(), b"digest")
        for n in range(3):
            remembered.remember_heard(b"digest", f"{n}", heard)
            known = remembered.known(song, song.stat(), "", (f"{n}",), summaries=True)
            assert known is not None
            assert known.heard == {f"{n}": heard}


def test_a_summary_outlives_a_hearing_without_one(tmp_path: Path) -> None:
    heard = replace(HEARD, summary=SUMMARY)
    with Cache(tmp_path / "heard.sqlite") as remembered:
        remembered.remember_heard(b"digest", "model", heard)
        remembered.remember_heard(b"digest", "model", HEARD)
        assert remembered.heard(b"digest", "model", with_summary=True) == heard


def test_another_model_heard_nothing_yet(tmp_path: Path) -> None:
    with Cache(tmp_path / "heard.sqlite") as remembered:
        remembered.remember_heard(b"digest", "model", HEARD)
        assert remembered.heard(b"digest", "another model") is None


@pytest.mark.parametrize("change", ["size", "newer", "older"])
def test_a_changed_file_is_not_known(tmp_path: Path, change: str) -> None:
    song = a_file(tmp_path)
    before = song.stat()
    with Cache(tmp_path / "heard.sqlite") as remembered:
        remembered.remember_content(song, before, b"digest")
        if change == "size":
            song.write_bytes(b"longer music")
            os.utime(song, ns=(before.st_atime_ns, before.st_mtime_ns))
        else:
            step = 1 if change == "newer" else -1
            os.utime(song, ns=(before.st_atime_ns, before.st_mtime_ns + step))
        assert remembered.content(song, song.stat()) is None


def test_a_path_is_the_same_from_wherever_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    song = a_file(tmp_path)
    monkeypatch.chdir(tmp_path)
    with Cache(tmp_path / "heard.sqlite") as remembered:
        remembered.remember_content(Path("a.mp3"), song.stat(), b"digest")
        assert remembered.content(song, song.stat()) == b"digest"


def test_names_that_are_not_utf8_and_times_beyond_64_bits_are_remembered(tmp_path: Path) -> None:
    song = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp3"))
    far: Any = SimpleNamespace(st_size=5, st_mtime_ns=10**20, st_ctime_ns=10**20 + 1)
    with Cache(tmp_path / "heard.sqlite") as remembered:
        remembered.remember_content(song, far, b"digest", TAGS, reader="us")
        remembered.flush()
        assert remembered.known(song, far, "us", ()) == StoredFile(b"digest", TAGS, {})


def test_without_a_file_nothing_is_remembered_and_nothing_fails(tmp_path: Path) -> None:
    song = a_file(tmp_path)
    with Cache(None) as nothing:
        nothing.remember_content(song, song.stat(), b"digest")
        nothing.remember_heard(b"digest", "model", HEARD)
        assert nothing.content(song, song.stat()) is None
        assert nothing.heard(b"digest", "model") is None


# ---------------------------------------------------------------- tags


def at(stat: os.stat_result, **times: int) -> Any:
    """What a file system tells, but for these."""
    names = ("st_size", "st_mtime_ns", "st_ctime_ns")
    return SimpleNamespace(**({name: getattr(stat, name) for name in names} | times))


def test_an_unchanged_file_is_known_with_its_tags_and_all_that_was_heard(tmp_path: Path) -> None:
    song = a_file(tmp_path)
    then = at(song.stat(), st_ctime_ns=7)
    with Cache(tmp_path / "heard.sqlite") as remembered:
        remembered.remember_content(song, then, b"digest", TAGS, reader="us")
        for key in ("model", "damage", "another model"):
            remembered.remember_heard(b"digest", key, HEARD)
        known = remembered.known(song, then, "us", ("model", "damage", "no model"))
    assert known == StoredFile(b"digest", TAGS, {"model": HEARD, "damage": HEARD})


def test_why_a_file_cannot_be_tagged_is_remembered(tmp_path: Path) -> None:
    song, none = a_file(tmp_path), StoredFields({}, "no_tags", "raw AAC has none")
    then = at(song.stat(), st_ctime_ns=7)
    with Cache(tmp_path / "heard.sqlite") as remembered:
        remembered.remember_content(song, then, b"digest", none, reader="us")
        assert remembered.known(song, then, "us", ()) == StoredFile(b"digest", none, {})


@pytest.mark.parametrize(
    ("now", "reader", "tags"),
    [
        ({}, "us", TAGS),
        ({"st_ctime_ns": 8}, "us", None),
        ({}, "a newer us", None),
    ],
)
def test_tags_are_known_only_to_who_read_them_and_while_nothing_changed_the_file(
    tmp_path: Path, now: dict[str, int], reader: str, tags: StoredFields | None
) -> None:
    """Whoever sets a tag may put the modification time back, and need not change the size."""
    song = a_file(tmp_path)
    then = at(song.stat(), st_ctime_ns=7)
    with Cache(tmp_path / "heard.sqlite") as remembered:
        remembered.remember_content(song, then, b"digest", TAGS, reader="us")
        known = remembered.known(song, at(song.stat(), **{"st_ctime_ns": 7} | now), reader, ())
    assert known == StoredFile(b"digest", tags, {}, complete=tags is not None)


@pytest.mark.parametrize(
    ("system", "ctime_ns"),
    [("nt", 1_700_000_000_123_456_700), ("posix", 17_000_000_000_000_000), ("posix", 10_000_000)],
)
def test_tags_are_not_remembered_where_a_change_might_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, ctime_ns: int
) -> None:
    """On Windows, FAT and SFTP there is no time of the last change that nobody can set."""
    song = a_file(tmp_path)
    then = at(song.stat(), st_ctime_ns=ctime_ns)
    with Cache(tmp_path / "heard.sqlite") as remembered:
        monkeypatch.setattr(cache, "_SYSTEM", system)
        remembered.remember_content(song, then, b"digest", TAGS, reader="us")
        assert remembered.known(song, then, "us", ()) == StoredFile(b"digest", None, {})


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "{}",
            "[]",
            "null",
            "3",
            b"[{}]",
            '[{}, "", ""]',
            '[[], "", "", {}]',
            '[{"GENRE": 3}, "", "", {}]',
        ),
        *('[{"GENRE": [3]}, "", "", {}]', '[{"GENRE": ["a"]}, null, "", {}]', '[{"GENRE": ["a"'),
        *('[{"GENRE": ["a"]}, "", ""]', '[{}, "", "", []]', '[{}, "", "", {"ALBUM": [null]}]'),
    ],
)
def test_damaged_tags_are_read_again(tmp_path: Path, text: object) -> None:
    song = a_file(tmp_path)
    then = at(song.stat(), st_ctime_ns=7)
    with Cache(tmp_path / "heard.sqlite") as remembered:
        remembered.remember_content(song, then, b"digest", TAGS, reader="us")
        assert remembered._database is not None
        remembered._database.execute("UPDATE content SET tags = ?", (text,))
        known = remembered.known(song, then, "us", ())
    assert known == StoredFile(b"digest", None, {}, complete=False)


# ---------------------------------------------------------------- on its way to the disk


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What it is by the cache's clock."""
    now_s = [1000.0]
    monkeypatch.setattr(cache.time, "monotonic", lambda: now_s[0])
    return now_s


def on_disk(path: Path) -> int:
    """How many hearings another process would find."""
    database = sqlite3.connect(path)
    (n,) = database.execute("SELECT count(*) FROM heard").fetchone()
    database.close()
    return int(n)


def test_what_is_remembered_now_and_then_is_on_the_disk_at_once(
    tmp_path: Path, clock: list[float]
) -> None:
    path = tmp_path / "heard.sqlite"
    with Cache(path) as remembered:
        for number in range(3):
            remembered.remember_heard(b"%d" % number, "model", HEARD)
            assert on_disk(path) == number + 1
            clock[0] += 0.6


def test_what_is_remembered_in_quick_succession_goes_to_the_disk_together(
    tmp_path: Path, clock: list[float]
) -> None:
    path = tmp_path / "heard.sqlite"
    with Cache(path) as remembered:
        for number in range(100):
            remembered.remember_heard(b"%d" % number, "model", HEARD)
        assert on_disk(path) == 1
        clock[0] += 0.6
        remembered.remember_heard(b"one more", "model", HEARD)
        assert on_disk(path) == 101
        for number in range(1500):
            remembered.remember_heard(b"again %d" % number, "model", HEARD)
        assert on_disk(path) == 1101, "without end it would not wait either"
    assert on_disk(path) == 1601


def test_what_waits_for_the_disk_is_known_all_the_same(tmp_path: Path, clock: list[float]) -> None:
    song = a_file(tmp_path)
    with Cache(tmp_path / "heard.sqlite") as remembered:
        for number in range(3):
            digest = b"%d" % number
            remembered.remember_heard(digest, "model", HEARD)
            assert remembered.heard(digest, "model") == HEARD
            remembered.remember_content(song, song.stat(), digest)
            assert remembered.content(song, song.stat()) == digest


def test_nobody_is_locked_out_by_what_waits(tmp_path: Path, clock: list[float]) -> None:
    with Cache(tmp_path / "heard.sqlite") as one, Cache(tmp_path / "heard.sqlite") as other:
        for number in range(5):
            one.remember_heard(b"one %d" % number, "model", HEARD)
            other.remember_heard(b"other %d" % number, "model", HEARD)
        other._database.execute("PRAGMA busy_timeout = 0")  # type: ignore[union-attr]
        other.flush()
        assert one.heard(b"other 4", "model") == HEARD


# ---------------------------------------------------------------- shared


def test_threads_share_a_cache(tmp_path: Path) -> None:
    with Cache(tmp_path / "heard.sqlite") as remembered:

        def remember(thread: int) -> None:
            for number in range(50):
                remembered.remember_heard(b"%d %d" % (thread, number), "model", HEARD)

        threads = [threading.Thread(target=remember, args=(thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            join(thread)
        for thread in range(4):
            for number in range(50):
                assert remembered.heard(b"%d %d" % (thread, number), "model") == HEARD


def remember_in_a_process(path: Path, process: int) -> None:
    logging.getLogger("musictag").addHandler(logging.FileHandler(path.with_suffix(".log")))
    with Cache(path) as remembered:
        for number in range(50):
            remembered.remember_heard(b"%d %d" % (process, number), "model", HEARD)


def test_processes_that_start_together_share_a_new_cache(tmp_path: Path) -> None:
    path = tmp_path / "heard.sqlite"
    start_together(remember_in_a_process, path)
    assert path.with_suffix(".log").read_text() == ""
    with Cache(path) as remembered:
        for process in range(3):
            for number in range(50):
                assert remembered.heard(b"%d %d" % (process, number), "model") == HEARD


def test_what_was_remembered_survives_a_kill(tmp_path: Path) -> None:
    """A copy of the files in the middle of a run is what a kill would leave."""
    song = a_file(tmp_path)
    left = tmp_path / "left"
    left.mkdir()
    with Cache(tmp_path / "heard.sqlite") as running:
        running.remember_content(song, song.stat(), b"digest")
        for path in tmp_path.glob("heard.sqlite*"):
            (left / path.name).write_bytes(path.read_bytes())
    with Cache(left / "heard.sqlite") as remembered:
        assert remembered.content(song, song.stat()) == b"digest"
