"""A decoder that dies in the middle of a scan or a taggram."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sounds
from ears import FakeEar

from musictag.audio import spawn
from musictag.audio.decoder import Decoder
from musictag.config import Settings
from musictag.errors import AudioError
from musictag.outcome import Outcome, Problem
from musictag.scan import pipeline, taggram
from musictag.stores.cache import Cache

posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")
CRASH = "os.kill(os.getpid(), signal.SIGSEGV)"
ILL_FILE = "'ill' in path.name"


class Ears(FakeEar):
    name, digest, front_end, tags, thresholds = "fake", "d1", {}, ("rock",), {"Rock": 0.4}


@pytest.fixture
def scan(tmp_path: Path) -> Callable[..., list[Outcome]]:
    def scan(*paths: Path) -> list[Outcome]:
        settings = Settings(device="cpu", jobs=1)
        with Cache(tmp_path / "heard.sqlite") as cache:
            ears: Any = Ears()
            return list(pipeline.scan(paths, ears, settings, cache=cache))

    return scan


@posix
@pytest.mark.parametrize("tags", ["good", "bad"])
@pytest.mark.parametrize("in_digest", [False, True])
def test_a_file_that_kills_its_decoder_is_remembered_until_it_changes(
    tmp_path: Path, infect: Any, scan: Any, song: Path, tags: str, in_digest: bool
) -> None:
    ill = tmp_path / "ill.mp3"
    head = b"ID3\x03\0\x80\0\0\0\x05hello" if tags == "bad" else b""

    def fill(seed: int) -> None:
        ill.write_bytes(head + sounds.encode("mp3", sounds.chord(2, seed=seed), 44_100))

    fill(1)
    infect(
        f"os.mkdir({os.fspath(tmp_path)!a} + f'/death {{os.getpid()}}'); {CRASH}",
        where=ILL_FILE if in_digest else f"{ILL_FILE} and isinstance(self, Track)",
    )

    def n_deaths() -> int:
        return len(list(tmp_path.glob("death*")))

    first = scan(song, ill)
    assert [outcome.status for outcome in first] == ["planned", "failed"]
    assert first[1].error == Problem("crashed", "its decoder crashed (SIGSEGV)")
    n = n_deaths()
    (second,) = scan(ill)
    assert (second.error, second.from_cache) == (first[1].error, True)
    assert n_deaths() == n > 0
    fill(2)
    assert scan(ill)[0].error == first[1].error
    assert n_deaths() > n
    infect("pass")
    fill(3)
    (mended,) = scan(ill)
    assert mended.error is None if tags == "good" else mended.error.code != "crashed"


def test_a_library_that_is_remembered_starts_no_process(
    scan: Any, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert scan(song)[0].status == "planned"
    monkeypatch.setattr(spawn, "command", lambda: pytest.fail("it was started"))
    assert scan(song)[0].from_cache


def test_a_scan_that_is_left_leaves_no_process(
    scan: Any, tmp_path: Path, song: Path, infect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    infect("time.sleep(3600)")
    ill = sounds.make(tmp_path, "wav", name="ill.wav", seed=1)
    started: list[spawn.Spawned] = []
    spawned = spawn.spawned

    def noting() -> spawn.Spawned:
        started.append(spawned())
        return started[-1]

    monkeypatch.setattr(spawn, "spawned", noting)
    ears: Any = Ears()
    settings = Settings(device="cpu", jobs=2, batch_size=1)
    outcomes = pipeline.scan([song, ill], ears, settings, cache=Cache(None))
    next(outcomes)
    _until(lambda: len(started) == 2)
    outcomes.close()
    assert all(process.popen.returncode is not None for process in started)
    assert not [t for t in threading.enumerate() if t.name.startswith("musictag")]


@posix
def test_a_crash_costs_a_taggram_one_line(ill: Path, infect: Any) -> None:
    infect(CRASH)
    ears: Any = Ears()
    with pytest.raises(AudioError, match="its decoder crashed"):
        taggram.hear(ill, ears, Settings(device="cpu"))


@pytest.mark.parametrize("start", ["float('nan')", "-1.0", "float('inf')"])
def test_a_start_that_is_no_time_is_not_believed(
    one: Decoder, ill: Path, infect: Any, start: str
) -> None:
    infect(f"return [({start}, __import__('numpy').zeros(SEGMENT_LENGTH, 'float32'))]")
    with pytest.raises(AudioError, match="went astray"):
        list(one.track(ill).timed_segments())


def _until(so: Callable[[], Any]) -> None:
    deadline_s = time.monotonic() + 30
    while not so():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
