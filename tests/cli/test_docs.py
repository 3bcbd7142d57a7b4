"""What documents show exists: commands, options, settings, files that links lead to."""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
from pathlib import Path

import pytest
from program import Run

from musictag import config
from musictag.cli import program as cli

ROOT = Path(__file__).parents[2]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


def commands_of(path: Path) -> list[str]:
    """The musictag commands in the shell blocks of a document, each once."""
    blocks = re.findall(
        r"^```(?:sh|console)\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    lines = [line.removeprefix("$ ") for b in blocks for line in b.replace("\\\n", " ").split("\n")]
    parts = [part.strip() for line in lines for part in re.split(r"&&|\|(?=\s|$)", line)]
    return sorted({part for part in parts if part.startswith("musictag ")})


COMMANDS = [(path.name, command) for path in DOCS for command in commands_of(path)]


def test_there_are_commands_to_look_at() -> None:
    assert len(COMMANDS) >= 20


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_every_command_and_option_exists(
    name: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, *arguments = shlex.split(command, comments=True)
    with pytest.raises(SystemExit) as ended:
        cli.app([*arguments, "--help"])
    assert ended.value.code == 0, capsys.readouterr().err


@pytest.mark.parametrize("command", commands_of(ROOT / "docs" / "settings.md"))
def test_the_commands_of_settings_run(
    command: str,
    musictag: Run,
    heard_library: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, *arguments = shlex.split(command, comments=True)
    if arguments[:2] == ["config", "init"]:
        config.default_path().unlink()
    (tmp_path / "genres.txt").write_text("rock\n")
    monkeypatch.chdir(tmp_path)
    result = musictag(*(word.replace("~/Music", os.fspath(heard_library)) for word in arguments))
    assert result.code == 0, result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("setting", [f.name for f in dataclasses.fields(config.Settings)])
def test_every_setting_is_described(setting: str) -> None:
    assert re.search(rf"^\| [^|]*`{setting}`", SETTINGS, re.MULTILINE)


@pytest.mark.parametrize("block", re.findall(r"^```toml\n(.*?)^```", SETTINGS, re.DOTALL | re.M))
def test_the_settings_files_shown_are_understood(block: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(block, encoding="utf-8")
    assert config.effective(path).origins


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_all_links_to_files_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)[^)]*\)", path.read_text("utf-8")):
        assert (path.parent / target).exists(), target
