"""A journal that cannot be used, and what it is for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from journalled import InProcess, posix
from program import Run

from musictag import metadata
from musictag.audio.decoder import Decoder
from musictag.scan import pipeline
from musictag.stores import journal
from musictag.stores.journal import Journal


@pytest.fixture(autouse=True)
def decoded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pipeline.Decoder is Decoder, "scans keep theirs"
    monkeypatch.setattr("musictag.audio.decoder.Decoder", InProcess)


def blocked(path: Path) -> None:
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    path.parent.write_text("a file where the folder should be")


def spoilt(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this is no database at all, " * 100)


def newer(path: Path) -> None:
    with Journal(path) as opened:
        opened._database.execute("PRAGMA user_version = 99")


def unreachable(path: Path) -> None:
    """As where others' permissions forbid to look, which root never sees."""
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    path.parent.symlink_to("x" * 300)


@posix
@pytest.mark.parametrize("command", ["history", "undo"])
def test_a_journal_that_nobody_may_look_at_is_not_taken_for_none(
    musictag: Run, command: str
) -> None:
    unreachable(journal.default_path())
    result = musictag(command)
    assert (result.code, result.stdout) == (1, "")
    assert "journal.sqlite cannot be used: " in result.stderr


@pytest.mark.parametrize(
    ("spoil", "code"),
    [(blocked, 1), (spoilt, 1), (newer, 2), pytest.param(unreachable, 1, marks=posix)],
)
def test_without_a_journal_nothing_is_written(
    musictag: Run,
    remembered: list[Path],
    spoil: Callable[[Path], None],
    code: int,
) -> None:
    spoil(journal.default_path())
    before = [song.read_bytes() for song in remembered]
    result = musictag("scan", remembered[0].parent, "--write")
    assert (result.code, result.stdout) == (code, "")
    assert "journal.sqlite" in result.stderr
    assert result.stderr.count("\n") == 1
    assert [song.read_bytes() for song in remembered] == before
    dry = musictag("scan", remembered[0].parent)
    assert (dry.code, dry.stderr.endswith("add --write to write these tags.\n")) == (0, True)


def test_a_scan_that_only_looks_makes_no_journal(
    remembered: list[Path], nobodys_home: Path
) -> None:
    assert not (nobodys_home / "data").exists()


def test_a_newer_opinion_replaces_an_older_one_of_ours(
    musictag: Run,
    remembered: list[Path],
    tiny: Path,
    tmp_path: Path,
) -> None:
    folder = remembered[0].parent
    metadata.write(remembered[2], {"GENRE": ("Jazz",)})
    musictag("scan", folder, "--write")
    other = shutil.copytree(tiny, tmp_path / "other")
    described = json.loads((other / "config.json").read_text())
    described["thresholds"] = {"Pop": 0.0}
    (other / "config.json").write_text(json.dumps(described))
    assert musictag("scan", folder, "--write", "--model", other).code == 0
    assert [metadata.read(song)["GENRE"][0] for song in remembered] == ["Pop", "Pop", "Jazz"]
