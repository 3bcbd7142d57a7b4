"""The container's start, its compose file and what its image is built from, without Docker."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from waits import WAIT_S

from musictag.config.declared import declared

ROOT = Path(__file__).parents[1]
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
posix = pytest.mark.skipif(sys.platform != "linux", reason="a container runs Linux")


@pytest.fixture
def start(tmp_path: Path) -> object:
    """The entrypoint, in a machine where root and every program only say how they are called."""
    programs = tmp_path / "bin"
    programs.mkdir()
    calls = {"id": 'echo "${ME:-0}"', "find": "exit 0"}
    for name in ("id", "find", "setpriv", "musictag"):
        program = programs / name
        program.write_text(f'#!/bin/sh\n{calls.get(name, f"""echo {name} "$@" """)}\n')
        program.chmod(0o755)

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["sh", ROOT / "docker" / "entrypoint.sh", *words],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": path, "HOME": os.fspath(tmp_path), **environment},
            timeout=WAIT_S,
        )

    return run


AS_1000 = "setpriv --reuid 1000 --regid 1000 --clear-groups -- musictag watch /music\n"
AS_99 = "setpriv --reuid 99 --regid 100 --clear-groups -- musictag watch /music\n"


@posix
@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, AS_1000),
        ({"PUID": "", "PGID": ""}, AS_1000),
        ({"PUID": "99", "PGID": "100"}, AS_99),
        ({"ME": "1000"}, "musictag watch /music\n"),
    ],
)
def test_it_runs_as_the_user_to_whom_the_music_belongs(
    start: object, environment: dict[str, str], said: str
) -> None:
    ended = start("watch", "/music", **environment)  # type: ignore[operator]
    assert (ended.returncode, ended.stdout) == (0, said), ended.stderr


@posix
@pytest.mark.parametrize("name", ["PUID", "PGID"])
def test_a_user_that_is_no_number_is_a_sentence(start: object, name: str) -> None:
    ended = start("watch", "/music", **{name: "me"})  # type: ignore[operator]
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "must be numbers, not 'me'" in ended.stderr


def test_the_environment_of_the_compose_file_names_settings() -> None:
    names = re.findall(r"MUSICTAG_([A-Z_]+):", COMPOSE)
    assert {name.lower() for name in names} <= declared().keys()
    assert len(names) == 3


def test_the_compose_file_writes_nothing_until_it_is_told_to() -> None:
    (command,) = re.findall(r"^ +command: ([^#\n]*)", COMPOSE, re.MULTILINE)
    assert command.split() == ["watch", "/music"]
    assert "/music:ro" in COMPOSE


def test_the_image_is_built_from_what_the_package_needs() -> None:
    """What `.dockerignore` lets through is what pyproject.toml and the Dockerfile name."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    let_through = {line[1:] for line in lines if line.startswith("!")}
    assert all((ROOT / name).exists() for name in let_through)
    code = {"musictag", "beetsplug", "models", "docker"}
    needed = {*code, "pyproject.toml", "hatch_build.py", "README.md", "LICENSE"}
    assert let_through == needed


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="no shellcheck")
def test_shellcheck_finds_nothing() -> None:
    subprocess.run(["shellcheck", ROOT / "docker" / "entrypoint.sh"], check=True)


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="no hadolint")
def test_hadolint_finds_nothing() -> None:
    subprocess.run(["hadolint", ROOT / "Dockerfile"], check=True)


def test_state_outlives_the_container() -> None:
    """Journal, cache and settings are all on the volume."""
    kinds = re.findall(r"XDG_([A-Z]+)_HOME=/state/", DOCKERFILE)
    assert kinds == ["CACHE", "CONFIG", "DATA", "STATE"]
    assert "VOLUME /state" in DOCKERFILE
    assert "state:/state" in COMPOSE
