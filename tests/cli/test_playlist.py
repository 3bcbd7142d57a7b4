"""`musictag playlist`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from learned import own_model
from program import Run

from musictag.scan import pipeline


def paths(root: Path) -> list[str]:
    return sorted(os.fspath(path) for path in root.rglob("*") if path.is_file())


@pytest.fixture(autouse=True)
def nothing_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "scan", None)


def listed(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_what_fits_is_printed_the_best_first(musictag: Run, heard_library: Path) -> None:
    result = musictag("playlist", "--genre", "rock")
    assert (result.code, result.stderr) == (0, "")
    assert sorted(listed(result.stdout)) == paths(heard_library)
    assert result.stdout.startswith("#EXTM3U\n#EXTINF:")
    best, *_ = musictag("playlist", "--genre", "ROCK", "--format", "paths").stdout.splitlines()
    assert musictag("playlist", "--genre", "rock", "--limit", "1", "--format", "paths").stdout == (
        best + "\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--genre", "rokc"], "--genre: the model has no 'rokc' (did you mean Rock?)"),
        (["--genre", "slow"], "--genre: Slow is no genre: --mood Slow"),
        (["--mood", "slow,"], "--mood: the word is empty"),
        (["--genre", "rock", "--min", "1"], "no track fits: ask for less, or for a lower --min"),
        (["--min", "60"], "--min 60: a share of listeners is from 0 to 1"),
        (["--min", "nan"], "--min nan: a share"),
        (["--not", "rock"], "no track fits"),
        (["--seed", "3"], "--seed says how to shuffle: it needs --shuffle"),
        (["--not-same-album"], "go by --like FILE"),
        (["--names", "relative"], "it needs -o FILE"),
        (["--names", "odd"], "--names odd: expected one of relative, absolute"),
        (["--format", "pls"], "--format pls: expected one of m3u8, xspf, nsp, paths"),
        (["-o", "list.pls"], "list.pls: expected a name that ends with .m3u8, .xspf or .nsp"),
        (["-o", "a.m3u8", "--format", "xspf"], "its name says m3u8, and --format says xspf"),
        (["-o", "gone/a.m3u8"], "gone/a.m3u8: its folder does not exist"),
        (["-o", "folder.m3u8"], "folder.m3u8: it is a folder"),
        (["-o", "there.m3u8"], "there.m3u8: it exists already: --force replaces it"),
        (["--format", "nsp"], "a smart playlist needs a rule"),
        (["--format", "nsp", "--genre", "pop"], "no scan writes Pop"),
        (["--format", "nsp", "--genre", "rock", "--min", "0.5"], "--min: the rules of a smart"),
        (["--format", "nsp", "--genre", "rock", "--in", "."], "--in: the rules of a smart"),
    ],
)
def test_what_makes_no_sense_is_said_and_nothing_written(
    musictag: Run,
    heard_library: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.m3u8").mkdir()
    (tmp_path / "there.m3u8").write_text("mine")
    before = paths(tmp_path)
    result = musictag("playlist", *arguments)
    assert (result.code, result.stdout) == (2, "")
    assert message in result.stderr
    assert paths(tmp_path) == before
    assert (tmp_path / "there.m3u8").read_text() == "mine"


@pytest.mark.parametrize("names", ["relative", "absolute", None])
def test_a_file_names_tracks_as_seen_from_its_folder_or_absolutely(
    musictag: Run, heard_library: Path, tmp_path: Path, names: str | None
) -> None:
    output = tmp_path / "night.m3u8"
    output.write_text("old")
    options = [] if names is None else ["--names", names]
    result = musictag("playlist", "--genre", "rock", *options, "-o", output, "--force")
    assert result.code == 0, result.stderr
    assert result.stdout == ""
    assert f"{output}: 3 tracks, " in result.stderr
    lines = listed(output.read_text(encoding="utf-8"))
    assert {os.path.isabs(line) for line in lines} == {names == "absolute"}  # noqa: PTH117
    assert sorted(os.path.normpath(tmp_path / line) for line in lines) == paths(heard_library)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["night.m3u8"]


def test_a_link_stays_a_link_and_a_pipe_a_pipe(
    musictag: Run, heard_library: Path, tmp_path: Path
) -> None:
    (tmp_path / "real.m3u8").write_text("old")
    (tmp_path / "link.m3u8").symlink_to("real.m3u8")
    os.mkfifo(tmp_path / "pipe.m3u8")
    assert musictag("playlist", "-o", tmp_path / "link.m3u8", "--force").code == 0
    assert (tmp_path / "link.m3u8").is_symlink()
    assert len(listed((tmp_path / "real.m3u8").read_text())) == 3
    assert "not a regular file" in musictag("playlist", "-o", tmp_path / "pipe.m3u8").stderr


def test_other_formats_go_by_the_name(musictag: Run, heard_library: Path, tmp_path: Path) -> None:
    for name in ("a.xspf", "a.nsp"):
        done = musictag("playlist", "--genre", "rock", "--limit", "2", "-o", tmp_path / name)
        assert done.code == 0, done.stderr
    assert (tmp_path / "a.xspf").read_text().count("<location>file:///") == 2
    rules = json.loads((tmp_path / "a.nsp").read_text())
    assert rules == {"all": [{"is": {"genre": "Rock"}}], "limit": 2}


def test_a_seed_shuffles_the_same_way_again(musictag: Run, heard_library: Path) -> None:
    def shuffled(seed: int) -> str:
        arguments = ("--shuffle", "--seed", str(seed), "--limit", "2", "--format", "paths")
        return musictag("playlist", *arguments).stdout

    lists = [shuffled(seed) for seed in range(8)]
    assert lists == [shuffled(seed) for seed in range(8)]
    assert len({*"".join(lists).split()}) == 3, "it draws from all that fit"
    assert len(set(lists)) > 2


def test_likeness_and_words_go_together(musictag: Run, heard_library: Path) -> None:
    first, second, third = paths(heard_library)
    alike = musictag("playlist", "--like", first, "--genre", "rock", "--format", "paths")
    similar = musictag("similar", first, "--format", "paths")
    assert alike.stdout == similar.stdout
    within = musictag(
        "playlist", "--like", first, "--in", heard_library / "Bach", "--format", "paths"
    )
    assert within.stdout.split() == [third]
    assert musictag("playlist", "--like", second, "--not", "rock").code == 2


def test_the_words_of_the_settings_are_known(
    musictag: Run, heard_library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSICTAG_RENAME", "Rock=Krach")
    assert len(listed(musictag("playlist", "--genre", "krach").stdout)) == 3
    (rules,) = [musictag("playlist", "--genre", "rock", "--format", "nsp").stdout]
    assert json.loads(rules) == {"all": [{"is": {"genre": "Krach"}}]}


def test_one_s_own_words_are_heard_in_what_the_base_has_heard(
    musictag: Run, heard_library: Path, tmp_path: Path, tiny: Path
) -> None:
    mine = own_model(tmp_path / "mine", tiny).directory
    words = ("--model", mine, "--format", "paths", "--min", "0.8")
    assert len(musictag("playlist", "--genre", "schlager", *words).stdout.split()) == 3
    assert musictag("playlist", "--genre", "polka", *words).code == 2


def test_what_was_not_heard_is_counted_on_standard_error(
    musictag: Run, heard_library: Path, tmp_path: Path
) -> None:
    (tmp_path / "new.mp3").write_bytes(b"not heard yet")
    result = musictag("playlist", "--in", heard_library, "--in", tmp_path)
    assert len(listed(result.stdout)) == 3
    assert "1 file left out, not heard as they are now" in result.stderr
