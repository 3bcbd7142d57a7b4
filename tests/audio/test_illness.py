"""What a decoding process may suffer costs one file."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sounds
from illness import CRASH, code_of, n_segments, posix

from musictag.audio import decoder, spawn
from musictag.audio.decoder import Decoder
from musictag.audio.track import Track
from musictag.errors import AudioError, MusictagError


@posix
@pytest.mark.parametrize(
    ("what", "code", "reason"),
    [
        (CRASH, "crashed", r"its decoder crashed \(SIGSEGV\)"),
        ("os.abort()", "crashed", r"its decoder crashed \(SIGABRT\)"),
        ("os._exit(3)", "crashed", r"its decoder crashed \(exit code 3\)"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed", "killed, perhaps because memory"),
        ("wire.HUNG_S = 0; worker._allow_processor_time(0)\n"
         "            while True: pass", "hung", "worked for 60 s without getting further"),
        ("raise MemoryError", "too_big", "more than 1024 MB"),
        ("raise OSError(5, 'Input/output error')", "io", "input/output error"),
    ],
)  # fmt: skip
def test_what_a_file_does_to_its_decoder_costs_that_file(
    one: Decoder, ill: Path, song: Path, infect: Any, what: str, code: str, reason: str
) -> None:
    infect(what)
    assert n_segments(one, song) == 1
    with pytest.raises(AudioError, match=reason) as caught:
        list(one.track(ill).segments())
    assert caught.value.code == code
    assert n_segments(one, song) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds what is allocated")
def test_memory_is_bounded(one: Decoder, ill: Path, infect: Any) -> None:
    infect("bytearray(2 << 30)")
    assert code_of(one, ill) == "too_big"


@posix
def test_a_decoder_can_write_no_file(one: Decoder, ill: Path, infect: Any) -> None:
    infect("path.with_name('new').write_bytes(b'x')")
    assert code_of(one, ill) == "io"
    assert not ill.with_name("new").read_bytes()


def test_a_process_without_a_sign_of_life_is_given_up(
    one: Decoder, ill: Path, song: Path, infect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "STALLED_S", 1)
    infect("time.sleep(3600)")
    assert code_of(one, ill) == "stalled"
    monkeypatch.setattr(decoder, "STALLED_S", 600)
    assert n_segments(one, song) == 1


@posix
def test_who_dies_of_an_earlier_file_is_replaced_and_no_segment_comes_twice(
    one: Decoder, tmp_path: Path, song: Path, infect: Any
) -> None:
    """The second file's first segment has been sent when it happens."""
    infect("worker.old_send = worker._Replier.send; worker.n = 0; "
           "worker._Replier.send = lambda s, k, c=b'': ("
           "setattr(worker, 'n', worker.n + (k in (b'S', b'M'))), "
           f"{CRASH} if worker.n == 2 else worker.old_send(s, k, c))",
           where=f"path.name == {song.name!a}")  # fmt: skip
    long = sounds.write(tmp_path / "long.wav", "wav", sounds.staircase(90), 16_000)
    assert n_segments(one, song) == 1
    for ours, theirs in zip(Track(long).segments(), one.track(long).segments(), strict=True):
        assert np.array_equal(ours, theirs)


@posix
def test_an_idle_process_that_was_killed_is_replaced(one: Decoder, song: Path) -> None:
    n_segments(one, song)
    assert one._process is not None
    os.kill(one._process._popen.pid, signal.SIGKILL)
    assert n_segments(one, song) == 1


@pytest.mark.parametrize(
    "reply",
    [
        "b'Z\\0\\0\\0\\0'",
        "b'S\\1\\0\\0\\0x'",
        "b'D\\0\\0\\0\\0'",
        "b'M\\0\\0\\0\\0'",  # in shared memory, but nobody knows where
        "b'M\\1\\0\\0\\0\\x63'",  # far outside
        "b'D\\x20\\0\\0\\0' + bytes(32)",  # in itself it is one, but nobody asked for it
        "b'S\\xff\\xff\\xff\\xff'",
        "b'E\\2\\0\\0\\0{}'",
        "b'E\\4\\0\\0\\0[[[['",
        'b\'E\\x1b\\0\\0\\0[0, "", "silent", 5, null]\'.ljust(32)',
    ],
)
def test_the_process_is_not_believed(one: Decoder, ill: Path, infect: Any, reply: str) -> None:
    infect(f"worker._Replier.send = lambda self, *_: self._replies.write({reply})")
    assert code_of(one, ill) == "crashed"


def test_what_a_library_prints_does_no_harm(
    one: Decoder, ill: Path, infect: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    infect("os.write(1, b'x' * 99); os.write(2, b'y' * 99); print('z'); sys.stdin.read()")
    assert n_segments(one, ill) == 1
    assert capfd.readouterr() == ("", "")


def test_an_exception_we_did_not_foresee_is_ours(one: Decoder, ill: Path, infect: Any) -> None:
    infect("raise KeyError('oh')")
    with pytest.raises(
        RuntimeError, match=r"ill\.wav': in the decoding process:[^$]*KeyError: 'oh'"
    ):
        list(one.track(ill).segments())


def test_a_python_that_does_not_start_is_no_files_fault(
    one: Decoder, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawn, "command", lambda: [os.fspath(song.parent / "none")])
    with pytest.raises(MusictagError, match="cannot start a process to decode in"):
        n_segments(one, song)
