"""Whole commands, measured from outside: wall time, processor time and memory of all processes.

Commands to be compared run in turns, so that a slow moment of the machine slows
all of them alike.
"""

from __future__ import annotations

import contextlib
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from musictag import process

ROOT = Path(__file__).resolve().parent.parent
MUSICTAG = (sys.executable, "-m", "musictag")
_LOOK_S = 0.05
"""Seconds between two looks at the memory."""


@dataclass(frozen=True)
class Command:
    """A command line and how to run it."""

    words: Sequence[str]
    code: int = 0
    """The exit code that is expected."""
    at_home: bool = False
    """Whether it runs with the settings and caches of the user; by default in an empty folder."""
    home: Path | None = None
    """The folder for settings and caches, instead of an empty one."""


@dataclass(frozen=True)
class Run:
    """What one run of a command took, with all its children."""

    wall_s: float
    cpu_s: float
    output: str
    first_line_s: float
    """Seconds from the start to the first line on standard output; NaN if there was none."""
    memory_gb: float = math.nan
    """The most that all processes held at once, shared pages counted once; NaN unless watched."""


@dataclass(frozen=True)
class Bound:
    """A figure that was measured, and the one that is asked for."""

    what: str
    found: float
    wanted: float
    at_least: bool = False

    @property
    def reached(self) -> bool:
        return self.found >= self.wanted if self.at_least else self.found <= self.wanted

    def line(self) -> str:
        sign = "≥" if self.at_least else "≤"
        verdict = "reached" if self.reached else "missed"
        return f"  {self.what:56}{self.found:9.3g}   {sign} {self.wanted:<5g} {verdict}"


def run(command: Command, *, watched: bool = False) -> Run:
    """Run a command to its end; Failed, with its output, if the exit code is unexpected."""
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            command.words,
            stdout=subprocess.PIPE,
            stderr=said,
            env=_environment(None if command.at_home else os.fspath(command.home or home)),
        )
        assert process.stdout is not None
        watch = _watched(process.pid) if watched else contextlib.nullcontext([math.nan])
        with process.stdout, watch as memory_gb:
            first = process.stdout.readline()
            first_line_s = time.perf_counter() - began if first else math.nan
            output = (first + process.stdout.read()).decode(errors="replace")
            _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != command.code:
            said.seek(0)
            words = [*command.words, f": exit code {process.returncode}\n", output[-2000:]]
            raise Failed(" ".join(words) + said.read().decode(errors="replace")[-2000:])
    cpu_s = usage.ru_utime + usage.ru_stime
    return Run(wall_s, cpu_s, output, first_line_s, max(memory_gb))


class Failed(Exception):  # noqa: N818  # its message begins with the command
    """A command ended with another exit code than expected."""


def in_turns(commands: Mapping[str, Command], n_runs: int) -> dict[str, list[Run]]:
    """Run each command `n_runs` times."""
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for turn in range(n_runs):
        for name, command in commands.items():
            print(f"{name}, {turn + 1} of {n_runs} …", file=sys.stderr)
            runs[name].append(run(command))
    return runs


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def machine() -> str:
    return f"{platform.machine()}, {process.n_cores()} cores, Python {platform.python_version()}"


def _environment(home: str | None) -> dict[str, str]:
    kinds = ("CACHE", "CONFIG", "DATA", "STATE") if home else ()
    homes = {f"XDG_{kind}_HOME": str(home) for kind in kinds}
    return {**os.environ, **homes, "PYTHONPATH": str(ROOT)}


# ---------------------------------------------------------------- memory


@contextlib.contextmanager
def _watched(pid: int) -> Iterator[list[float]]:
    """Measure the memory of a process and its descendants, in GB, until the block ends."""
    seen = [0.0]
    over = threading.Event()

    def look() -> None:
        while not over.wait(_LOOK_S):
            seen.append(sum(map(_memory_kb, _family(pid))) / 2**20)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def _family(pid: int) -> set[int]:
    """A process and its descendants."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                after_name = (entry / "stat").read_text(errors="replace").rpartition(")")[2]
                parents[int(entry.name)] = int(after_name.split()[1])
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def _memory_kb(pid: int) -> int:
    """The memory of a process, in KB; of a page that n processes share, its nth part."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
