"""The command line, with real audio and a real, tiny, untrained model."""

from __future__ import annotations

import csv
import dataclasses
import inspect
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sounds
import torch
import typer
from program import TAGS, Result, Run
from waits import WAIT_S

from musictag import __version__, config, metadata
from musictag.audio.decoder import Decoder
from musictag.cli import program as cli
from musictag.errors import (
    AudioError,
    CheckpointError,
    DataSetError,
    DeviceError,
    MetadataError,
    MusictagError,
    UsageError,
)
from musictag.hearing import checkpoint
from musictag.report import scan as report
from musictag.training.train import TrainSettings


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Three tracks in two folders."""
    root = tmp_path / "Music"
    for number, name in enumerate(("Abba/1.flac", "Abba/2.mp3", "Bach/1.ogg")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        sounds.make(
            root / Path(name).parent, Path(name).suffix[1:], name=Path(name).name, seed=number
        )
    return root


def start(*arguments: str | Path, script: str = "-m musictag") -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *script.split(maxsplit=1), *map(os.fspath, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


# ---------------------------------------------------------------- the main job


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


# ---------------------------------------------------------------- which files


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
            monkeypatch.setattr(cli, "open", lambda *_, **__: stream, raising=False)
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


# ---------------------------------------------------------------- exit codes


def test_a_broken_file_is_one_line_and_exit_code_1(musictag: Run, library: Path) -> None:
    broken = library / "Abba" / "0.mp3"
    broken.write_text("not music at all")
    result = musictag("scan", library, "-q")
    assert result.code == 1
    assert result.stderr == f"musictag: {broken}: it is text, not sound\n"
    assert "1.flac" in result.stdout


def test_silence_is_no_failure(musictag: Run, tmp_path: Path) -> None:
    song = sounds.write(tmp_path / "a.wav", "wav", sounds.silence(), 44_100)
    result = musictag("scan", song)
    assert result.code == 0
    assert f"musictag: {song}: there is only silence in it\n" in result.stderr


def test_an_empty_folder_is_no_failure(musictag: Run, tmp_path: Path) -> None:
    assert musictag("scan", tmp_path).code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no such folder"], "no such folder: no such file or folder"),
        ([], "nothing to scan"),
        ([".", "--files-from", "-"], "either name files and folders"),
        (["--files-from", "no such list"], "--files-from no such list: No such file"),
        ([".", "-0"], "needs --files-from"),
        ([".", "--format", "xml"], "--format xml: there are table, jsonl, csv, tsv"),
        ([".", "--fields", "artist"], "--fields: no field 'artist'"),
        ([".", "--existing", "overwrite"], "--existing: expected keep, merge or replace"),
        ([".", "--max-genres", "0"], "--max-genres: expected a whole number from 1 up"),
        ([".", "--segments", "9" * 30], "--segments: expected at most 9"),
        ([".", "--device", "gpu"], "--device: unknown device 'gpu'"),
        ([".", "--model", "no such model"], "no such model: neither a directory"),
        ([".", "--log-file", "no/such/folder"], "--log-file no/such/folder: No such file"),
    ],
)
def test_wrong_usage_ends_at_once_with_one_line(
    musictag: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = musictag("scan", *arguments)
    assert result.code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("musictag: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr


@pytest.mark.parametrize(
    "arguments", [["scan", "--no-such-option"], ["scan", "--jobs", "many"], ["listen"], ["--loud"]]
)
def test_an_option_or_command_that_does_not_exist_ends_at_once(
    musictag: Run, arguments: list[str]
) -> None:
    result = musictag(*arguments)
    assert (result.code, result.stdout) == (2, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("scan", "", "--write"),
        ("scan", ".", "", "--write"),
        ("scan", ".", "--log-file", ""),
        ("scan", ".", "--model", ""),
        ("scan", "--files-from", ""),
        ("model", ""),
        ("train", "--dataset", "", "-o", "run"),
        ("train", "--dataset", ".", "-o", ""),
        ("evaluate", "--dataset", ""),
    ],
)
def test_an_empty_name_is_not_the_current_folder(
    musictag: Run, library: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """It is what a shell makes of a variable that is not set."""
    monkeypatch.chdir(library)
    before = {path: path.read_bytes() for path in library.rglob("*.*")}
    result = musictag(*arguments)
    assert (result.code, result.stdout) == (2, "")
    assert {path: path.read_bytes() for path in library.rglob("*.*")} == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_ends_at_once(musictag: Run, library: Path) -> None:
    result = musictag("scan", library, "--device", "cuda")
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr == (
        "musictag: --device cuda: PyTorch cannot use it (it finds no CUDA device)\n"
    )


def test_a_settings_file_with_a_mistake_ends_at_once(
    musictag: Run, library: Path, nobodys_home: Path
) -> None:
    config.default_path().write_text("max_genre = 1\n")
    result = musictag("scan", library)
    assert result.code == 2
    assert f"{config.default_path()}: max_genre: no such setting" in result.stderr


def test_damaged_weights_end_the_scan_with_one_line(
    musictag: Run, library: Path, tiny: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "config.json").write_bytes((tiny / "config.json").read_bytes())
    (damaged / "weights.safetensors").write_bytes(b"nothing")
    result = musictag("scan", library, "--model", damaged)
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"musictag: {damaged}/weights.safetensors: ")
    assert result.stderr.count("\n") == 1


def test_a_model_that_hears_other_segments_ends_the_scan_before_it_begins(
    musictag: Run, library: Path, tiny: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(tiny, tmp_path / "other")
    described = json.loads((other / "config.json").read_text())
    described["front_end"]["n_samples"] = 480_000
    (other / "config.json").write_text(json.dumps(described))
    result = musictag("scan", library, "--model", other, "--format", "csv")
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr == (
        "musictag: tiny: this model hears segments of 480000 samples, musictag cuts 464000\n"
    )


@pytest.mark.parametrize(
    "error",
    [DeviceError("out of memory"), CheckpointError("damaged"), UsageError("no such device")],
)
def test_a_model_that_cannot_be_loaded_ends_the_scan_with_one_line(
    musictag: Run, library: Path, monkeypatch: pytest.MonkeyPatch, error: MusictagError
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(checkpoint.Checkpoint, "load", refuse)
    result = musictag("scan", library, "--format", "csv")
    assert (result.code, result.stdout, result.stderr) == (2, "", f"musictag: {error}\n")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("no such option"), 2),
        (CheckpointError("no such model"), 2),
        (DataSetError("no such data set"), 2),
        (DeviceError("out of memory"), 2),
        (MusictagError("training diverged"), 1),
        (AudioError(Path("a.mp3"), "truncated", "cut short"), 1),
        (MetadataError(Path("a.mp3"), "no_space", "no room"), 1),
    ],
)
def test_wrong_asking_is_exit_code_2_and_what_went_wrong_1(
    error: MusictagError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended, cli._endings():
        raise error
    assert ended.value.exit_code == code
    assert capsys.readouterr().err == f"musictag: {error}\n"


# ---------------------------------------------------------------- pipes and signals


@pytest.fixture
def only_signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`cli.main` sets its signals and does nothing else; afterwards they are as before."""
    monkeypatch.setattr(cli, "app", lambda **_: None)
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
@pytest.mark.usefixtures("only_signals")
def test_a_scan_under_nohup_outlives_its_terminal() -> None:
    """nohup has the program started with SIGHUP ignored."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cli.main()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert callable(signal.getsignal(signal.SIGTERM))


def read_a_record(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert process.stdout is not None
    record: dict[str, Any] = json.loads(process.stdout.readline())
    return record


@pytest.fixture
def streaming(musictag: Run, library: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A scan that has been given one name on standard input and waits for the next.

    It remembers the tracks, so that it starts without torch, which is soon.
    """
    musictag("scan", library)
    process = start("scan", "--files-from", "-", "--format", "jsonl")
    assert process.stdin is not None
    process.stdin.write(os.fsencode(library / "Abba/1.flac") + b"\n")
    process.stdin.flush()
    yield process
    process.kill()
    process.wait(WAIT_S)
    for stream in (process.stdin, process.stdout, process.stderr):
        assert stream is not None
        stream.close()


def test_names_on_standard_input_are_scanned_as_they_come(
    streaming: subprocess.Popen[bytes], library: Path
) -> None:
    assert read_a_record(streaming)["status"] == "planned"
    assert streaming.stdin is not None
    streaming.stdin.write(os.fsencode(library / "Bach/1.ogg") + b"\n")
    streaming.stdin.flush()
    assert read_a_record(streaming)["path"] == str(library / "Bach/1.ogg")
    streaming.stdin.close()
    assert streaming.wait(WAIT_S) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_exit_code_130_and_no_traceback(
    streaming: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    read_a_record(streaming)
    streaming.send_signal(number)
    assert streaming.wait(WAIT_S) == 130
    assert streaming.stderr is not None
    lines = streaming.stderr.read().decode().splitlines()
    assert lines[0] == "musictag: stopping after the file in hand; again: at once"
    assert "1 track" in lines[1]
    assert lines[3] == report.INTERRUPTED
    assert len(lines) == 5


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_an_interrupt_that_is_ignored_from_the_start_stays_ignored(
    musictag: Run, library: Path
) -> None:
    """As under nohup, or in the background of a script."""
    musictag("scan", library)
    signals = "trap '' INT TERM HUP; exec"
    line = f'{signals} {shlex.quote(sys.executable)} -m musictag scan --files-from - "$@"'
    with subprocess.Popen(
        ["sh", "-c", line, "sh", "--format", "jsonl"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(os.fsencode(library / "Abba/1.flac") + b"\n")
        process.stdin.flush()
        read_a_record(process)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process.send_signal(number)
        rest, said = process.communicate(os.fsencode(library / "Bach/1.ogg"), timeout=WAIT_S)
    assert process.returncode == 0
    assert [json.loads(line)["path"] for line in rest.splitlines()] == [str(library / "Bach/1.ogg")]
    assert b"2 tracks" in said


@pytest.mark.parametrize(
    ("code", "loaded", "at_once"),
    [(0, True, True), (1, True, True), (0, False, False), ("a message", True, False)],
)
def test_torch_is_not_taken_apart_at_the_end_and_all_else_is_done(
    monkeypatch: pytest.MonkeyPatch, code: object, loaded: bool, at_once: bool
) -> None:
    done: list[object] = []
    monkeypatch.setattr(sys, "modules", {"torch": None} if loaded else {})
    monkeypatch.setattr(cli.atexit, "_run_exitfuncs", lambda: done.append("exit functions"))
    monkeypatch.setattr(cli.os, "_exit", done.append)
    cli._leave_torch_behind(code)
    assert done == (["exit functions", code] if at_once else [])


def test_what_was_said_last_and_logged_last_is_there(tmp_path: Path, library: Path) -> None:
    """In a process of its own, which heard and then ended at once."""
    log = tmp_path / "log.txt"
    command = [sys.executable, "-m", "musictag", "scan", "--no-cache", "--format", "jsonl"]
    run = subprocess.run(
        [*command, "--log-file", log, "--device", "cpu", library / "Abba/1.flac"],
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["status"] in ("planned", "unchanged", "skipped")
    assert "hearing with the model" in log.read_text()


def test_a_reader_who_has_seen_enough_gets_no_traceback(
    streaming: subprocess.Popen[bytes], library: Path
) -> None:
    read_a_record(streaming)
    assert streaming.stdout is not None
    assert streaming.stdin is not None
    streaming.stdout.close()
    streaming.stdin.write(os.fsencode(library / "Bach/1.ogg") + b"\n")
    streaming.stdin.close()
    assert streaming.wait(WAIT_S) == 128 + 13
    assert streaming.stderr is not None
    assert streaming.stderr.read() == b""


def shell(line: str, library: Path, unbuffered: str = "") -> Result:
    """`musictag` and `$MUSIC` in a shell, with streams as only a shell can make them."""
    line = f'musictag() {{ {shlex.quote(sys.executable)} -m musictag "$@"; }}\n{line}'
    environment = {**os.environ, "MUSIC": os.fspath(library), "PYTHONUNBUFFERED": unbuffered}
    ended = subprocess.run(
        ["sh", "-c", line], capture_output=True, check=False, env=environment, timeout=WAIT_S
    )
    return Result(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
posix = pytest.mark.skipif(sys.platform == "win32", reason="no such shell")
FULL = "musictag: standard output: No space left on device\n"
CLOSED = "musictag: standard output is closed\n"


# what is run, its exit code, what is said
BROKEN_STREAMS = [
    pytest.param('scan "$MUSIC" --format csv >&-', 1, CLOSED, marks=posix),
    pytest.param('scan "$MUSIC" --write >&-', 1, CLOSED, marks=posix),
    pytest.param('scan "$MUSIC" >&- 2>&-', 1, "", marks=posix),
    pytest.param("--help >&-", 1, CLOSED, marks=posix),
    pytest.param(
        "scan --files-from - <&-",
        2,
        "musictag: --files-from -: standard input is closed\n",
        marks=posix,
    ),
    pytest.param('scan "$MUSIC" >/dev/full', 1, FULL, marks=full),
    pytest.param('scan "$MUSIC" --format csv >/dev/full', 1, FULL, marks=full),
    pytest.param('scan "$MUSIC" --format jsonl >/dev/full', 1, FULL, marks=full),
    pytest.param("--help >/dev/full", 1, FULL, marks=full),
    pytest.param("model >/dev/full", 1, FULL, marks=full),
    pytest.param("--help >/dev/full 2>/dev/full", 1, "", marks=full),
    pytest.param("scan >/dev/full 2>/dev/full", 2, "", marks=full),
    pytest.param("--loud 2>/dev/full", 2, "", marks=full),
]


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(("line", "code", "said"), BROKEN_STREAMS)
def test_a_stream_that_takes_nothing_is_one_line(
    musictag: Run, library: Path, line: str, code: int, said: str, unbuffered: str
) -> None:
    musictag("scan", library, "-q")  # so that it is remembered, and the next one soon over
    before = {path: path.read_bytes() for path in library.rglob("*.*")}
    assert shell(f"musictag {line}", library, unbuffered) == Result(code, "", said)
    assert {path: path.read_bytes() for path in library.rglob("*.*")} == before


@pytest.mark.parametrize(
    "stderr", [pytest.param("2>&-", marks=posix), pytest.param("2>/dev/full", marks=full)]
)
def test_with_nobody_to_tell_results_still_come(musictag: Run, library: Path, stderr: str) -> None:
    expected = musictag("scan", library, "--format", "jsonl")
    result = shell(f'musictag scan "$MUSIC" --format jsonl {stderr}', library)
    assert result == Result(0, expected.stdout, "")
    (library / "Abba/0.mp3").touch()
    result = shell(f'musictag scan "$MUSIC" --format jsonl {stderr}', library)
    assert (result.code, len(result.records)) == (1, 4)


@posix
def test_what_is_opened_does_not_take_the_place_of_a_closed_stream(
    musictag: Run, library: Path
) -> None:
    """A library's word to descriptor 2 would land in a music file."""
    script = "import sys, os; from musictag.cli import program as cli; "
    script += "cli.app = lambda **_: None; cli.main(); "
    script += "sys.exit(open(os.devnull).fileno())"
    line = f"{shlex.quote(sys.executable)} -c {shlex.quote(script)} <&- 2>&-"
    assert shell(line, library).code > 2


def test_a_remembered_library_needs_no_torch(musictag: Run, library: Path, use_tiny: None) -> None:
    musictag("scan", library)
    script = (
        "import sys, contextlib; from musictag.cli.program import app\n"
        f"with contextlib.suppress(SystemExit): app(['scan', {str(library)!r}])\n"
        "assert 'torch' not in sys.modules and 'av' not in sys.modules"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=False, timeout=WAIT_S
    )
    assert (result.returncode, result.stderr.decode().count("remembered")) == (0, 1)
    assert b"3 planned" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo terminals")
def test_on_a_terminal_rows_and_bar_share_the_screen(library: Path, use_tiny: None) -> None:
    import pty  # noqa: PLC0415

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "musictag", "scan", os.fspath(library)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"},
    )
    os.close(theirs)
    screen = b""
    try:
        while block := os.read(ours, 65_536):
            screen += block
    except OSError:  # how Linux says that the other end has closed
        pass
    os.close(ours)
    assert process.wait(WAIT_S) == 0
    text = screen.decode()
    assert "tracks" in text
    assert "\x1b[2K" in text
    assert "1.flac" in text
    assert "add --write" in text
    assert "Traceback" not in text


# ---------------------------------------------------------------- settings, cache, log, the rest


def test_options_go_over_the_settings_file(musictag: Run, library: Path) -> None:
    path = config.default_path()
    path.write_text(path.read_text() + 'fields = ["vocals"]\n')
    song = library / "Abba/1.flac"
    assert list(musictag("scan", song, "--format", "jsonl").records[0]["fields"]) == ["VOCALS"]
    result = musictag("scan", song, "--format", "jsonl", "--fields", "mood")
    assert list(result.records[0]["fields"]) == ["MOOD"]


def test_without_the_cache_nothing_is_left_behind(
    musictag: Run, library: Path, nobodys_home: Path
) -> None:
    musictag("scan", library, "--no-cache")
    assert not (nobodys_home / "cache").exists()
    musictag("scan", library)
    assert (nobodys_home / "cache" / "musictag" / "heard.sqlite").exists()


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
    said = "musictag: --log-file /dev/full: No space left on device; going on without it"
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
            f"musictag: --log-file {song}: it is there, and no text: left as it is\n"
        )
        assert song.read_bytes() == before


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


def test_the_version_is_ours(musictag: Run) -> None:
    assert musictag("--version").stdout == f"musictag {__version__}\n"


def test_help_names_every_setting(musictag: Run) -> None:
    text = musictag("scan", "--help").stdout
    for field in dataclasses.fields(config.Settings):
        assert "--" + field.name.replace("_", "-") in text


@pytest.mark.parametrize("command", ["scan", "train", "evaluate"])
def test_help_lists_every_device(musictag: Run, command: str) -> None:
    text = " ".join(musictag(command, "--help").stdout.split())
    assert "auto, cpu, cuda, cuda:N or mps." in text


def test_a_model_says_what_it_is(musictag: Run, tiny: Path) -> None:
    result = musictag("model")
    assert result.code == 0
    assert f"directory   {tiny}\n" in result.stdout
    assert f"digest      {checkpoint.read(tiny).digest}\n" in result.stdout
    assert "genre       Rock 0.00\n" in result.stdout


def test_the_list_of_commands_is_cut_nowhere(
    musictag: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = musictag("--help").stdout.splitlines()
    assert "evaluate  Judge a model on labelled music." in "\n".join(lines)
    assert not [line for line in lines[1:] if line.endswith("...")]


def test_python_dash_m_is_the_same_program() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "musictag", "--version"],
        capture_output=True,
        check=True,
        timeout=WAIT_S,
    )
    assert result.stdout.decode().strip() == f"musictag {__version__}"


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


# -- training


@pytest.fixture(scope="session")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones that are slow and noise that is rock, a few seconds each."""
    directory = tmp_path_factory.mktemp("data set")
    clips, labels = [], []
    for i, split in enumerate(("train", "train", "validation", "validation", "test", "test")):
        sound = sounds.noise(3.0, seed=i) if i % 2 else sounds.tone(300.0 + 100 * i, 3.0)
        (directory / f"{i}.flac").write_bytes(sounds.encode("flac", sound, 44_100))
        clips.append(f"{i},{i}.flac,0.0,3.0,{i},{split},{'rock' if i % 2 else ''}")
        labels.append(f"{i},{i % 2},{1 - i % 2}")
    (directory / "clips.csv").write_text(
        "\n".join(["id,file,start,duration,track,split,genre", *clips]) + "\n"
    )
    (directory / "soft_labels.csv").write_text("\n".join(["id,rock,slow", *labels]) + "\n")
    return directory


def test_a_model_is_trained_judged_and_used(
    musictag: Run, data_set: Path, tmp_path: Path, few_noises: None
) -> None:
    training = ("train", "--dataset", data_set, "-o", tmp_path / "run", "--epochs", "2")
    trained = musictag(*training, "--variants", "1", "--name", "ours")
    assert trained.code == 0, trained.stderr
    assert "features: 6 of 6 examples" in trained.stderr
    assert "epoch   2 of 2" in trained.stderr
    made = trained.stdout.strip()

    judged = musictag("evaluate", "--dataset", data_set, "--model", made, "--json")
    scores = json.loads(judged.stdout)
    assert (scores["model"], scores["split"], scores["n"]) == ("ours", "test", 2)
    assert set(scores["macro"]) >= {"roc_auc", "pr_auc", "brier", "ece"}
    assert set(scores["tags"]) == {"rock", "slow"}

    shown = musictag("evaluate", "--dataset", data_set, "--model", made)
    assert "macro average" in shown.stdout

    (record,) = musictag("scan", data_set / "4.flac", "--model", made, "--format", "jsonl").records
    assert (record["model"], set(record["probabilities"])) == ("ours", {"rock", "slow"})


def test_options_of_training_have_the_defaults_of_its_settings() -> None:
    """The command cannot ask for them: the help would load torch."""
    options = inspect.signature(cli.train).parameters
    for field in dataclasses.fields(TrainSettings):
        option = options.get(field.name.removeprefix("n_"))
        if option is not None and field.name != "device":  # there, a name is found for it
            default = inspect.Parameter.empty
            assert option.default == (
                default if field.default is dataclasses.MISSING else field.default
            ), field.name


def test_an_example_that_cannot_be_read_is_left_out_and_said(
    musictag: Run, data_set: Path, tiny: Path, tmp_path: Path
) -> None:
    directory = shutil.copytree(data_set, tmp_path / "damaged")
    labels = ",".join(TAGS)
    rows = [f"{i}" + ",1" * len(TAGS) for i in range(6)]
    (directory / "soft_labels.csv").write_text("\n".join([f"id,{labels}", *rows]) + "\n")
    (directory / "4.flac").write_bytes(b"not music at all")
    judging = ("evaluate", "--dataset", directory, "--model", tiny, "--json")
    result = musictag(*judging)
    assert result.code == 0
    assert (json.loads(result.stdout)["n"], json.loads(result.stdout)["left_out"]) == (1, 1)
    assert f"left out: {directory / '4.flac'}" in result.stderr
    (directory / "5.flac").unlink()
    result = musictag(*judging)
    assert (result.code, result.stdout) == (2, "")
    assert "no audio could be read" in result.stderr


# arguments, and what the complaint must name
WRONG_TRAINING = [
    (("train", "--dataset", "nowhere", "-o", "run"), "nowhere: there is no such folder\n"),
    (("evaluate", "--dataset", "."), ".: not a data set: neither clips.csv nor annot"),
    (("evaluate", "--dataset", "nowhere", "--split", "all"), "--split all: there are train,"),
    (("evaluate", "--dataset", "nowhere", "--level", "all"), "--level all: there are segment,"),
    (("train", "--dataset", ".", "-o", "run", "--epochs", "0"), "epochs"),
    (("train", "--dataset", ".", "-o", "run", "--device", "tpu"), "tpu"),
    (("evaluate", "--dataset", "nowhere"), "nowhere"),
    (("evaluate", "--dataset", ".", "--model", "nothing"), "nothing"),
    (("evaluate",), "--dataset"),
]


@pytest.mark.parametrize(("arguments", "named"), WRONG_TRAINING)
def test_wrong_training_arguments_are_named(
    musictag: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: Any, named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = musictag(*arguments)
    assert result.code == 2
    assert named in result.stderr
    assert result.stdout == ""
