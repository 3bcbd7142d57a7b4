"""Decoding processes for tests, and ways to make them ill."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sounds

from musictag.audio import spawn
from musictag.audio.decoder import Decoder

ILLNESS = """
import os, signal, sys, time
from musictag.audio import digest, wire, worker
from musictag.audio.samples import SEGMENT_LENGTH
from musictag.audio.track import Track

def infected(healthy):
    def work(self, **options):
        path = getattr(self, "path", self)
        if {where}:
            {what}
        return healthy(self, **options)
    return work

Track.segments = infected(Track.segments)
Track.timed_segments = infected(Track.timed_segments)
digest.payload_digest = infected(digest.payload_digest)
"""
CRASH = "os.kill(os.getpid(), signal.SIGSEGV)"
ILL_FILE = "'ill' in path.name"


@pytest.fixture
def infect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """From now on decoding processes do `what` where `where` is so."""

    def infect(what: str, *, where: str = ILL_FILE) -> None:
        illness = ILLNESS.format(where=where, what=what)
        python = f"import sys; sys.path[:] = {sys.path!a}\n{illness}\nworker.work()"
        monkeypatch.setattr(spawn, "command", lambda: [sys.executable, "-I", "-c", python])

    return infect


@pytest.fixture
def one() -> Iterator[Decoder]:
    with Decoder() as one:
        yield one


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return sounds.make(tmp_path, "wav", seconds=2)


@pytest.fixture
def ill(tmp_path: Path) -> Path:
    return sounds.make(tmp_path, "wav", name="ill.wav", seconds=2, seed=1)
