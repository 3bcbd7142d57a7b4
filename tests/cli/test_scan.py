"""`musictag scan`, with real audio and a real, tiny, untrained model."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sounds
from program import TAGS, Run
from waits import WAIT_S

from musictag import config, metadata
from musictag.audio.decoder import Decoder
from musictag.cli import listing
from musictag.errors import UsageError


def test_every_container_is_heard_planned_written_and_left_alone(
    musictag: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = {name: sounds.make(tmp_path, name) for name in sounds.CONTAINERS}
    before = {path: path.read_bytes() for path in paths.values()}
    taggable = [path for name, path in paths.items() if sounds.CONTAINERS[name].taggable]

    dry = musictag("scan", tmp_path, "--format", "jsonl")
    assert dry.code == 0
    assert {path: path.read_bytes() for path in before} == before
    records = {Path(record["path"]): record for record in dry.records}
    assert list(records) == sorted(paths.values(), key=os.fsencode)
    for path, record in records.items():
        assert record["duration"] == pytest.approx(3.0, abs=0.1)
        assert set(record["probabilities"]) == set(TAGS)
        assert record["chosen"] == {
            "GENRE": ["Rock"],
            "MOOD": ["Slow"],
            "INSTRUMENT": ["Guitar"],
            "VOCALS": ["Female"],
        }
        if path in taggable:
            assert (record["status"], record["error"]) == ("planned", None)
            assert record["fields"] == {
                "GENRE": {"old": [], "new": ["Rock"]},
                "MOOD": {"old": [], "new": ["Slow"]},
            }
        else:
            assert (record["status"], record["error"]["code"]) == ("skipped", "no_tags")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("everything has been heard")

    monkeypatch.setattr(Decoder, "track", refuse)
    written = musictag("scan", tmp_path, "--format", "jsonl", "--write")
    assert written.code == 0
    assert {Path(r["path"]) for r in written.records if r["status"] == "written"} == set(taggable)
    for path in taggable:
        assert metadata.read(path) == {
            "GENRE": ("Rock",),
            "MOOD": ("Slow",),
            "INSTRUMENT": (),
            "VOCALS": (),
        }

    after = {path: path.read_bytes() for path in before}
    monkeypatch.setattr(Decoder, "payload_digest", refuse)
    again = musictag("scan", tmp_path, "--format", "jsonl", "--write")
    assert {r["status"] for r in again.records if Path(r["path"]) in taggable} == {"unchanged"}
    assert {path: path.read_bytes() for path in before} == after


def test_the_table_and_the_summary_of_a_dry_run(musictag: Run, library: Path) -> None:
    result = musictag("scan", library)
    assert result.stdout.splitlines() == [
        "Track                                   Genre                          Mood",
        f"{library}/Abba/",
        "  1.flac                                – → Rock                       – → Slow",
        "  2.mp3                                 – → Rock                       – → Slow",
        f"{library}/Bach/",
        "  1.ogg                                 – → Rock                       – → Slow",
    ]
    assert "3 tracks, 9 s of music" in result.stderr
    assert result.stderr.endswith(
        "3 planned.\nNothing was written; add --write to write these tags.\n"
    )


def test_fields_policies_and_limits_reach_the_files(musictag: Run, library: Path) -> None:
    song = library / "Abba" / "1.flac"
    metadata.write(song, {"GENRE": ("Pop",), "MOOD": ("Happy",)})
    options = ["--fields", "genre,mood,vocals", "--existing", "genre=replace,mood=merge", "--write"]
    result = musictag("scan", song, *options)
    assert result.code == 0
    assert metadata.read(song) == {
        "GENRE": ("Rock",),
        "MOOD": ("Happy", "Slow"),
        "INSTRUMENT": (),
        "VOCALS": ("Female",),
    }


def test_segments_join_and_preserve_mtime_reach_the_stages(musictag: Run, tmp_path: Path) -> None:
    song = sounds.make(tmp_path, "flac", seconds=70)
    metadata.write(song, {"GENRE": ("Pop",)})
    os.utime(song, ns=(10**18, 10**18))
    result = musictag(
        *("scan", song, "--existing", "merge", "--join", "; ", "--segments", "1"),
        *("--preserve-mtime", "--write", "--format", "jsonl"),
    )
    assert result.records[0]["duration"] == pytest.approx(70, abs=0.1)
    assert metadata.read(song)["GENRE"] == ("Pop; Rock",)
    assert song.stat().st_mtime_ns == 10**18


def test_csv_on_stdout_is_nothing_but_csv(musictag: Run, library: Path) -> None:
    result = musictag("scan", library, "--format", "csv")
    rows = list(csv.DictReader(result.stdout.splitlines()))
    assert [row["status"] for row in rows] == ["planned"] * 3
    assert rows[0]["genre_new"] == "Rock"


def test_a_list_of_names_is_scanned_in_its_order(
    musictag: Run, library: Path, tmp_path: Path
) -> None:
    names = [library / "Bach/1.ogg", library / "Abba/1.flac"]
    listed = tmp_path / "list"
    listed.write_text("".join(f"{name}\n" for name in names))
    result = musictag("scan", "--files-from", listed, "--format", "jsonl")
    assert [record["path"] for record in result.records] == list(map(str, names))
    listed.write_bytes(b"".join(os.fsencode(name) + b"\0" for name in names))
    result = musictag("scan", "-0", "--files-from", listed, "--format", "jsonl")
    assert [record["path"] for record in result.records] == list(map(str, names))


@pytest.mark.parametrize("on_stdin", [False, True])
@pytest.mark.parametrize(
    ("end", "options", "said"),
    [
        (b"\0", (), "the names in the list end with NUL, not with newline: add -0"),
        (b"\n", ("-0",), "the names in the list end with newline, not with NUL: leave out -0"),
    ],
)
def test_a_list_that_ends_its_names_in_the_other_way_is_wrong_usage(
    musictag: Run,
    library: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    end: bytes,
    options: tuple[str, ...],
    said: str,
    on_stdin: bool,
) -> None:
    listed = tmp_path / "list"
    names = [library / "Bach/1.ogg", library / "Abba/1.flac"]
    listed.write_bytes(b"".join(os.fsencode(name) + end for name in names))
    with listed.open("rb") as stream:
        if on_stdin:
            monkeypatch.setattr(listing, "open", lambda *_, **__: stream, raising=False)
        result = musictag("scan", "--files-from", "-" if on_stdin else listed, *options)
    assert (result.code, result.stdout) == (2, "")
    assert f"musictag: {said}\n" in result.stderr


def test_counting_such_a_list_is_no_error_of_its_own(tmp_path: Path) -> None:
    listed = tmp_path / "list"
    listed.write_bytes(b"a.flac\0b.flac\0")
    paths, count = listing.Listing((), str(listed), null=False, exclude=()).open()
    assert count is not None
    assert count() == 0
    with pytest.raises(UsageError, match="add -0"):
        list(paths)


@pytest.mark.skipif(sys.platform == "win32", reason="other rules for links")
def test_the_plan_says_that_a_file_with_several_names_is_left_alone(
    musictag: Run, library: Path
) -> None:
    song = library / "Bach/1.ogg"
    song.with_name("2.ogg").hardlink_to(song)
    planned = musictag("scan", song, "--format", "jsonl")
    written = musictag("scan", song, "--write", "--format", "jsonl")
    assert planned.code == written.code == 1
    assert planned.records == written.records
    assert planned.records[0]["error"]["code"] == "hard_linked"
    (record,) = musictag("scan", song, "--hardlinks", "replace", "--format", "jsonl").records
    assert record["status"] == "planned"


def test_what_is_excluded_is_not_scanned(musictag: Run, library: Path) -> None:
    result = musictag("scan", library, "--exclude", "Abba", "--exclude", "*.mp3", "-q")
    assert "Abba" not in result.stdout
    assert "1.ogg" in result.stdout


@pytest.mark.parametrize("on_stdin", [False, True])
def test_what_is_excluded_is_not_scanned_from_a_list_either(
    musictag: Run, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_stdin: bool
) -> None:
    listed = tmp_path / "list"
    listed.write_text(f"{library}/Abba/1.flac\n{library}/Abba/2.mp3\n{library}/Bach/1.ogg\n")
    options = ("--exclude", "*.mp3", "--exclude", "Bach", "--format", "jsonl")
    if on_stdin:
        with listed.open("rb") as stream:
            monkeypatch.setattr(listing, "open", lambda *_, **__: stream, raising=False)
            result = musictag("scan", "--files-from", "-", *options)
    else:
        result = musictag("scan", "--files-from", listed, *options)
    assert [record["path"] for record in result.records] == [f"{library}/Abba/1.flac"]


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="names are UTF-8 there")
@pytest.mark.parametrize("form", ["table", "jsonl", "csv", "tsv"])
def test_a_name_that_is_not_utf8_goes_all_the_way(musictag: Run, library: Path, form: str) -> None:
    odd = Path(os.fsdecode(os.fsencode(library) + b"/caf\xe9.flac"))
    (library / "Abba/1.flac").rename(odd)
    result = musictag("scan", odd, "--format", form, "--write")
    assert result.code == 0
    assert metadata.read(odd)["GENRE"] == ("Rock",)
    if form == "jsonl":
        assert Path(result.records[0]["path"]) == odd


def test_a_remembered_library_needs_no_torch(heard_library: Path) -> None:
    script = (
        "import sys, contextlib; from musictag.cli.program import app\n"
        f"with contextlib.suppress(SystemExit): app(['scan', {str(heard_library)!r}])\n"
        "assert 'torch' not in sys.modules and 'av' not in sys.modules"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=False, timeout=WAIT_S
    )
    assert (result.returncode, result.stderr.decode().count("remembered")) == (0, 1)
    assert b"3 planned" in result.stderr


def test_options_go_over_the_settings_file(musictag: Run, library: Path) -> None:
    path = config.default_path()
    path.write_text(path.read_text() + 'fields = ["vocals"]\n')
    song = library / "Abba/1.flac"
    assert list(musictag("scan", song, "--format", "jsonl").records[0]["fields"]) == ["VOCALS"]
    result = musictag("scan", song, "--format", "jsonl", "--fields", "mood")
    assert list(result.records[0]["fields"]) == ["MOOD"]


def test_the_users_words_are_written(musictag: Run, heard_library: Path, tmp_path: Path) -> None:
    song = heard_library / "Abba/1.flac"
    words = ("--rename", "Rock=Beat,Slow=Lento", "--format", "jsonl")
    chosen = musictag("scan", song, *words).records[0]["chosen"]
    assert (chosen["GENRE"], chosen["MOOD"]) == (["Beat"], ["Lento"])
    (tmp_path / "genres.txt").write_text("jazz\n")
    words = ("--whitelist", tmp_path / "genres.txt", "--drop", "Slow", "-v", "--format", "jsonl")
    (record,) = musictag("scan", song, *words).records
    assert (record["chosen"]["GENRE"], record["chosen"]["MOOD"]) == ([], [])
    others = [d for d in record["discarded"] if d["why"] != "unsure"]
    assert [(d["value"], d["why"]) for d in others] == [
        ("Rock", "unlisted"),
        ("Slow", "dropped"),
    ]


def test_words_that_the_model_does_not_know_are_a_warning(
    musictag: Run, heard_library: Path
) -> None:
    result = musictag("scan", heard_library, "--drop", "Rokc")
    assert result.code == 0
    assert "musictag: drop: the model has no 'Rokc' (did you mean Rock?)\n" in result.stderr


def test_a_list_of_genres_that_is_not_there_ends_at_once(
    musictag: Run, heard_library: Path
) -> None:
    result = musictag("scan", heard_library, "--whitelist", "nowhere.txt")
    assert (result.code, result.stdout) == (2, "")
    assert "musictag: whitelist: nowhere.txt: there is no such file" in result.stderr


def test_without_the_cache_nothing_is_left_behind(
    musictag: Run, library: Path, nobodys_home: Path
) -> None:
    musictag("scan", library, "--no-cache")
    assert not (nobodys_home / "cache").exists()
    musictag("scan", library)
    assert (nobodys_home / "cache" / "musictag" / "heard.sqlite").exists()


def test_verbose_says_which_device_was_taken(musictag: Run, library: Path) -> None:
    result = musictag("scan", library, "-v", "--device", "cpu")
    assert "musictag: hearing with the model tiny on cpu\n" in result.stderr


def test_a_cache_that_cannot_be_used_is_a_warning(
    musictag: Run, library: Path, nobodys_home: Path
) -> None:
    (nobodys_home / "cache").write_text("a file where the folder should be")
    result = musictag("scan", library)
    assert result.code == 0
    assert result.stderr.count("going on without the cache") == 1


def test_a_scan_of_what_is_selected_says_how_much_was_not(
    musictag: Run, heard_library: Path
) -> None:
    result = musictag("scan", heard_library, "--where", "suffix = mp3", "--format", "jsonl")
    assert [Path(record["path"]).name for record in result.records] == ["2.mp3"]
    assert "1 planned, 2 not selected." in result.stderr
    result = musictag("scan", heard_library, "--newer-than", "2099-01-01")
    assert (result.code, result.stdout) == (0, "")
    assert "Nothing to do: 3 tracks not selected." in result.stderr


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--where", "genre Rock", "--where: column 7: expected =, !=, ~ or missing, not Rock"),
        ("--only-missing", "tempo", "--only-missing: expected a list of some of genre, mood"),
        ("--newer-than", "yesteryear", "newer-than: yesteryear: neither a date"),
    ],
)
def test_a_selection_that_is_not_understood_ends_with_2(
    option: str, value: str, message: str, musictag: Run, heard_library: Path
) -> None:
    result = musictag("scan", heard_library, option, value)
    assert result.code == 2
    assert message in result.stderr


def test_the_table_of_a_scan_by_album_has_a_line_for_each(
    musictag: Run, heard_library: Path
) -> None:
    result = musictag("scan", heard_library, "--by-album")
    assert "[Abba, 2 tracks together: Rock]" in result.stdout
    records = musictag("scan", heard_library, "--by-album", "--format", "jsonl").records
    assert records[0]["album"] == {
        "title": "Abba",
        "artist": None,
        "tracks": 2,
        "genre": ["Rock"],
        "kept": False,
    }
    assert "album" not in records[2]


def test_what_is_written_beside_the_fields_is_taken_back_to_the_byte(
    musictag: Run, tmp_path: Path
) -> None:
    paths = {name: sounds.make(tmp_path, name) for name in sounds.CONTAINERS}
    taggable = [path for name, path in paths.items() if sounds.CONTAINERS[name].taggable]
    for path in taggable:
        metadata.write(path, {"COMMENT": ("Ripped by me",)})
    before = {path: path.read_bytes() for path in taggable}
    asked = ("--comment", "[{mood}; {genre}]", "--grouping", "({genre})", "--provenance", "--style")
    written = musictag("scan", tmp_path, *asked, "--write", "--format", "jsonl")
    assert written.code == 0, written.stderr
    for path in taggable:
        found = metadata.read(path, also=metadata.WRITABLE)
        assert found["COMMENT"] == ("Ripped by me [Slow; Rock]",)
        assert found["GROUPING"] == ("(Rock)",)
        assert found["MUSICTAG_PROBABILITIES"][0].startswith("Rock 0.")
    again = musictag("scan", tmp_path, *asked, "--write", "--format", "jsonl")
    assert {record["status"] for record in again.records} == {"unchanged", "skipped"}
    assert musictag("undo").code == 0
    assert {path: path.read_bytes() for path in taggable} == before


def test_the_table_has_a_column_for_the_comment(musictag: Run, heard_library: Path) -> None:
    result = musictag("scan", heard_library, "--fields", "genre", "--comment", "[{genre}]")
    assert "Comment" in result.stdout.splitlines()[0]
    assert "→ [Rock]" in result.stdout
