"""Scans, taggrams and descriptions by a model of one's own words."""

from __future__ import annotations

from pathlib import Path

import pytest
from learned import own_model
from program import Run

from musictag import Tagger


@pytest.fixture
def mine(tmp_path: Path, tiny: Path) -> Path:
    return own_model(tmp_path / "mine", tiny).directory


def test_a_scan_says_one_s_own_words_beside_the_base_s(
    musictag: Run, library: Path, mine: Path
) -> None:
    records = musictag("scan", library, "--model", mine, "--format", "jsonl").records
    for record in records:
        assert record["model"] == "my-words"
        assert record["chosen"]["GENRE"] == ["Schlager"]
        assert record["chosen"]["MOOD"] == ["Slow"]
        assert record["probabilities"]["Schlager"] == pytest.approx(0.9, abs=1e-5)


def test_what_the_base_has_heard_is_not_decoded_again(
    musictag: Run, library: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    musictag("scan", library)
    monkeypatch.setattr("musictag.audio.decoder.Decoder.track", None)
    result = musictag("scan", library, "--model", mine, "--format", "jsonl")
    assert result.code == 0, result.stderr
    assert {record["chosen"]["GENRE"][0] for record in result.records} == {"Schlager"}
    assert "new model" not in result.stderr


def test_a_taggram_and_the_python_api_say_what_a_scan_says(
    musictag: Run, library: Path, mine: Path
) -> None:
    path = library / "Abba" / "1.flac"
    (scanned,) = musictag("scan", path, "--model", mine, "--format", "jsonl").records
    (drawn,) = musictag("taggram", path, "--model", mine, "--json").records
    with Tagger(mine) as tagger:
        heard = tagger.hear(path)
    assert drawn["probabilities"] == pytest.approx(scanned["probabilities"], abs=1e-6)
    assert dict(heard.probabilities) == pytest.approx(scanned["probabilities"], abs=1e-5)
    assert heard.chosen["GENRE"] == ("Schlager",)
    assert drawn["segments"][0]["probabilities"]["Schlager"] == pytest.approx(0.9, abs=1e-5)


def test_it_says_on_what_it_stands_and_what_it_does_not_write(musictag: Run, mine: Path) -> None:
    result = musictag("model", mine)
    assert "base        tiny\n" in result.stdout
    assert "genre       Schlager 0.50\n" in result.stdout
    assert "not written Polka\n" in result.stdout
