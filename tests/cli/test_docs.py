"""What documents show exists: commands, options, settings, files that links lead to.

The commands are run by test_documented.py."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path

import pytest
from documented import COMMANDS, DOCS, ROOT

from musictag import config
from musictag.cli import program as cli

SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


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
