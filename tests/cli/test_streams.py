"""Pipes, terminals and signals."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from program import Result, Run
from streams import CLOSED, FULL, full, posix, shell, start
from waits import WAIT_S

from musictag.cli import program, signals
from musictag.report.tally import INTERRUPTED


@pytest.fixture
def only_signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`cli.main` sets its signals and does nothing else; afterwards they are as before."""
    monkeypatch.setattr(program, "app", lambda **_: None)
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
    program.main()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert callable(signal.getsignal(signal.SIGTERM))


def read_a_record(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert process.stdout is not None
    record: dict[str, Any] = json.loads(process.stdout.readline())
    return record


@pytest.fixture
def streaming(heard_library: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A scan that has been given one name on standard input and waits for the next.

    It remembers the tracks, so that it need not load a model.
    """
    process = start("scan", "--files-from", "-", "--format", "jsonl")
    assert process.stdin is not None
    process.stdin.write(os.fsencode(heard_library / "Abba/1.flac") + b"\n")
    process.stdin.flush()
    yield process
    process.kill()
    process.wait(WAIT_S)
    for stream in (process.stdin, process.stdout, process.stderr):
        assert stream is not None
        stream.close()


def test_names_on_standard_input_are_scanned_as_they_come(
    streaming: subprocess.Popen[bytes], heard_library: Path
) -> None:
    assert read_a_record(streaming)["status"] == "planned"
    assert streaming.stdin is not None
    streaming.stdin.write(os.fsencode(heard_library / "Bach/1.ogg") + b"\n")
    streaming.stdin.flush()
    assert read_a_record(streaming)["path"] == str(heard_library / "Bach/1.ogg")
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
    assert lines[0] == signals.STOPPING
    assert "1 track" in lines[1]
    assert lines[3] == INTERRUPTED
    assert len(lines) == 5


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_an_interrupt_that_is_ignored_from_the_start_stays_ignored(
    heard_library: Path,
) -> None:
    """As under nohup, or in the background of a script."""
    ignoring = "trap '' INT TERM HUP; exec"
    line = f'{ignoring} {shlex.quote(sys.executable)} -m musictag scan --files-from - "$@"'
    with subprocess.Popen(
        ["sh", "-c", line, "sh", "--format", "jsonl"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(os.fsencode(heard_library / "Abba/1.flac") + b"\n")
        process.stdin.flush()
        read_a_record(process)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process.send_signal(number)
        rest, said = process.communicate(os.fsencode(heard_library / "Bach/1.ogg"), timeout=WAIT_S)
    assert process.returncode == 0
    assert [json.loads(line)["path"] for line in rest.splitlines()] == [
        str(heard_library / "Bach/1.ogg")
    ]
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
    monkeypatch.setattr(program.atexit, "_run_exitfuncs", lambda: done.append("exit functions"))
    monkeypatch.setattr(program.os, "_exit", done.append)
    program._exit_at_once_after_hearing(code)
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
    streaming: subprocess.Popen[bytes], heard_library: Path
) -> None:
    read_a_record(streaming)
    assert streaming.stdout is not None
    assert streaming.stdin is not None
    streaming.stdout.close()
    streaming.stdin.write(os.fsencode(heard_library / "Bach/1.ogg") + b"\n")
    streaming.stdin.close()
    assert streaming.wait(WAIT_S) == 128 + 13
    assert streaming.stderr is not None
    assert streaming.stderr.read() == b""


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
    heard_library: Path, line: str, code: int, said: str, unbuffered: str
) -> None:
    before = {path: path.read_bytes() for path in heard_library.rglob("*.*")}
    assert shell(f"musictag {line}", heard_library, unbuffered) == Result(code, "", said)
    assert {path: path.read_bytes() for path in heard_library.rglob("*.*")} == before


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
    script = "import sys, os; from musictag.cli import program; "
    script += "program.app = lambda **_: None; program.main(); "
    script += "sys.exit(open(os.devnull).fileno())"
    line = f"{shlex.quote(sys.executable)} -c {shlex.quote(script)} <&- 2>&-"
    assert shell(line, library).code > 2


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
