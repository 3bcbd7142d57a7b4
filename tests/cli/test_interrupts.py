"""Kills and interrupts, while the program writes and undoes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from journalled import flac, genres, posix
from program import Run
from waits import WAIT_S

HOOK = """
import os, signal, sys
from musictag.cli import program as cli
from musictag import metadata
from musictag.metadata import replacement
replace, me = os.replace, os.getpid()
def hooked(*arguments, **more):
    {}
os.replace = hooked
cli.main()
"""
KILL_BEFORE = "os.kill(me, signal.SIGKILL)"
KILL_AFTER = "replace(*arguments, **more); os.kill(me, signal.SIGKILL)"
ONCE = "os.kill(me, signal.{}); replace(*arguments, **more)"
TWICE = "os.kill(me, signal.SIGINT); os.kill(me, signal.SIGTERM); replace(*arguments, **more)"


def run_hooked(what: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The program, and what happens where it puts a new file in the old one's place."""
    return subprocess.run(
        [sys.executable, "-c", HOOK.format(what), *map(os.fspath, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )


@posix
@pytest.mark.parametrize(("where", "n_files"), [(KILL_BEFORE, 0), (KILL_AFTER, 1)])
def test_after_a_kill_the_history_knows_what_was_written(
    musictag: Run,
    remembered: list[Path],
    where: str,
    n_files: int,
) -> None:
    folder = remembered[0].parent
    before = [song.read_bytes() for song in remembered]
    assert run_hooked(where, "scan", folder, "--write").returncode == -signal.SIGKILL
    (told,) = musictag("history", "--json").records
    assert (told["files"], told["ending"]) == (n_files, None)
    _, line = musictag("history").stdout.splitlines()
    assert "  interrupted  scan " in line
    assert ", interrupted\n" in musictag("history", "1").stdout
    assert genres(remembered) == [bool(n_files), False, False]
    assert musictag("undo").code == 0
    assert genres(remembered) == [False, False, False]
    assert [song.read_bytes() for song in remembered] == before
    assert musictag("scan", folder, "--write").code == 0, "the same command continues"
    assert genres(remembered) == [True, True, True]


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_the_first_interrupt_lets_the_file_in_hand_be_finished(
    musictag: Run,
    remembered: list[Path],
    name: str,
) -> None:
    command = ("scan", remembered[0].parent, "--write")
    ended = run_hooked(ONCE.format(name), *command)
    assert ended.returncode == 130
    assert "1 written." in ended.stderr
    assert "run the same command again to continue" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert genres(remembered) == [True, False, False]
    (told,) = musictag("history", "--json").records
    assert (told["files"], told["ending"]) == (1, "interrupted")
    assert musictag(*command).code == 0
    assert genres(remembered) == [True, True, True]


@posix
def test_the_second_interrupt_ends_at_once_and_leaves_no_half_file(
    musictag: Run,
    remembered: list[Path],
) -> None:
    folder = remembered[0].parent
    before = {song: song.read_bytes() for song in remembered}
    ended = run_hooked(TWICE, "scan", folder, "--write")
    assert ended.returncode == 130
    assert "Traceback" not in ended.stderr
    assert {song: song.read_bytes() for song in folder.iterdir()} == before
    (told,) = musictag("history", "--json").records
    assert (told["files"], told["ending"]) == (0, "interrupted")


@posix
def test_an_undo_finishes_the_file_in_hand_too(
    musictag: Run,
    remembered: list[Path],
) -> None:
    musictag("scan", remembered[0].parent, "--write")
    ended = run_hooked(ONCE.format("SIGINT"), "undo")
    assert ended.returncode == 130
    assert "1 restored." in ended.stderr
    assert genres(remembered) == [False, True, True]
    assert musictag("undo").code == 0, "the same command continues"
    assert genres(remembered) == [False, False, False]


@posix
def test_an_interrupt_while_the_model_is_loaded_ends_the_scan(
    musictag: Run,
    tmp_path: Path,
) -> None:
    flac(tmp_path / "Music")
    script = (
        "import os, signal; from musictag.cli import program as cli\n"
        "from musictag.hearing import checkpoint\n"
        "load = checkpoint.Checkpoint.load\n"
        "def hooked(*arguments, **options):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    return load(*arguments, **options)\n"
        "checkpoint.Checkpoint.load = hooked; cli.main()"
    )
    command = [sys.executable, "-c", script, "scan", os.fspath(tmp_path / "Music"), "--write"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WAIT_S)
    assert (ended.returncode, ended.stdout) == (130, "")
    assert "Interrupted before the first track." in ended.stderr
    assert "Traceback" not in ended.stderr
