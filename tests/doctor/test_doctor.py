"""`musictag doctor`: what works has a line, what does not has a cure."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from program import Run

from musictag import config
from musictag.doctor import hearing, parts, sound
from musictag.errors import CheckpointError
from musictag.hearing import checkpoint
from musictag.hearing.kernels import choice
from musictag.stores import cache as caches
from musictag.stores import journal as journals
from musictag.stores.inspected import inspected

LINES = [
    *(
        "Python",
        "machine",
        "decoders",
        "extensions",
        "model",
        "settings",
        "cache",
        "journal",
        "file names",
    ),
    *("kernels", "self-test"),
]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the self-test, which takes most of the time."""
    monkeypatch.delitem(parts.PARTS, "self-test")


def checks(musictag: Run) -> dict[str, dict[str, Any]]:
    result = musictag("doctor", "--json")
    (found,) = result.records
    assert result.code == (0 if found["works"] else 1)
    assert found["works"] == all(check["state"] != "bad" for check in found["checks"])
    for check in found["checks"]:
        assert bool(check["cure"]) == (check["state"] != "ok"), check
    return {check["name"]: check for check in found["checks"]}


def test_where_all_works_every_line_is_ok_and_nothing_is_made(
    musictag: Run, nobodys_home: Path
) -> None:
    before = sorted(nobodys_home.rglob("*"))
    result = musictag("doctor")
    assert result.code == 0, result.stdout
    assert [line[6:17].strip() for line in result.stdout.splitlines()] == LINES
    assert {line.split()[0] for line in result.stdout.splitlines()} <= {"ok", "slow"}
    assert sorted(nobodys_home.rglob("*")) == before


@pytest.mark.parametrize("transforms", ["mkl", "portable"])
@pytest.mark.parametrize("products", ["mkl", "portable"])
def test_the_made_sound_is_heard_alike_by_all_kernels(transforms: str, products: str) -> None:
    try:
        kernels = choice.choose(transforms=transforms, products=products)
    except RuntimeError:
        pytest.skip("no oneMKL here")
    model = checkpoint.find()
    ear = model.load("cpu", n_cores=1, kernels=kernels)
    samples = sound.made()[None].astype("float32") / 32_768
    found = dict(zip(model.tags, map(float, ear.hear(samples).probabilities[0]), strict=True))
    result = hearing.compared(model, found)
    assert result.state == "ok"
    assert result.details["largest_difference"] < sound.TOLERANCE / 2  # type: ignore[operator]


@pytest.mark.parametrize("value", [0.5, float("nan")])
def test_a_wrong_probability_is_named(value: float) -> None:
    found = {**sound.expected()["probabilities"], "piano": value}
    result = hearing.compared(checkpoint.find(), found)
    assert result.state == "bad"
    assert "piano" in result.text


def test_without_onemkl_it_hears_and_says_with_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice.mkl, "is_there", lambda: False)
    kernels, test = parts.look("self-test")
    assert (kernels.state, test.state) == ("ok", "ok")
    assert kernels.text.startswith("transforms by SciPy, products by NumPy")


@pytest.mark.parametrize("store", ["cache", "journal"])
def test_a_damaged_store_is_bad_and_left_alone(musictag: Run, quick: None, store: str) -> None:
    path = caches.default_path() if store == "cache" else journals.default_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no database at all" * 100)
    found = checks(musictag)[store]
    assert found["state"] == "bad"
    assert found["details"]["state"] == "damaged"
    assert str(path) in found["text"]
    assert path.read_bytes() == b"no database at all" * 100


def test_a_journal_of_a_newer_musictag_wants_an_update(musictag: Run, quick: None) -> None:
    path = journals.default_path()
    with journals.Journal(path) as journal:
        journal._database.execute("PRAGMA user_version = 99")
    assert checks(musictag)["journal"]["cure"] == "update musictag"


def test_whole_stores_have_their_sizes_and_no_file_beside_them(
    musictag: Run, quick: None, heard_once_here: Path
) -> None:
    found = checks(musictag)["cache"]
    assert (found["state"], found["details"]["rows"]) == ("ok", 0)
    assert found["details"]["bytes"] == heard_once_here.stat().st_size
    assert [path.name for path in heard_once_here.parent.iterdir()] == [heard_once_here.name]


@pytest.fixture
def heard_once_here(nobodys_home: Path) -> Path:
    with caches.Cache(caches.default_path()):
        pass
    return caches.default_path()


def test_a_large_store_is_looked_at_for_as_long_as_there_is(heard_once_here: Path) -> None:
    import sqlite3  # noqa: PLC0415

    with sqlite3.connect(heard_once_here) as database:
        rows = ((str(n).encode(), 1, "1", b"x", "", "", "") for n in range(20_000))
        database.executemany("INSERT INTO content VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    database.close()
    assert inspected(heard_once_here, caches.SCHEMA, "content", most_s=0).kind == "unfinished"
    assert inspected(heard_once_here, caches.SCHEMA, "content", most_s=60).n_rows == 20_000


def test_a_file_where_a_folder_should_be_is_bad(musictag: Run, quick: None) -> None:
    folder = caches.default_path().parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("")
    found = checks(musictag)["cache"]
    assert found["state"] == "bad"
    assert str(folder) in found["cure"]


def test_a_mistake_in_the_settings_is_said_once_with_its_line(musictag: Run, quick: None) -> None:
    config.default_path().write_text("max_genre = 1\n")
    found = checks(musictag)
    assert ":1: max_genre: no such setting" in found["settings"]["text"]
    assert [name for name, check in found.items() if check["state"] == "bad"] == ["settings"]


def test_a_model_that_is_not_there_is_bad(
    musictag: Run, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSICTAG_MODEL", "nobody")
    assert checks(musictag)["model"]["text"].startswith("nobody: neither a directory")


def test_damaged_weights_are_bad_and_the_rest_is_looked_at(
    musictag: Run, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(_: object) -> bytes:
        raise CheckpointError("weights.safetensors: not the weights")

    monkeypatch.setattr(checkpoint.Checkpoint, "weights", damaged)
    assert checks(musictag)["model"]["state"] == "bad"


@pytest.mark.parametrize(("library", "line"), [("av", "decoders"), ("soundfile", "decoders")])
def test_a_missing_library_is_bad_and_the_rest_is_looked_at(
    musictag: Run, quick: None, monkeypatch: pytest.MonkeyPatch, library: str, line: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    found = checks(musictag)
    assert found[line]["state"] == "bad"
    assert library in found[line]["text"]
    assert [*found] == [name for name in LINES[:-2] if name != "extensions"]


def test_the_stored_answer_is_that_of_the_bundled_model() -> None:
    stored = json.loads(sound.EXPECTED.read_text(encoding="utf-8"))
    assert stored["digest"] == checkpoint.find().digest
