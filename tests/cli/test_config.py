"""`musictag config`: the settings in effect, their file, and where both come from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from program import Run

from musictag import config


def test_show_prints_each_setting_with_its_origin(
    musictag: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSICTAG_MAX_MOODS", "1")
    result = musictag("config", "show")
    assert (result.code, result.stderr) == (0, "")
    lines = [line.split("  # ") for line in result.stdout.splitlines()]
    origins = {line[0].split(" = ")[0].strip(): line[1] for line in lines[1:]}
    assert lines[0] == [f"# {config.default_path()}"]
    assert origins["model"] == "config.toml:1"
    assert origins["max_moods"] == "MUSICTAG_MAX_MOODS"
    assert origins["fields"] == "default"
    assert origins["# segments"] == "default"


def test_show_prints_json(musictag: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSICTAG_MAX_MOODS", "1")
    found = json.loads(musictag("config", "show", "--json").stdout)
    path = str(config.default_path())
    assert (found["path"], found["exists"]) == (path, True)
    settings = found["settings"]
    assert settings["jobs"] == {"value": 2, "from": "file", "place": f"{path}:2"}
    assert settings["max_moods"]["from"] == "environment"
    assert settings["fields"] == {"value": ["genre", "mood"], "from": "default", "place": None}


def test_init_begins_a_file_once(musictag: Run, nobodys_home: Path) -> None:
    path = config.default_path()
    refused = musictag("config", "init")
    assert refused.code == 2
    assert refused.stderr == f"musictag: {path}: there is one already; not touching it\n"
    assert "jobs = 2" in path.read_text()
    path.unlink()
    path.parent.rmdir()
    assert musictag("config", "init").stderr == f"musictag: wrote {path}\n"
    assert config.load() == config.Settings()
    assert path.read_text().startswith("# Settings of musictag")


def test_path_prints_where_the_file_is(musictag: Run, tmp_path: Path) -> None:
    assert musictag("config", "path").stdout == f"{config.default_path()}\n"


def test_a_mistake_in_the_file_is_said_by_show_too(musictag: Run) -> None:
    config.default_path().write_text("[existing]\ngenre = 'no'\n")
    result = musictag("config", "show")
    assert (result.code, result.stdout) == (2, "")
    assert f"{config.default_path()}:2: existing: expected keep, merge" in result.stderr
