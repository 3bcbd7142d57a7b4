"""Help texts and the version."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
from program import Run
from waits import WAIT_S

from musictag import __version__, config
from musictag.cli import version
from musictag.cli.commands import PANELS, Lazily
from musictag.hearing import checkpoint
from musictag.vocabulary import FIELDS

COMMANDS = tuple(Lazily())


def test_the_version_is_ours(musictag: Run) -> None:
    assert musictag("--version").stdout == f"musictag {__version__}\n"


@pytest.mark.parametrize("arguments", ["--version --json", "--json --version"])
def test_the_version_as_json_names_python_libraries_and_model(
    musictag: Run, arguments: str
) -> None:
    (found,) = musictag(*arguments.split()).records
    assert (found["musictag"], found["python"]) == (__version__, platform.python_version())
    assert found["libraries"]["mutagen"] == importlib.metadata.version("mutagen")
    model = checkpoint.find()
    assert found["model"] == {"name": model.name, "digest": model.digest}


def test_every_library_that_is_needed_is_named_with_its_version() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    needed = text.split("\ndependencies = [")[1].split("\n]")[0]
    names = set(re.findall(r'^ +"([a-z]+)', needed, re.MULTILINE)) - {"tomli"}  # Python 3.10 only
    assert set(version.LIBRARIES) == names


def test_json_without_version_is_wrong_usage(musictag: Run) -> None:
    result = musictag("--json")
    assert (result.code, result.stdout) == (2, "")
    assert "belongs to --version" in result.stderr


def test_every_command_stands_in_a_panel_with_its_summary(
    musictag: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = musictag("--help").stdout
    assert re.findall(r"^(\S.*):$", text, re.MULTILINE) == ["Options", *PANELS]
    for panel, rows in PANELS.items():
        shown = text.split(f"\n{panel}:\n")[1].split("\n\n")[0]
        assert [line.split()[0] for line in shown.splitlines()] == list(rows), "each on one line"


def test_every_command_names_a_function_that_there_is() -> None:
    for name, command in Lazily().items():
        assert command.name == name
        assert command.short_help


def test_listing_the_commands_imports_none_of_them() -> None:
    script = (
        "from musictag.cli.program import app; app(['--help'], standalone_mode=False)\n"
        "import sys; print(*sys.modules, file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, timeout=WAIT_S, text=True
    )
    modules = {f"musictag.cli.{row.module}" for rows in PANELS.values() for row in rows.values()}
    assert {*result.stderr.split()} & modules == {"musictag.cli.help"}


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
    assert re.search("evaluate +Judge a model on labelled music.", "\n".join(lines))
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
    assert re.search("^  scan +Hear music", result.stdout, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("form", ["{} --help", "{} -h", "help {}"])
def test_the_help_of_a_command_comes_in_three_ways(musictag: Run, command: str, form: str) -> None:
    result = musictag(*form.format(command).split())
    assert (result.code, result.stderr) == (0, "")
    assert f" {command} [OPTIONS]" in result.stdout.splitlines()[0]


@pytest.mark.parametrize("command", ["config show", "config init", "config path", "models list"])
@pytest.mark.parametrize("form", ["{} --help", "{} -h", "help {}"])
def test_so_does_the_help_of_a_command_in_a_group(musictag: Run, command: str, form: str) -> None:
    result = musictag(*form.format(command).split())
    assert (result.code, result.stderr) == (0, "")
    assert f" {command} [OPTIONS]" in result.stdout.splitlines()[0]


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
