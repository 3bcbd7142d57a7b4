"""`musictag model` and `musictag taggram`."""

from __future__ import annotations

from pathlib import Path

import pytest
import sounds
from program import Run

from musictag.hearing import checkpoint


def test_a_model_says_what_it_is(musictag: Run, tiny: Path) -> None:
    result = musictag("model")
    assert result.code == 0
    assert f"directory   {tiny}\n" in result.stdout
    assert f"digest      {checkpoint.read(tiny).digest}\n" in result.stdout
    assert "genre       Rock 0.00\n" in result.stdout


def test_a_taggram_is_drawn_or_given_as_numbers(musictag: Run, library: Path) -> None:
    path = library / "Abba" / "1.flac"
    shown = musictag("taggram", path)
    assert shown.code == 0, shown.stderr
    assert shown.stdout.startswith("1.flac, 0:03, heard by tiny\n")
    assert "genre       Rock\n" in shown.stdout
    (heard,) = musictag("taggram", path, "--json").records
    (record,) = musictag("scan", path, "--no-cache", "--format", "jsonl").records
    assert heard["probabilities"] == pytest.approx(record["probabilities"], abs=1e-5)
    assert heard["chosen"] == record["chosen"]
    assert [segment["start"] for segment in heard["segments"]] == [0]
    sounds.write(library / "silent.wav", "wav", sounds.silence(3), 44_100)
    for name, reason in (
        ("missing.mp3", "there is no such file"),
        ("Abba", "it is a folder"),
        ("silent.wav", "there is only silence in it"),
    ):
        refused = musictag("taggram", library / name)
        assert (refused.code, refused.stdout) == (1, "")
        assert refused.stderr == f"musictag: {library / name}: {reason}\n"


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("name", ["listener-5l-512h-gru", "scat-5l-512h-gru"])
def test_the_description_of_a_model_fits_the_terminal(
    musictag: Run, monkeypatch: pytest.MonkeyPatch, name: str, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    whole = musictag("model", name).stdout
    lines = whole.splitlines()
    long = [line for line in lines if len(line) > columns]
    assert all(len(line.split()[-1]) + 12 > columns for line in long), "only a single word"
    monkeypatch.delenv("COLUMNS")
    assert musictag("model", name).stdout.split() == whole.split()
