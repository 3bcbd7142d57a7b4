"""`musictag report`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from program import Run

from musictag.audio.decoder import Decoder


@pytest.fixture
def nothing_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Decoder, "track", None)


def data_of(page: Path) -> dict[str, Any]:
    found = re.search(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def names(data: dict[str, Any], kind: str) -> list[str]:
    return [row[1] for row in data[kind]]


def test_the_page_shows_what_is_remembered_and_nothing_is_decoded(
    musictag: Run, heard_library: Path, tmp_path: Path, nothing_is_decoded: None
) -> None:
    page = tmp_path / "page.html"
    result = musictag("report", heard_library, "-o", page)
    assert (result.code, result.stdout) == (0, "")
    assert re.search(r"page\.html: 3 tracks, \d+ kB", result.stderr)
    data = data_of(page)
    assert names(data, "tracks") == ["1.flac", "2.mp3", "1.ogg"]
    assert (data["roots"], data["model"], data["troubles"]) == ([str(heard_library)], "tiny", [])
    chosen, changes = data["tracks"][0][6], data["tracks"][0][8]
    texts = data["texts"]
    assert [[texts[n] for n in values] for values in chosen] == [
        *(["Rock"], ["Slow"], ["Guitar"], ["Female"]),
    ]
    assert [(field, old, [texts[n] for n in new]) for field, old, new in changes] == [
        *((0, [], ["Rock"]), (1, [], ["Slow"])),
    ]


def test_without_a_folder_it_shows_all_and_has_a_name(
    musictag: Run, heard_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert musictag("report").code == 0
    assert len(data_of(tmp_path / "report.html")["tracks"]) == 3
    assert musictag("report", heard_library / "Bach").code == 0
    assert names(data_of(tmp_path / "report.html"), "tracks") == ["1.ogg"]


def test_settings_that_keep_a_scan_to_some_files_hide_none(
    musictag: Run, heard_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSICTAG_WHERE", 'artist = "nobody"')
    monkeypatch.setenv("MUSICTAG_STYLE", "true")
    page = tmp_path / "page.html"
    result = musictag("report", heard_library, "-o", page)
    assert result.code == 0, result.stderr
    assert names(data_of(page), "tracks") == ["1.flac", "2.mp3", "1.ogg"]


def test_files_that_are_not_known_or_hold_no_music_are_listed_with_the_reason(
    musictag: Run, library: Path, tmp_path: Path
) -> None:
    assert musictag("scan", library / "Abba", "--quiet").code == 0
    page = tmp_path / "page.html"
    result = musictag("report", library, "-o", page)
    assert "1 file not heard yet: musictag scan" in result.stderr
    data = data_of(page)
    ((_, name, code, message),) = data["troubles"]
    assert (name, data["texts"][code]) == ("1.ogg", "unheard")
    assert "musictag scan" in message


def test_silence_is_named(musictag: Run, library: Path, tmp_path: Path) -> None:
    import sounds  # noqa: PLC0415

    sounds.write(library / "silence.wav", "wav-float", sounds.tone(2.0) * 0, 16_000)
    assert musictag("scan", library, "--quiet").code == 0
    assert musictag("report", library, "-o", tmp_path / "page.html").code == 0
    data = data_of(tmp_path / "page.html")
    assert names(data, "tracks") == ["1.flac", "2.mp3", "1.ogg"]
    ((_, name, code, message),) = data["troubles"]
    assert (name, data["texts"][code]) == ("silence.wav", "silent")
    assert message == "there is only silence in it"


def test_nothing_remembered_is_a_sentence(musictag: Run, library: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    result = musictag("report", library, "-o", page)
    assert result.code == 2
    assert "musictag scan" in result.stderr
    assert not page.exists()


def test_other_files_are_not_replaced(musictag: Run, heard_library: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("mine")
    refused = musictag("report", heard_library, "-o", page)
    assert (refused.code, page.read_text()) == (2, "mine")
    assert "--force" in refused.stderr
    assert musictag("report", heard_library, "-o", page, "--force").code == 0
    assert musictag("report", heard_library, "-o", page).code == 0


def test_a_folder_that_is_missing_is_named(
    musictag: Run, heard_library: Path, tmp_path: Path
) -> None:
    result = musictag("report", tmp_path / "gone", "-o", tmp_path / "page.html")
    assert result.code == 2
    assert "gone: no such file or folder" in result.stderr


@pytest.mark.parametrize("name", ["-", "song.FLAC"])
def test_neither_music_nor_a_stream_becomes_a_report_even_by_force(
    musictag: Run, heard_library: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = musictag("report", heard_library, "-o", name, "--force")
    assert result.code == 2
    assert "a name of its own, such as report.html" in result.stderr
    assert list(tmp_path.iterdir()) == []
