"""What --log-file holds."""

from __future__ import annotations

from pathlib import Path

import sounds
from program import Run
from streams import full


def test_the_log_file_says_what_happened_to_each_file(
    musictag: Run, library: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    (library / "Abba/0.mp3").touch()
    musictag("scan", library, "--write", "--log-file", log)
    lines = [line.split(" ", 3)[3] for line in log.read_text(encoding="utf-8").splitlines()]
    assert "hearing with the model tiny on cpu" in lines
    assert f"written; {library}/Abba/1.flac; GENRE: - -> Rock; MOOD: - -> Slow" in lines
    assert f"failed; {library}/Abba/0.mp3; the file is empty (restore it or delete it)" in lines


def test_the_log_file_says_which_decoder_was_taken_on_one_line_per_file(
    musictag: Run, library: Path, tmp_path: Path
) -> None:
    odd = (library / "Abba/1.flac").rename(library / "Abba/two\nlines.flac")
    log = tmp_path / "log"
    result = musictag("scan", odd, "-v", "--log-file", log)
    text = log.read_text(encoding="utf-8")
    assert f"DEBUG {library}/Abba/two\\nlines.flac: decoded by libsndfile\n" in text
    assert all(" DEBUG " in line or " INFO " in line for line in text.splitlines())
    assert "decoded by" not in result.stderr


def test_the_log_file_calls_a_failure_an_error_and_stderr_says_it_once(
    musictag: Run, library: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    (library / "Abba/0.mp3").touch()
    result = musictag("scan", library, "--log-file", log)
    lines = log.read_text(encoding="utf-8").splitlines()
    assert [line.split(" ", 3)[3] for line in lines if " ERROR " in line] == [
        f"failed; {library}/Abba/0.mp3; the file is empty (restore it or delete it)"
    ]
    assert sum(" INFO planned; " in line for line in lines) == 3
    assert result.stderr.count("0.mp3") == 1


@full
def test_a_log_file_that_takes_nothing_is_said_once(musictag: Run, library: Path) -> None:
    result = musictag("scan", library, "--log-file", "/dev/full", "--format", "jsonl")
    assert (result.code, len(result.records)) == (0, 3)
    said = "musictag: --log-file /dev/full: no space left on the disk; continuing without it"
    assert result.stderr.splitlines()[0] == said
    assert len(result.stderr.splitlines()) == 1 + 3
    assert "Logging error" not in result.stderr


def test_music_is_no_log_file(musictag: Run, library: Path, tmp_path: Path) -> None:
    """`--log-file` with its name forgotten takes the first track for one."""
    sounds.make(tmp_path, "mp3-no-xing", name="no tags.mp3")
    for song in (*library.rglob("*.*"), tmp_path / "no tags.mp3"):
        before = song.read_bytes()
        result = musictag("scan", "--log-file", song, library)
        assert (result.code, result.stdout) == (2, "")
        assert result.stderr == (
            f"musictag: --log-file {song}: exists and is not a text file; not touching it\n"
        )
        assert song.read_bytes() == before
