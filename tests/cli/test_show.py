"""`musictag show`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from program import Run


def test_files_are_shown_one_by_one_and_broken_ones_cost_a_line(
    musictag: Run, library: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text.mp3"
    text.write_text("no music")
    one, other = library / "Abba" / "1.flac", library / "Bach" / "1.ogg"
    result = musictag("show", one, text, tmp_path / "gone.mp3", other)
    assert result.code == 1
    assert str(one) in result.stdout
    assert str(other) in result.stdout
    assert result.stdout.count("In the file") == 2
    assert "text.mp3: " in result.stderr
    assert "gone.mp3: " in result.stderr
    rows = musictag("show", one, text, "--format", "jsonl").records
    assert [row["path"] for row in rows] == [str(one), str(text)]
    assert rows[1]["error"]["code"]
    assert {v["value"]: v["why"] for v in rows[0]["verdicts"]}["Rock"] == "chosen"
    assert rows[0]["fields"]["GENRE"] == []
    assert len(rows[0]["segments"]) == 1


def test_a_picture_is_drawn_and_music_is_never_replaced_by_one(
    musictag: Run, library: Path, tmp_path: Path
) -> None:
    song = library / "Abba" / "1.flac"
    before = song.read_bytes()
    result = musictag("show", song, "--svg", tmp_path / "a.svg")
    assert (result.code, result.stdout) == (0, "")
    assert (tmp_path / "a.svg").read_text().startswith("<svg")
    for arguments, words in (
        ((song, "--svg", song), "must end in .svg"),
        ((song, song, "--svg", tmp_path / "b.svg"), "draws one file"),
        ((song, "--svg", tmp_path / "none" / "b.svg"), "no folder"),
        ((song, "--format", "xml"), "expected one of table, jsonl"),
    ):
        refused = musictag("show", *arguments)
        assert (refused.code, words in refused.stderr) == (2, True), refused.stderr
    assert song.read_bytes() == before


def test_without_matplotlib_png_says_what_to_install(
    musictag: Run, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = musictag("show", library / "Abba" / "1.flac", "--png", tmp_path / "a.png")
    assert result.code == 2
    assert "pip install 'musictag[plot]'" in result.stderr
