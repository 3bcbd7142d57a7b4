"""How commands end: exit codes and one line that says why."""

from __future__ import annotations

import inspect
import json
import re
import shutil
from pathlib import Path

import pytest
import sounds
import torch
import typer
from leaves import LEAVES
from program import Run

from musictag import config
from musictag.cli import endings
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
from musictag.metadata.family import Family


@pytest.mark.parametrize("command", LEAVES)
def test_every_command_knows_its_help_and_refuses_an_option_that_does_not_exist(
    musictag: Run, command: str
) -> None:
    assert musictag(*command.split(), "--help").code == 0
    refused = musictag(*command.split(), "--no-such-option")
    assert (refused.code, refused.stdout) == (2, "")
    assert "--no-such-option" in refused.stderr


@pytest.mark.parametrize("command", sorted(LEAVES.keys() - {"help"}))
def test_every_command_ends_in_the_common_way(command: str) -> None:
    """With the exit codes of docs/scripting.md, which `endings` gives."""
    source = inspect.getsource(inspect.unwrap(LEAVES[command].callback))
    assert re.search(r"^    with endings\(\)[:,]", source, re.MULTILINE)


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (BrokenPipeError(), 141)])
def test_who_interrupts_a_command_or_stops_reading_gets_no_traceback(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings.streams, "give_up_stdout", lambda: None)
    with pytest.raises(typer.Exit) as ended, endings.endings():
        raise error
    assert ended.value.exit_code == code


def test_the_exit_codes_are_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "scripting.md").read_text(encoding="utf-8")
    table = text.split("## Exit codes")[1].split("\n## ")[0]
    assert re.findall(r"^\| (\d+) \|", table, re.MULTILINE) == ["0", "1", "2", "130", "141"]


def test_a_broken_file_is_one_line_and_exit_code_1(musictag: Run, library: Path) -> None:
    broken = library / "Abba" / "0.mp3"
    broken.write_text("not music at all")
    result = musictag("scan", library, "-q")
    assert result.code == 1
    assert result.stderr == f"musictag: {broken}: it is text, not sound\n"
    assert "1.flac" in result.stdout


def test_too_little_memory_for_tags_is_one_line_and_exit_code_1(
    musictag: Run, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_little(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Family, "_look", too_little)
    song = library / "Abba" / "1.flac"
    result = musictag("scan", song, "-q")
    assert result.code == 1
    assert result.stderr.startswith(
        f"musictag: {song}: there is not enough memory to read its tags"
    )
    assert len(result.stderr.splitlines()) == 1


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
        ([".", "--files-from", "-"], "name files and folders or give a list"),
        (["--files-from", "no such list"], "--files-from no such list: there is no such file"),
        ([".", "-0"], "needs --files-from"),
        ([".", "--format", "xml"], "--format xml: expected one of table, jsonl, csv, tsv"),
        ([".", "--fields", "artist"], "--fields: expected a list of at least one of genre, mood"),
        ([".", "--existing", "overwrite"], "--existing: expected keep, merge or replace"),
        ([".", "--max-genres", "0"], "--max-genres: expected a whole number from 1 up"),
        ([".", "--segments", "9" * 30], "--segments: expected at most 9"),
        ([".", "--join", "o"], "--join: 'o' cannot be told from what is in"),
        ([".", "--device", "gpu"], "--device: expected auto, cpu, cuda, cuda:N or mps, not 'gpu'"),
        ([".", "--model", "no such model"], "no such model: neither a directory"),
        (
            [".", "--log-file", "no/such/folder"],
            "--log-file no/such/folder: there is no folder no/such",
        ),
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
    assert f"{config.default_path()}:1: max_genre: no such setting" in result.stderr


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
    with pytest.raises(typer.Exit) as ended, endings.endings():
        raise error
    assert ended.value.exit_code == code
    assert capsys.readouterr().err == f"musictag: {error}\n"
