"""Help texts and the version."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
from program import Run
from waits import WAIT_S

from musictag import __version__, config


def test_the_version_is_ours(musictag: Run) -> None:
    assert musictag("--version").stdout == f"musictag {__version__}\n"


def test_help_names_every_setting(musictag: Run) -> None:
    text = musictag("scan", "--help").stdout
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
