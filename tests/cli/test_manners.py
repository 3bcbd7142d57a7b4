"""How a scan behaves on a machine that has other things to do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from program import Run
from waits import WAIT_S

from musictag import process
from musictag.cli import manners
from musictag.cli.manners import Manners
from musictag.errors import UsageError


class Machine:
    """A clock that only sleep moves, and processor time that somebody uses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        self.used_s = 7.0
        self.naps: list[float] = []
        self.on_battery: Iterator[bool] = iter(())
        clock = SimpleNamespace(monotonic=lambda: self.now_s, sleep=self.sleep)
        monkeypatch.setattr(manners, "time", clock)
        monkeypatch.setattr(manners, "used_s", lambda: self.used_s)
        monkeypatch.setattr(manners, "battery", lambda: lambda: next(self.on_battery))

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= 0.1
        self.naps.append(seconds)
        self.now_s += seconds

    def work(self, seconds: float, *, cores: float = 1.0) -> None:
        self.now_s += seconds
        self.used_s += seconds * cores


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def kept(share: float | None, *, n_cores: int = 4, **options: Any) -> Manners:
    options = {"pause_on_battery": False, "stopped": lambda: False, "say": print} | options
    return Manners(share, n_cores=n_cores, **options)


@pytest.mark.parametrize(
    ("share", "n_cores", "cores", "slept_s"),
    [(0.25, 4, 1.0, 0.0), (0.25, 4, 2.0, 1.0), (0.25, 2, 1.0, 1.0), (0.05, 2, 1.0, 9.0)],
)
def test_a_second_of_work_is_followed_by_as_much_sleep_as_the_share_wants(
    machine: Machine, share: float, n_cores: int, cores: float, slept_s: float
) -> None:
    polite = kept(share, n_cores=n_cores)
    for _ in range(3):
        before_s = machine.now_s
        machine.work(1.0, cores=cores)
        polite.pause()
        assert machine.now_s - before_s - 1.0 == pytest.approx(slept_s)


def test_idle_time_is_not_saved_up(machine: Machine) -> None:
    polite = kept(0.25)
    machine.now_s += 3600
    polite.pause()
    before_s = machine.now_s
    machine.work(1.0, cores=4.0)
    polite.pause()
    assert machine.now_s - before_s == pytest.approx(4.0)


def test_the_clock_is_not_asked_at_every_segment(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    polite = kept(0.25)
    monkeypatch.setattr(manners, "used_s", lambda: pytest.fail("asked"))
    machine.now_s += 0.1
    polite.pause()


def test_a_scan_that_is_to_stop_sleeps_no_longer(machine: Machine) -> None:
    polite = kept(0.01, stopped=lambda: len(machine.naps) == 3)
    machine.work(1.0)
    polite.pause()
    assert len(machine.naps) == 3


def test_a_scan_waits_while_the_machine_runs_on_its_battery(machine: Machine) -> None:
    said: list[str] = []
    polite = kept(None, pause_on_battery=True, say=said.append)
    machine.on_battery = iter([False, True, True, True, False])
    polite.pause()
    assert (said, machine.naps) == ([], [])
    polite.pause()  # within ten seconds nobody looks
    machine.now_s += 11
    before_s = machine.now_s
    polite.pause()
    assert machine.now_s - before_s == pytest.approx(20.0)
    assert said == [
        "musictag: paused, because this machine runs on its battery",
        "musictag: going on",
    ]


@pytest.mark.parametrize(
    ("found", "expected"),
    [(None, False), (SimpleNamespace(power_plugged=True), False),
     (SimpleNamespace(power_plugged=None), False), (SimpleNamespace(power_plugged=False), True)],
)  # fmt: skip
def test_only_a_machine_that_is_known_to_be_unplugged_runs_on_its_battery(
    found: object, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    psutil = SimpleNamespace(sensors_battery=lambda: found)
    monkeypatch.setitem(sys.modules, "psutil", psutil)
    assert manners.battery()() is expected
    monkeypatch.setitem(sys.modules, "psutil", SimpleNamespace())
    assert manners.battery()() is False


def test_without_psutil_the_battery_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(UsageError, match=r"needs psutil: python -m pip install"):
        manners.battery()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux keeps processes to cores")
def test_a_share_of_the_cores_is_kept_by_this_process_and_those_that_it_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps: list[int] = []
    monkeypatch.setattr(os, "nice", steps.append)
    before = os.sched_getaffinity(0)
    ask = [sys.executable, "-c", "import os; print(len(os.sched_getaffinity(0)))"]
    with manners.gently(0.01):
        assert process.n_cores() == 1
        assert subprocess.check_output(ask, timeout=WAIT_S) == b"1\n"
    assert os.sched_getaffinity(0) == before
    with manners.gently(1.0):
        assert os.sched_getaffinity(0) == before
    with manners.gently(None):
        assert len(steps) == 2


def test_elsewhere_the_number_of_threads_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sched_setaffinity", "sched_getaffinity"):
        monkeypatch.delattr(os, name, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "nice", lambda _: None, raising=False)
    with manners.gently(0.3):
        assert process.n_cores() == 3
    assert process.n_cores() == 8


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="other systems ask psutil")
def test_the_work_of_processes_that_are_still_there_is_seen() -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"
    before_s = manners.used_s()
    with subprocess.Popen(
        [sys.executable, "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        seen_s = manners.used_s() - before_s
        child.communicate(b"\n", timeout=WAIT_S)
    assert 0.25 < seen_s < 5


def test_a_scan_with_manners_says_the_same(
    musictag: Run, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "nice", lambda _: None, raising=False)
    paused: list[float] = []
    monkeypatch.setattr(Manners, "pause", lambda _: paused.append(time.monotonic()))
    polite = musictag("scan", library, "--cpu", "50%", "--format", "jsonl")
    assert polite.code == 0
    assert len(paused) >= 3
    assert polite.records == musictag("scan", library, "--format", "jsonl").records


@pytest.mark.parametrize("share", ["0%", "150%", "half", "25"])
def test_a_share_that_is_none_ends_with_2(musictag: Run, library: Path, share: str) -> None:
    result = musictag("scan", library, "--cpu", share)
    assert result.code == 2
    assert "--cpu: expected a share of the cores, from 1% to 100%" in result.stderr
