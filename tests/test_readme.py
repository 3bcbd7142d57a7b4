"""What the README shows exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from musictag.cli import program as cli
from musictag.hearing import checkpoint
from musictag.vocabulary import FIELDS

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")

BLOCKS = re.findall(r"^```(?:sh|console)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = sorted(
    {
        command.strip()
        for block in BLOCKS
        for line in block.splitlines()
        for command in re.split(r"&&|\|(?=\s)", line.removeprefix("$ "))
        if command.strip().startswith("musictag ")
    }
)


def test_there_are_commands_to_look_at() -> None:
    assert len(COMMANDS) >= 5


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_exists(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, *arguments = shlex.split(command, comments=True)
    with pytest.raises(SystemExit) as ended:
        cli.app([*arguments, "--help"])
    assert ended.value.code == 0, capsys.readouterr().err


@pytest.mark.parametrize("field", FIELDS)
def test_it_lists_the_values_that_there_are(field: str) -> None:
    (row,) = re.findall(rf"^\| {field.lower()} \| ([A-Z][^|]*) \|$", README, re.MULTILINE)
    assert row.split(", ") == [value.name for value in checkpoint.find().vocabulary.in_field(field)]


def test_all_links_to_files_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (Path(__file__).parents[1] / target).exists(), target


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md"])
def test_nothing_is_left_to_fill_in(name: str) -> None:
    assert "@@" not in (Path(__file__).parents[1] / name).read_text(encoding="utf-8")
