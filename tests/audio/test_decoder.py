"""Decoding in another process gives the same music, and ends when it should."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sounds
from illness import n_segments, posix
from waits import WAIT_S, join

from musictag.audio import decoder, spawn, wire
from musictag.audio.decoder import Decoder
from musictag.audio.digest import payload_digest
from musictag.audio.track import Track
from musictag.errors import AudioError


def without_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawn, "shared_memory", lambda: None)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("n_segments", [None, 1, 2])
def test_segments_are_those_of_the_track(
    one: Decoder,
    tmp_path: Path,
    n_segments: int | None,
    shared: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not shared:
        without_shared_memory(monkeypatch)
    path = sounds.write(tmp_path / "a.mp3", "mp3", sounds.staircase(100), 16_000)
    here = Track(path, n_segments=n_segments)
    there = one.track(path, n_segments=n_segments)
    for ours, theirs in zip(here.segments(), there.segments(), strict=True):
        assert np.array_equal(ours, theirs)
        theirs[:] = 0  # the caller's own
    assert (there.duration_s, there.decoder) == (here.duration_s, here.decoder)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere segments come in the pipe")
def test_what_waits_in_shared_memory_is_not_written_over(one: Decoder, tmp_path: Path) -> None:
    """However slowly it is taken; and there is room for several, so that decoding goes on."""
    path = sounds.write(tmp_path / "a.wav", "wav", sounds.staircase(29 * 3 * wire.PLACES), 16_000)
    theirs = one.track(path).segments()
    for number, ours in enumerate(Track(path).segments()):
        taken = next(theirs)
        if number == 0:
            assert one._process is not None
            assert one._process._shared is not None
            time.sleep(0.3)  # it fills what there is, and waits
        assert np.array_equal(ours, taken)
    assert next(theirs, None) is None


@pytest.mark.parametrize("trouble", ["memfd_create", "ftruncate"])
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is none")
def test_a_system_that_gives_no_shared_memory_is_decoded_on_all_the_same(
    one: Decoder, song: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    def refuse(*_: object) -> int:
        raise OSError("no more of it")

    n_open = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    monkeypatch.setattr(os, trouble, refuse)
    assert n_segments(one, song) == 1
    one.close()
    assert len(os.listdir("/proc/self/fd")) == n_open  # noqa: PTH208


def test_timed_segments_are_those_of_the_track(one: Decoder, tmp_path: Path) -> None:
    path = sounds.write(tmp_path / "a.flac", "flac", sounds.staircase(70), 16_000)
    here, there = Track(path), one.track(path)
    for ours, theirs in zip(here.timed_segments(), there.timed_segments(), strict=True):
        assert ours[0] == theirs[0]
        assert np.array_equal(ours[1], theirs[1])
    assert there.duration_s == here.duration_s


def test_the_digest_is_that_of_the_track(one: Decoder, song: Path) -> None:
    assert one.payload_digest(song) == payload_digest(song)


def test_an_error_comes_over_whole(one: Decoder, tmp_path: Path) -> None:
    path = sounds.write(tmp_path / "a.flac", "flac", sounds.silence(2), 44_100)
    track = one.track(path)
    with pytest.raises(AudioError) as caught:
        list(track.segments())
    with pytest.raises(AudioError) as expected:
        list(Track(path).segments())
    assert caught.value.args == expected.value.args
    assert track.duration_s == pytest.approx(2)
    process = one._process
    with pytest.raises(AudioError, match="no such file"):
        one.payload_digest(tmp_path / "gone.mp3")
    assert one._process is process is not None  # it is well


@pytest.mark.parametrize(
    "name",
    [
        "-i.wav",
        "--help",
        "a\nb.wav",
        "http:__example.org_a.wav",
        "concat:a.wav|b.wav",
        "pipe:0",
        "file:a.wav",
        "a%03d.wav",
        "*.wav",
        pytest.param(
            os.fsdecode(b"\xff\xfe.wav"),
            marks=pytest.mark.skipif(sys.platform != "linux", reason="such names are Linux'"),
        ),
    ],
)
def test_a_name_is_a_name(
    one: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Relative, so that it begins as it does: no option, no address, no pattern, no list."""
    if os.name != "posix" and set(name) & set(':*|\n"<>?'):
        pytest.skip("no file can have this name here")
    monkeypatch.chdir(tmp_path)
    song = sounds.make(tmp_path, "wav", seconds=2).rename(tmp_path / name)
    assert n_segments(one, Path(name)) == 1
    assert one.payload_digest(Path(name)) == payload_digest(song)
    song.write_bytes(sounds.encode("mp3", sounds.chord(2), 44_100))
    assert n_segments(one, Path(name)) == 1


def test_one_process_decodes_many_files_and_goes_at_the_end(song: Path) -> None:
    with Decoder() as one:
        n_segments(one, song)
        process = one._process
        assert process is not None
        assert n_segments(one, song) == 1
        assert n_segments(one, song) == 1
        assert one._process is process
    assert process._popen.returncode is not None
    assert not [t for t in threading.enumerate() if t.name.startswith("musictag")]


def test_a_process_that_has_done_much_is_exchanged(
    one: Decoder, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "MOST_REQUESTS", 1)
    n_segments(one, song)
    first = one._process
    assert n_segments(one, song) == 1
    assert one._process is not first


def test_segments_nobody_wants_do_not_turn_up_later(one: Decoder, tmp_path: Path) -> None:
    long = sounds.write(tmp_path / "a.wav", "wav", sounds.staircase(90), 16_000)
    short = sounds.make(tmp_path, "flac", seconds=3)
    next(one.track(long).segments())
    assert n_segments(one, short) == 1
    assert len(list(one.track(long).segments(most=1))) == 1
    assert n_segments(one, short) == 1


def test_the_process_loads_what_it_needs_and_no_more(song: Path) -> None:
    script = f"""
        import sys
        from pathlib import Path
        from musictag.audio import worker
        from musictag.audio.track import Track
        list(Track(Path({os.fspath(song)!a})).segments())
        print(*sys.modules)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    loaded = subprocess.run(
        command, capture_output=True, check=True, text=True, timeout=WAIT_S
    ).stdout.split()
    assert "soxr" in loaded
    assert not {"torch", "typer", "rich", "mutagen", "sqlite3", "scipy"} & set(loaded)


def test_nothing_is_imported_from_the_current_folder(
    one: Decoder, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be full of other people's files."""
    for name in ("numpy", "av", "soxr", "soundfile", "json"):
        (song.parent / f"{name}.py").write_text("raise SystemExit")
    monkeypatch.chdir(song.parent)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder])
    assert n_segments(one, song) == 1


def test_who_waits_is_told_when_the_decoder_is_killed(one: Decoder, ill: Path, infect: Any) -> None:
    infect("time.sleep(3600)")
    track = one.track(ill)
    killer = threading.Thread(target=lambda: (_until(lambda: one._process), one.kill()))
    killer.start()
    with pytest.raises(decoder.Closed):
        list(track.segments())
    join(killer)
    with pytest.raises(decoder.Closed):
        one.payload_digest(ill)


@posix
def test_ctrl_c_is_for_the_program_alone(one: Decoder, song: Path) -> None:
    n_segments(one, song)
    assert one._process is not None
    pid = one._process._popen.pid
    assert os.getpgid(pid) != os.getpgid(0)
    os.kill(pid, signal.SIGINT)
    assert n_segments(one, song) == 1
    assert one._process._popen.pid == pid


@posix
@pytest.mark.parametrize("busy", [False, True])
def test_the_process_ends_with_a_parent_that_is_killed(song: Path, busy: bool) -> None:
    script = f"""
        import os, sys, time
        from pathlib import Path
        from musictag.audio import decoder
        from musictag.audio import spawn
        sick = "import time; from musictag.audio.track import Track; "
        sick += "Track.segments = lambda _: time.sleep(99)"
        python = f"import sys; sys.path[:] = {{sys.path!a}}; {{sick if {busy} else ''}}\\n"
        python += "from musictag.audio import worker; worker.work()"
        spawn.command = lambda: [sys.executable, "-I", "-c", python]
        one = decoder.Decoder()
        one.payload_digest(Path({os.fspath(song)!a}))
        print(one._process._popen.pid, flush=True)
        list(one.track(Path({os.fspath(song)!a})).segments())
        time.sleep(99)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    _until(lambda: not _is_running(pid))


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            return not Path("/proc/self/stat").exists()
        return False
    return state != "Z"


def _until(so: Callable[[], Any]) -> None:
    deadline_s = time.monotonic() + 30
    while not so():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
