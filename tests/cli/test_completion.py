"""What shells complete."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from waits import WAIT_S

from musictag.cli.program import app

Complete = Callable[[str], list[str]]


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Complete:
    """What bash is given for the last word of a command line."""

    def run(line: str) -> list[str]:
        monkeypatch.setenv("_MUSICTAG_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        with pytest.raises(SystemExit) as ended:
            app(prog_name="musictag")
        assert ended.value.code == 0
        return capsys.readouterr().out.split()

    return run


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("musictag sc", ["scan"]),
        ("musictag h", ["history", "help"]),
        ("musictag help ev", ["evaluate"]),
        (
            "musictag scan --max-",
            ["--max-genres", "--max-moods", "--max-instruments", "--max-vocals"],
        ),
        ("musictag scan --device ", ["auto", "cpu", "cuda", "mps"]),
        ("musictag scan --device c", ["cpu", "cuda"]),
        ("musictag scan --format js", ["jsonl"]),
        ("musictag scan --hardlinks r", ["refuse", "replace"]),
        ("musictag scan --fields g", ["genre"]),
        ("musictag scan --fields genre,", ["genre,mood", "genre,instrument", "genre,vocals"]),
        ("musictag scan --existing r", ["replace"]),
        ("musictag scan --existing genre=m", ["genre=merge"]),
        ("musictag scan --existing genre=merge,m", ["genre=merge,mood="]),
        ("musictag evaluate --split v", ["validation"]),
        ("musictag evaluate --level t", ["track"]),
        ("musictag scan Mus", []),
    ],
)
def test_commands_options_and_words_are_completed(
    complete: Complete, line: str, expected: list[str]
) -> None:
    assert complete(line) == expected


@pytest.mark.parametrize("line", ["scan --model ", "model ", "train --start-from "])
def test_the_names_of_models_are_completed(complete: Complete, line: str) -> None:
    assert {"listener-5l-512h-gru", "scat-5l-512h-gru"} <= {*complete(f"musictag {line}")}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(
    shell: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("typer.completion._get_shell_name", lambda: shell)
    with pytest.raises(SystemExit) as ended:
        app(["--show-completion"], prog_name="musictag")
    script = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"_MUSICTAG_COMPLETE=complete_{shell}" in script


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_with_the_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The script as bash runs it, with a `musictag` on the PATH."""
    program = tmp_path / "musictag"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m musictag "$@"\n')
    program.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr("typer.completion._get_shell_name", lambda: "bash")
        app(["--show-completion"], prog_name="musictag")
    script = (
        capsys.readouterr().out
        + """
COMP_WORDS=(musictag scan --device c); COMP_CWORD=3
_musictag_completion musictag; echo "${COMPREPLY[*]}"
"""
    )
    result = subprocess.run(
        ["bash", "-c", f"PATH={tmp_path}:$PATH\n{script}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=WAIT_S,
    )
    assert result.stdout.split() == ["cpu", "cuda"]
