"""Help texts and the version."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys

import pytest
from program import Run
from waits import WAIT_S

from musictag import __version__, config
from musictag.vocabulary import FIELDS

COMMANDS = (
    "scan",
    "playlist",
    "undo",
    "history",
    "model",
    "taggram",
    "train",
    "evaluate",
    "config",
    "help",
)


def test_the_version_is_ours(musictag: Run) -> None:
    assert musictag("--version").stdout == f"musictag {__version__}\n"


def test_help_names_every_setting(musictag: Run) -> None:
    text = musictag("scan", "--help").stdout + musictag("watch", "--help").stdout
    for field in dataclasses.fields(config.Settings):
        assert "--" + field.name.replace("_", "-") in text


@pytest.mark.parametrize("command", ["scan", "train", "evaluate"])
def test_help_lists_every_device(musictag: Run, command: str) -> None:
    text = " ".join(musictag(command, "--help").stdout.split())
    assert "auto, cpu, cuda, cuda:N or mps." in text


def test_the_list_of_commands_is_cut_nowhere(
    musictag: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = musictag("--help").stdout.splitlines()
    assert "evaluate  Judge a model on labelled music." in "\n".join(lines)
    assert not [line for line in lines[1:] if line.endswith("...")]


def test_python_dash_m_is_the_same_program() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "musictag", "--version"],
        capture_output=True,
        check=True,
        timeout=WAIT_S,
    )
    assert result.stdout.decode().strip() == f"musictag {__version__}"


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["help"]])
def test_the_help_of_the_program_comes_in_three_ways(musictag: Run, arguments: list[str]) -> None:
    result = musictag(*arguments)
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.startswith("Usage: ")
    assert "  scan      Hear music" in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("form", ["{} --help", "{} -h", "help {}"])
def test_the_help_of_a_command_comes_in_three_ways(musictag: Run, command: str, form: str) -> None:
    result = musictag(*form.format(command).split())
    assert (result.code, result.stderr) == (0, "")
    assert f" {command} [OPTIONS]" in result.stdout.splitlines()[0]


@pytest.mark.parametrize("command", ["show", "init", "path"])
def test_so_does_the_help_of_a_command_of_config(musictag: Run, command: str) -> None:
    result = musictag("config", command, "-h")
    assert (result.code, result.stderr) == (0, "")
    assert f" config {command} [OPTIONS]" in result.stdout.splitlines()[0]


def test_help_of_a_command_that_does_not_exist_is_wrong_usage(musictag: Run) -> None:
    result = musictag("help", "scam")
    assert (result.code, result.stdout) == (2, "")
    assert "No such command 'scam'" in result.stderr


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_the_terminal_and_shows_no_python_types(
    musictag: Run, monkeypatch: pytest.MonkeyPatch, command: str, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = musictag(*command.split(), "--help").stdout
    assert max(map(len, text.splitlines())) <= columns
    assert "list[" not in text
    assert "<" not in text
    assert "..." not in text.split("\n\n", 1)[1]


def test_options_of_a_scan_stand_in_panels(musictag: Run) -> None:
    text = musictag("scan", "--help").stdout
    panels = re.findall(r"^(\S.*):$", text, re.MULTILINE)
    assert panels == [
        *("What to scan", "What to write", "Which words to write", "How to hear"),
        *("What to print", "Other"),
    ]
    to_write = text.split("What to write:")[1].split("Which words to write:")[0]
    for option in ("--write", "--fields", "--existing", "--max-vocals", "--join", "--hardlinks"):
        assert f"  {option}" in to_write


def test_help_names_the_fields_that_there_are(musictag: Run) -> None:
    assert ",".join(FIELDS).lower() in musictag("scan", "--help").stdout
