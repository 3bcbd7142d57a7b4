"""`musictag similar`."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import pytest
from program import Run

from musictag.scan import pipeline


def paths(root: Path) -> list[str]:
    return sorted(os.fspath(path) for path in root.rglob("*") if path.is_file())


@pytest.mark.parametrize("form", ["table", "jsonl", "paths"])
def test_what_is_remembered_is_compared_and_nothing_decoded(
    musictag: Run, heard_library: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(pipeline, "scan", None)
    first, *others = paths(heard_library)
    result = musictag("similar", first, "--format", form)
    assert (result.code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    if form == "jsonl":
        assert sorted(json.loads(line)["path"] for line in lines) == others
    else:
        assert sorted(line.split()[-1] for line in lines) == others


def test_a_folder_and_a_number_narrow_it_down(musictag: Run, heard_library: Path) -> None:
    first, second, third = paths(heard_library)
    within = musictag("similar", first, "--in", heard_library / "Bach", "--format", "paths")
    assert within.stdout.split() == [third]
    assert len(musictag("similar", first, "-n", "1").stdout.splitlines()) == 1
    several = musictag("similar", first, second, "--format", "paths")
    assert several.stdout.split() == [third]


def test_a_file_that_was_not_heard_is_heard_and_remembered(musictag: Run, library: Path) -> None:
    first, *others = paths(library)
    nothing = musictag("similar", first, "--in", library / "Bach")
    assert nothing.code == 2
    assert "musictag scan" in nothing.stderr
    assert musictag("scan", library, "--quiet").code == 0
    found = musictag("similar", first, "--format", "paths")
    assert sorted(found.stdout.split()) == others


def test_tracks_without_a_summary_are_named_and_heard_on_request(
    musictag: Run, library: Path
) -> None:
    assert musictag("scan", library, "--quiet").code == 0
    with sqlite3.connect(Path(os.environ["XDG_CACHE_HOME"], "musictag", "heard.sqlite")) as cache:
        cache.execute("DELETE FROM summary")
    cache.close()
    first, *others = paths(library)
    without = musictag("similar", first, "--format", "paths")
    assert "2 files left out, heard when no summaries were kept: --hear them" in without.stderr
    again = musictag("similar", first, "--format", "paths", "--hear")
    assert sorted(again.stdout.split()) == others
    assert "hearing 2 files" in again.stderr
    assert musictag("similar", first, "--format", "paths").stderr == ""


def test_a_file_without_music_is_an_error_with_its_reason(
    musictag: Run, heard_library: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text.mp3"
    text.write_text("no music")
    result = musictag("similar", text)
    assert result.code == 1
    assert "text.mp3" in result.stderr
    assert musictag("similar", tmp_path / "gone.mp3").code == 1
