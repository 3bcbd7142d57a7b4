"""`musictag models`: which there are, whether they are whole, and one's own."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from program import Run

from musictag.hearing import checkpoint, models, places

BUNDLED = ["listener-5l-512h-gru", "scat-5l-512h-gru"]


def names(musictag: Run) -> list[str]:
    return [record["name"] for record in musictag("models", "list", "--json").records]


def test_bundled_models_are_listed_with_what_verifies_them(musictag: Run) -> None:
    listed = musictag("models", "list", "--json")
    assert listed.code == 0
    assert [record["name"] for record in listed.records] == BUNDLED
    for record in listed.records:
        assert record["digest"] == checkpoint.find(record["name"]).digest
        assert record["bundled"]
        assert record["error"] is None
    assert [line.split()[0] for line in musictag("models", "list").stdout.splitlines()] == BUNDLED


def test_the_model_of_the_settings_has_a_star(
    musictag: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSICTAG_MODEL", BUNDLED[1])
    lines = musictag("models", "list").stdout.splitlines()
    assert [line[0] for line in lines] == [" ", "*"]


def test_an_added_model_is_found_by_its_name_from_every_folder(
    musictag: Run, tiny: Path, heard_library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = musictag("models", "add", tiny, "--name", "my words")
    assert (added.code, added.stdout) == (0, "")
    assert str(places.own() / "my words") in added.stderr
    monkeypatch.chdir(heard_library)
    assert names(musictag) == [*BUNDLED, "my words"]
    assert musictag("models", "path", "my words").stdout == f"{places.own() / 'my words'}\n"
    assert "digest      " + checkpoint.read(tiny).digest in musictag("model", "my words").stdout
    scanned = musictag("scan", ".", "--model", "my words", "--format", "jsonl")
    assert scanned.code == 0, scanned.stderr
    assert {record["model"] for record in scanned.records} == {"tiny"}


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda model: (model / "config.json").unlink(), "config.json: there is no such file"),
        (lambda model: (model / "config.json").write_text("{"), "config.json: not JSON"),
        (lambda model: (model / "weights.safetensors").write_bytes(b"no"), "not the weights that"),
        (lambda model: (model / "weights.safetensors").unlink(), "there is no such file"),
    ],
)
def test_a_broken_model_is_refused_with_the_reason_and_nothing_is_left(
    musictag: Run, tiny: Path, tmp_path: Path, break_it: object, reason: str
) -> None:
    broken = shutil.copytree(tiny, tmp_path / "broken")
    break_it(broken)  # type: ignore[operator]
    result = musictag("models", "add", broken, "--name", "mine")
    assert (result.code, result.stdout) == (2, "")
    assert reason in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not places.own().exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (BUNDLED[0], "a model of this name comes with musictag"),
        ("../mine", "cannot be the name of a folder"),
        (".mine", "cannot be the name of a folder"),
        ("mine", "exists (--overwrite"),
    ],
)
def test_a_name_that_cannot_be_given_is_refused(
    musictag: Run, tiny: Path, name: str, reason: str
) -> None:
    assert musictag("models", "add", tiny, "--name", "mine").code == 0
    result = musictag("models", "add", tiny, "--name", name)
    assert result.code == 2
    assert reason in result.stderr
    assert names(musictag) == [*BUNDLED, "mine"]
    assert [entry.name for entry in places.own().iterdir()] == ["mine"]


def test_overwriting_replaces_a_model_even_a_broken_one(musictag: Run, tiny: Path) -> None:
    musictag("models", "add", tiny)
    (places.own() / "tiny" / "weights.safetensors").write_bytes(b"damaged")
    assert musictag("models", "verify", "tiny").code == 1
    assert musictag("models", "add", tiny, "--overwrite").code == 0
    assert musictag("models", "verify", "tiny").code == 0


def test_what_is_in_the_place_of_the_data_directory_is_said(
    musictag: Run, tiny: Path, nobodys_home: Path
) -> None:
    places.own().parent.parent.mkdir(parents=True, exist_ok=True)
    places.own().parent.write_text("a file")
    result = musictag("models", "add", tiny)
    assert (result.code, len(result.stderr.splitlines())) == (2, 1)
    assert os.fspath(places.own()) in result.stderr


def test_verify_has_a_line_for_each_and_names_the_broken_one(musictag: Run, tiny: Path) -> None:
    musictag("models", "add", tiny)
    assert musictag("models", "verify").code == 0
    described = places.own() / "tiny" / "config.json"
    config = json.loads(described.read_text())
    described.write_text(json.dumps(config | {"weights_sha256": "0" * 64}))
    result = musictag("models", "verify")
    assert result.code == 1
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["ok", "ok", "broken"]
    assert "weights.safetensors: not the weights that config.json names" in result.stdout
    described.write_text("{")
    listed = musictag("models", "list")
    assert listed.code == 1
    assert "broken: " in listed.stdout


def test_added_names_are_completed_and_offered(musictag: Run, tiny: Path) -> None:
    from musictag.cli import completion  # noqa: PLC0415

    musictag("models", "add", tiny)
    assert completion.models("t") == ["tiny"]
    assert ", tiny)" in musictag("models", "path", "tinny").stderr


def test_a_copy_that_went_wrong_is_not_kept(
    musictag: Run, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaging(_: object, target: Path) -> None:
        shutil.copytree(tiny, target, dirs_exist_ok=True)
        (target / "weights.safetensors").write_bytes(b"damaged")

    monkeypatch.setattr(models, "_copy", damaging)
    assert musictag("models", "add", tiny).code == 2
    assert list(places.own().iterdir()) == []
