"""The man page: all commands and options, and nothing that roff stumbles over."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from leaves import LEAVES
from waits import WAIT_S

from musictag.cli import manpage

PAGE = manpage.page()


def section(command: str) -> str:
    start = PAGE.index(f".SS musictag {command} [OPTIONS]")
    return re.split(r"\n\.S[SH] ", PAGE[start:])[0]


@pytest.mark.parametrize("command", sorted(LEAVES.keys() - {"model"}))
def test_every_command_has_a_section_with_all_its_options(command: str) -> None:
    text = section(command)
    for parameter in LEAVES[command].params:
        for option in parameter.opts if parameter.param_type_name == "option" else ():
            if not parameter.hidden and option.startswith("--"):
                assert option.replace("-", r"\-") in text


def test_the_same_commands_give_the_same_page_wherever_it_is_made(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "musictag.cli.manpage"],
        env={
            **os.environ,
            "COLUMNS": "40",
            "LC_ALL": "C",
            "TZ": "Asia/Tokyo",
            "MUSICTAG_JOBS": "3",
        },
        capture_output=True,
        check=True,
        timeout=WAIT_S,
    )
    assert made.stdout.decode("ascii") == PAGE


def test_the_exit_codes_are_those_of_the_documents() -> None:
    text = (Path(__file__).parents[2] / "docs" / "scripting.md").read_text(encoding="utf-8")
    table = text.split("## Exit codes")[1].split("\n## ")[0]
    assert [code for code, _ in manpage.CODES] == re.findall(r"^\| (\d+) \|", table, re.MULTILINE)


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff")
def test_roff_has_nothing_to_warn_of() -> None:
    shown = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", "-rLL=80n"],
        input=PAGE.encode(),
        capture_output=True,
        check=True,
        timeout=WAIT_S,
    )
    assert shown.stderr == b""
    assert b"musictag scan" in shown.stdout
