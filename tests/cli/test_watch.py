"""The command `watch`: what it prints, writes and leaves alone."""

from __future__ import annotations

import builtins
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sounds
from journalled import flac, genres, posix
from program import Run
from waits import WAIT_S
from watched import Script

from musictag.cli import watch as command
from musictag.watching.source import Told


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Script]:
    """Let a watch follow a script in place of the system and of time."""

    def follow(**steps: Any) -> Script:
        made = Script(**steps)
        monkeypatch.setattr(command, "_source", lambda _: made)
        monkeypatch.setattr(command, "CLOCKS", {"clock": made.clock, "time": lambda: 2.0**40})
        return made

    return follow


def nothing() -> None:
    """A step that only lets time pass."""


def test_it_says_what_it_writes_and_little_else(
    musictag: Run, remembered: list[Path], script: Callable[..., Script]
) -> None:
    folder = remembered[0].parent
    script(at_10=nothing)
    result = musictag("watch", folder, "--write")
    assert result.code == 0
    assert result.stdout == "".join(f"{song}: genre Rock; mood Slow\n" for song in remembered)
    assert result.stderr.splitlines()[-1] == f"musictag: watching {folder}"
    assert genres(remembered) == [True] * 3
    assert musictag("watch", folder, "--write", "-q").stdout == ""


def test_without_write_it_touches_nothing(
    musictag: Run, remembered: list[Path], script: Callable[..., Script]
) -> None:
    before = [song.read_bytes() for song in remembered]
    script(at_10=nothing)
    result = musictag("watch", remembered[0].parent)
    assert result.code == 0
    assert f"{remembered[0]}: would get genre Rock; mood Slow\n" in result.stdout
    assert "add --write" in result.stderr
    assert [song.read_bytes() for song in remembered] == before
    assert "no run" in musictag("history").stderr


def test_each_batch_is_a_run_that_can_be_taken_back(
    musictag: Run, remembered: list[Path], script: Callable[..., Script]
) -> None:
    folder = remembered[0].parent
    late = remembered[2].rename(folder.parent / "late.flac")

    def come() -> Told:
        late.rename(folder / "late.flac")
        return Told(files={folder / "late.flac"})

    script(at_10=come, at_30=nothing)
    assert musictag("watch", folder, "--write").code == 0
    runs = musictag("history", "--json").records
    assert [run["files"] for run in runs] == [1, 2]
    assert [run["ending"] for run in runs] == ["complete"] * 2
    assert musictag("undo").code == 0
    assert genres([*remembered[:2], folder / "late.flac"]) == [True, True, False]


def test_what_was_taken_back_stays_so_until_a_scan_writes_it(
    musictag: Run, remembered: list[Path], script: Callable[..., Script]
) -> None:
    folder = remembered[0].parent
    assert musictag("scan", folder, "--write").code == 0
    assert musictag("undo", remembered[0]).code == 0
    script(at_10=lambda: Told(files=set(remembered)), at_30=nothing)
    result = musictag("watch", folder, "--write")
    assert (result.code, result.stdout) == (0, "")
    assert genres(remembered) == [False, True, True]
    sounds.make(folder, "flac", name="0.flac", seed=9)
    script(at_10=nothing)
    result = musictag("watch", folder, "--write")
    assert "0.flac: genre Rock" in result.stdout, "it is other music now"
    assert [musictag("undo").code, musictag("undo").code] == [0, 0]
    assert genres(remembered) == [False] * 3
    assert musictag("scan", folder, "--write").code == 0
    assert genres(remembered) == [True] * 3


def test_a_broken_file_is_one_line_and_the_watch_goes_on(
    musictag: Run, remembered: list[Path], script: Callable[..., Script]
) -> None:
    broken = remembered[0].with_name("broken.mp3")
    broken.write_text("not music at all")
    script(at_10=lambda: Told(everything=True), at_20=lambda: Told(files={broken}), at_40=nothing)
    result = musictag("watch", broken.parent, "--write")
    assert result.code == 0
    assert result.stderr.count("it is text, not sound") == 1


def test_silence_is_not_worth_a_line(
    musictag: Run, tmp_path: Path, script: Callable[..., Script]
) -> None:
    (tmp_path / "Music").mkdir()
    sounds.write(tmp_path / "Music" / "a.wav", "wav", sounds.silence(), 44_100)
    script(at_10=nothing)
    result = musictag("watch", tmp_path / "Music", "--write")
    assert "there is only silence" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to watch"),
        (["song.flac"], "song.flac: not a folder (musictag scan takes files)"),
        ([".", "--settle", "0"], "--settle: expected a number of seconds, at least 0.1, not 0.0"),
        ([".", "--poll", "0"], "--poll: expected a number of seconds, at least 0.1, not 0.0"),
        ([".", "--model", "no such model"], "no such model: neither a directory"),
        ([".", "--fields", "artist"], "--fields: expected"),
    ],
)
def test_wrong_usage_ends_at_once_with_one_line(
    musictag: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "song.flac").touch()
    result = musictag("watch", *arguments)
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr.startswith("musictag: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr


def test_without_watchdog_it_names_the_extra_and_polling(
    musictag: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("watchdog"):
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.delitem(sys.modules, "musictag.watching.system", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    result = musictag("watch", tmp_path)
    assert result.code == 2
    assert "musictag[watch]" in result.stderr
    assert "--poll 60" in result.stderr


def test_it_has_every_option_of_scan_that_is_a_setting(musictag: Run) -> None:
    options = {
        name: set(re.findall(r"(?<=\s)--[a-z-]+[a-z]", musictag(name, "--help").stdout))
        for name in ("scan", "watch")
    }
    of_scan_alone = {"--files-from", "--null", "--ray", "--format", "--verbose"}
    assert options["scan"] - options["watch"] == of_scan_alone
    assert options["watch"] - options["scan"] == {"--settle", "--poll"}


# ---------------------------------------------------------------- in a process of its own


@pytest.fixture
def started(use_tiny: None) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    programs: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "musictag", "watch", *map(os.fspath, arguments)]
        program = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        programs.append(program)
        return program

    yield start
    for program in programs:
        program.kill()
        program.wait(WAIT_S)
        assert program.stdout is not None
        program.stdout.close()


def line_with(program: subprocess.Popen[str], text: str) -> str:
    """The next line of a program that has this in it."""
    assert program.stdout is not None
    guard = threading.Timer(WAIT_S, program.kill)
    guard.start()
    try:
        for line in program.stdout:
            if text in line:
                return line
    finally:
        guard.cancel()
    raise AssertionError(f"it ended without {text!r}")


@posix
@pytest.mark.parametrize("how", [[], ["--poll", "0.2"]], ids=["events", "poll"])
def test_a_file_that_comes_is_written_and_sigterm_ends_it_well(
    tmp_path: Path, started: Callable[..., subprocess.Popen[str]], how: list[str]
) -> None:
    if not how:
        pytest.importorskip("watchdog")
    music = tmp_path / "Music"
    old = flac(music, "old.flac")
    time.sleep(0.3)  # until it counts as whole
    program = started(music, "--write", "--settle", "0.2", *how)
    assert line_with(program, "genre") == f"{old}: genre Rock; mood Slow\n"
    line_with(program, f"watching {music}")
    other = started(music)
    assert other.wait(WAIT_S) == 2
    assert line_with(other, "musictag") == f"musictag: {music}: another musictag is watching it\n"
    song = flac(tmp_path / "beside").rename(music / "new.flac")
    assert line_with(program, "genre") == f"{song}: genre Rock; mood Slow\n"
    program.send_signal(signal.SIGTERM)
    assert program.wait(WAIT_S) == 0
    assert genres([old, song]) == [True, True]
