"""`musictag cache`."""

from __future__ import annotations

import json
import os
from pathlib import Path

from program import Run

from musictag.stores.cache import default_path


def test_what_is_remembered_is_told(musictag: Run, heard_library: Path) -> None:
    (record,) = musictag("cache", "info", "--json").records
    assert record["path"] == os.fspath(default_path())
    assert record["files"] == 3
    (model,) = record["models"]
    assert (model["name"], model["sounds"], model["summaries"]) == ("tiny", 3, 3)
    text = musictag("cache", "info").stdout
    assert "3 sounds by tiny, 3 with summary" in text


def test_pruning_forgets_other_models_when_asked(musictag: Run, heard_library: Path) -> None:
    assert musictag("cache", "prune").stdout == "forgot 0 files and 0 sounds, 0.0 MB\n"
    other = ("--other-models", "--model", "scat-5l-512h-gru", "--json")
    done = json.loads(musictag("cache", "prune", *other).stdout)
    assert (done["files"], done["sounds"]) == (0, 3)
    assert musictag("cache", "info", "--json").records[0]["models"] == []


def test_clearing_has_to_be_meant(musictag: Run, heard_library: Path) -> None:
    asked = musictag("cache", "clear")
    assert asked.code == 2
    assert "what was heard in 3 files: it needs --yes" in asked.stderr
    assert musictag("cache", "clear", "--yes").stdout == "forgot 3 files\n"
    assert musictag("cache", "info", "--json").records[0]["files"] == 0


def test_without_a_cache_and_with_a_damaged_one(musictag: Run, nobodys_home: Path) -> None:
    for command in (("info",), ("prune",), ("clear", "--yes")):
        result = musictag("cache", *command)
        assert result.code == 0
        assert "nothing is remembered yet" in result.stderr
        assert not default_path().exists()
    default_path().parent.mkdir(parents=True)
    default_path().write_bytes(b"no database " * 100)
    result = musictag("cache", "info")
    assert result.code == 1
    assert "heard.sqlite: " in result.stderr
    assert "Traceback" not in result.stderr
