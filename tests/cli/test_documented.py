"""Every command that the documents show is run, in a scratch library with made sounds.

`pytest tests/cli/test_documented.py -v` lists the commands that are run, and those that are not
with the reason. For options that do not exist see test_docs.py, which looks at all of them.
"""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest
from documented import COMMANDS
from program import Run

from musictag import config

NOT_RUN = {
    "scan --ray": "needs a cluster: tests/cluster",
    "scan -0 --files-from -": "reads what find prints: test_streams.py",
    "train --recipe": "takes minutes: test_train.py",
    "train --dataset": "takes minutes: test_train.py",
    "evaluate": "needs a data set: test_train.py",
    "playlist": "needs tracks that fit its words: test_playlist.py",
    "watch": "does not end: tests/watching",
    "learn": "needs dozens of albums: test_learn.py",
}
"""Beginnings of commands → why they are not run here, and what runs them."""
WRITTEN = ("genre", "mood", "instrument", "vocals")


def reason(command: str) -> str | None:
    words = command.removeprefix("musictag ")
    return next((why for start, why in NOT_RUN.items() if words.startswith(start)), None)


RUN = sorted({command for _, command in COMMANDS if reason(command) is None})
LEFT = sorted({command for _, command in COMMANDS if reason(command) is not None})


@pytest.mark.parametrize("command", LEFT)
def test_what_is_not_run_here(command: str) -> None:
    pytest.skip(str(reason(command)))


@pytest.mark.parametrize("start", NOT_RUN)
def test_no_reason_is_left_over(start: str) -> None:
    assert any(command.startswith(f"musictag {start}") for command in LEFT)


@pytest.fixture
def home(
    musictag: Run, tiny: Path, heard_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Where `~` is, and the current folder: everything that the documents speak of."""
    music = shutil.copytree(heard_library, tmp_path / "Music")
    for folder in ("Music/Jazz", "Music/New", "Downloads/album"):
        shutil.copytree(music / "Bach", tmp_path / folder)
    for name in ("song.flac", "one.flac", "two.flac"):
        shutil.copy(music / "Abba" / "1.flac", tmp_path / name)
    for name in ("my-words", "my-model/model"):
        shutil.copytree(tiny, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", RUN)
def test_it_runs(command: str, musictag: Run, home: Path) -> None:
    _, *words = shlex.split(command, comments=True)
    if ">" in words:
        words = words[: words.index(">")]
    if words[:2] == ["config", "init"]:
        config.default_path().unlink()
    if words[:2] == ["models", "add"]:
        words += ["--name", "mine"]
    if words[0] in ("export", "report", "similar"):
        ready = musictag("scan", "Music", "song.flac", "one.flac", "two.flac", "-q")
        assert ready.code == 0, ready.stderr
    if words[0] == "undo":
        for number in range(7):  # 1 to 4 write, 5 takes 4 back, 6 writes it again, 7 takes 6 back
            field = WRITTEN[min(number, 3)]
            done = (
                musictag("undo", "-q")
                if number in (4, 6)
                else musictag("scan", "Music", "--write", "--fields", field, "-q")
            )
            assert done.code == 0, done.stderr
    result = musictag(*(str(home / word[2:]) if word.startswith("~/") else word for word in words))
    assert result.code == 0, result.stderr
    assert "Traceback" not in result.stderr
