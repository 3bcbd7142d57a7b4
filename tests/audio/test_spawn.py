"""Processes that decode: started when they are wanted, and one of them before."""

from __future__ import annotations

import os
import sys

import pytest

from musictag.audio import spawn

linux = pytest.mark.skipif(sys.platform != "linux", reason="counts open files in /proc")


def n_open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


@linux
def test_the_first_process_that_is_wanted_is_on_its_way_already() -> None:
    before = n_open_files()
    with spawn.ahead():
        (waiting,) = spawn._ahead
        first, second = spawn.spawned(), spawn.spawned()
        assert first is waiting
        assert second.popen.pid != first.popen.pid
        for process in (first, second):
            process.discard()
    assert n_open_files() == before


@linux
def test_a_process_that_nobody_wanted_ends_whatever_happens() -> None:
    before = n_open_files()
    with pytest.raises(KeyboardInterrupt), spawn.ahead():
        (waiting,) = spawn._ahead
        raise KeyboardInterrupt
    assert waiting.popen.returncode is not None
    assert n_open_files() == before
    assert spawn._ahead == []


def test_where_no_process_can_be_started_who_wants_one_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(spawn.subprocess, "Popen", refuse)
    before = n_open_files() if sys.platform == "linux" else 0
    with spawn.ahead(), pytest.raises(OSError, match="unavailable"):
        spawn.spawned()
    assert before == (n_open_files() if sys.platform == "linux" else 0)
