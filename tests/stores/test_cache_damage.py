"""A cache that is damaged, foreign, older or newer, or has no room, is never a reason to stop."""

from __future__ import annotations

import array
import logging
import math
import os
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from caches import HEARD, SUMMARY, TAGS, a_file

from musictag.stores import cache
from musictag.stores.cache import Cache
from musictag.stores.stored import StoredFile

# ---------------------------------------------------------------- files that are not as they were


def of_version_3(path: Path) -> None:
    """As the version before wrote it."""
    Cache(path).close()
    database = sqlite3.connect(path)
    with database:
        database.execute("DROP TABLE summary")
        database.execute("PRAGMA user_version = 3")
        row = (b"digest", "model", 240.5, array.array("f", HEARD.probabilities).tobytes(), "", "")
        database.execute("INSERT INTO heard VALUES (?, ?, ?, ?, ?, ?)", row)
        row = (os.fsencode(path), 5, "7", b"digest", "7", "", None)
        database.execute("INSERT INTO content VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    database.close()


def of_version_2(path: Path) -> None:
    database = sqlite3.connect(path)
    with database:
        database.execute(f"PRAGMA application_id = {cache.SCHEMA.application}")
        database.execute("PRAGMA user_version = 2")
        database.execute(
            "CREATE TABLE content (path BLOB PRIMARY KEY, size INTEGER NOT NULL, "
            "mtime_ns TEXT NOT NULL, digest BLOB NOT NULL) WITHOUT ROWID"
        )
        database.execute(cache.SCHEMA.objects[1])
        row = (b"digest", "model", 240.5, array.array("f", HEARD.probabilities).tobytes(), "", "")
        database.execute("INSERT INTO heard VALUES (?, ?, ?, ?, ?, ?)", row)
        row = (os.fsencode(path), 5, "7", b"digest")
        database.execute("INSERT INTO content VALUES (?, ?, ?, ?)", row)
    database.close()


@pytest.mark.parametrize("made", [of_version_2, of_version_3])
def test_a_cache_of_an_older_version_goes_on_with_what_it_knows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, made: Callable[[Path], None]
) -> None:
    path = tmp_path / "heard.sqlite"
    made(path)
    stat: Any = SimpleNamespace(st_size=5, st_mtime_ns=7, st_ctime_ns=7)
    for tags in (None, TAGS):
        with Cache(path) as remembered:
            known = remembered.known(path, stat, "us", ("model",))
            assert known == StoredFile(b"digest", tags, {"model": HEARD}, complete=tags is not None)
            remembered.remember_content(path, stat, b"digest", TAGS, reader="us")
            remembered.remember_heard(b"other", "model", replace(HEARD, summary=SUMMARY))
            stored = remembered.heard(b"other", "model", with_summary=True)
            assert stored == replace(HEARD, summary=SUMMARY)
    assert caplog.text == ""
    assert [file.name for file in tmp_path.glob("*.damaged")] == []


def garbage(path: Path) -> None:
    path.write_bytes(b"this is no database at all, " * 100)


def other_program(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE content (something TEXT)")
    database.close()


def later_version(path: Path) -> None:
    Cache(path).close()
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {cache.SCHEMA.version + 1}")
    database.close()


def half_a_schema(path: Path) -> None:
    Cache(path).close()
    database = sqlite3.connect(path)
    database.execute("DROP TABLE heard")
    database.close()


def first_version(path: Path) -> None:
    Cache(path).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 1")
    database.close()


@pytest.mark.parametrize(
    "spoil", [garbage, other_program, later_version, first_version, half_a_schema]
)
def test_a_file_that_is_not_ours_is_set_aside_whole_and_a_new_one_begun(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None]
) -> None:
    path = tmp_path / "heard.sqlite"
    spoil(path)
    before = path.read_bytes()
    with Cache(path) as remembered:
        remembered.remember_heard(b"digest", "model", HEARD)
    with Cache(path) as remembered:
        assert remembered.heard(b"digest", "model") == HEARD
    assert (tmp_path / "heard.sqlite.damaged").read_bytes() == before
    assert len(caplog.records) == 1
    assert "set aside" in caplog.text


def test_damage_found_in_the_middle_is_said_once_and_a_new_cache_begun(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "heard.sqlite"
    with Cache(path) as remembered:
        for number in range(500):
            remembered.remember_heard(b"%d" % number, "model", HEARD)
    data = bytearray(path.read_bytes())
    data[8192:] = b"\xaa" * (len(data) - 8192)  # the first page, with the schema, stays
    path.write_bytes(data)
    with Cache(path) as remembered:
        for number in range(500):
            assert remembered.heard(b"%d" % number, "model") is None
            remembered.remember_heard(b"%d" % number, "model", HEARD)
            assert remembered.heard(b"%d" % number, "model") == HEARD
    assert len(caplog.records) == 1
    assert "set aside as heard.sqlite.damaged and begun anew" in caplog.text
    assert (tmp_path / "heard.sqlite.damaged").read_bytes() == data
    with Cache(path) as remembered:
        assert remembered.heard(b"499", "model") == HEARD
    assert len(caplog.records) == 1


def test_a_disk_that_damages_every_cache_is_not_given_one_after_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Cache(tmp_path / "heard.sqlite") as remembered:
        for _ in range(2):
            with remembered._or_go_on_without():
                raise sqlite3.DatabaseError("database disk image is malformed")
        assert remembered.heard(b"digest", "model") is None
    assert len(caplog.records) == 2
    assert "going on without the cache" in caplog.text


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("probabilities", b"\0\0\0"),
        ("probabilities", "text"),
        ("probabilities", 3),
        ("probabilities", array.array("f", [0.5, math.nan]).tobytes()),
        ("probabilities", array.array("f", [0.5, 1.5]).tobytes()),
        ("probabilities", array.array("f", [-math.inf]).tobytes()),
        ("duration_s", "long"),
        ("duration_s", math.inf),
        ("duration_s", -1.0),
        ("code", b"\xff"),
        ("message", b"\xff"),
    ],
)
def test_a_damaged_row_is_not_remembered_and_can_be_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, column: str, value: object
) -> None:
    with Cache(tmp_path / "heard.sqlite") as remembered:
        remembered.remember_heard(b"d", "k", HEARD)
        remembered.remember_heard(b"other", "k", HEARD)
        remembered.flush()
        assert remembered._database is not None
        remembered._database.execute(
            f"UPDATE heard SET {column} = ? WHERE digest = ?", (value, b"d")
        )
        assert remembered.heard(b"d", "k") is None
        assert remembered.heard(b"other", "k") == HEARD
        remembered.remember_heard(b"d", "k", HEARD)
        assert remembered.heard(b"d", "k") == HEARD
    assert caplog.text == ""


@pytest.mark.parametrize(
    "numbers",
    [b"", b"\0\0", b"\0" * 6, "text", 3, b"\0\x7c\0\0", b"\0\0\0\xbc", b"\0\0\0\x7e"],
    ids=["nothing", "half", "odd", "text", "number", "infinite", "negative spread", "NaN"],
)
def test_a_summary_that_cannot_be_one_is_not_remembered_and_the_rest_is(
    tmp_path: Path, numbers: object
) -> None:
    heard = replace(HEARD, summary=SUMMARY)
    with Cache(tmp_path / "heard.sqlite") as remembered:
        remembered.remember_heard(b"d", "k", heard)
        assert remembered._database is not None
        remembered._database.execute("UPDATE summary SET numbers = ?", (numbers,))
        assert remembered.heard(b"d", "k", with_summary=True) == HEARD
        remembered.remember_heard(b"d", "k", heard)
        assert remembered.heard(b"d", "k", with_summary=True) == heard


def test_text_that_is_not_utf8_in_a_row_is_no_reason_to_go_on_without(tmp_path: Path) -> None:
    with Cache(tmp_path / "heard.sqlite") as remembered:
        remembered.remember_heard(b"d", "k", HEARD)
        assert remembered._database is not None
        remembered._database.execute("UPDATE heard SET message = CAST(x'ff' AS TEXT)")
        remembered.heard(b"d", "k")
        remembered.remember_heard(b"d", "k", HEARD)
        assert remembered.heard(b"d", "k") == HEARD


@pytest.mark.parametrize("digest", ["text", 3, 0.5])
def test_a_digest_that_is_none_is_not_known(tmp_path: Path, digest: object) -> None:
    song = a_file(tmp_path)
    with Cache(tmp_path / "heard.sqlite") as remembered:
        remembered.remember_content(song, song.stat(), b"digest")
        assert remembered._database is not None
        remembered._database.execute("UPDATE content SET digest = ?", (digest,))
        assert remembered.content(song, song.stat()) is None


def test_a_cache_folder_that_cannot_be_made_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = a_file(tmp_path, "a file where the folder should be")
    with Cache(blocked / "musictag" / "heard.sqlite") as nothing:
        nothing.remember_heard(b"digest", "model", HEARD)
        assert nothing.heard(b"digest", "model") is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_full_disk_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Cache(tmp_path / "heard.sqlite") as remembered:
        assert remembered._database is not None
        n_pages = remembered._database.execute("PRAGMA page_count").fetchone()[0]
        remembered._database.execute(f"PRAGMA max_page_count = {n_pages}")
        for number in range(1000):
            remembered.remember_heard(b"%d" % number, "model", HEARD)
    assert len(caplog.records) == 1
    assert "full" in caplog.text


def test_a_bug_of_ours_is_not_swallowed(tmp_path: Path) -> None:
    with Cache(tmp_path / "heard.sqlite") as remembered, pytest.raises(sqlite3.ProgrammingError):
        remembered._rows("SELECT ?", (), ("", ""))
