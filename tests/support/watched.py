"""A watch without a system, a model or time: events and the clock follow a script."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path

from musictag.errors import FileError
from musictag.outcome import Outcome, Problem
from musictag.watching.source import Told
from musictag.watching.watch import Batch, Watch

LONG_AGO = math.inf
"""A time of the day at which no file is recent."""


class Script:
    """Stands for the clock and the source of events. When its last step is done, Ctrl-C comes."""

    def __init__(self, **steps: Callable[[], Told | None]) -> None:
        self.now_s = 0.0
        self._steps = [(float(name.removeprefix("at_")), step) for name, step in steps.items()]
        self.begun: list[Path] = []
        self.ended: list[Path] = []

    def clock(self) -> float:
        return self.now_s

    def begin(self, root: Path) -> None:
        self.begun.append(root)

    def end(self, root: Path) -> None:
        self.ended.append(root)

    def wait(self, seconds: float) -> Told:
        if not self._steps:
            raise KeyboardInterrupt
        at_s, step = self._steps[0]
        if self.now_s + seconds < at_s:
            self.now_s += seconds
            return Told()
        self.now_s = max(self.now_s, at_s)
        del self._steps[0]
        return step() or Told()


class Hearing:
    """Stands for the scan: writes a mark into each file, or fails as it is told."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.batches: list[tuple[float, list[str]]] = []
        """When something was heard, and the names of the files."""
        self.told: list[tuple[str, str]] = []
        """Names and statuses of the outcomes that were reported."""
        self.failures: Mapping[str, str] = {}
        """Name → code of what goes wrong with it."""
        self.meanwhile: Callable[[Path], object] = lambda path: None
        self.afterwards: Callable[[], object] = lambda: None
        self.writes = False

    def __call__(self, batch: Batch) -> None:
        names: list[str] = []
        self.batches.append((self._script.now_s, names))
        for outcome in batch.passed(self._outcomes(batch.paths(), names, batch.is_over)):
            self.told.append((outcome.path.name, outcome.status))
        self.afterwards()

    def _outcomes(
        self, paths: Iterable[Path | FileError], names: list[str], stopped: Callable[[], bool]
    ) -> Generator[Outcome, None, None]:
        for found in paths:
            if stopped():
                return
            path = found.path if isinstance(found, FileError) else found
            names.append(path.name)
            self.meanwhile(path)
            code = found.code if isinstance(found, FileError) else self.failures.get(path.name)
            if code is not None or not path.exists():
                code = code or "not_found"
                yield Outcome(path, "failed", error=Problem(code, f"it is {code}"))
            elif self.writes:
                path.write_bytes(path.read_bytes() + b"tags")
                yield Outcome(path, "written")
            else:
                yield Outcome(path, "unchanged")


def watched(
    *roots: Path,
    script: Script,
    hearing: Hearing | None = None,
    time_s: Callable[[], float] = lambda: LONG_AGO,
    exclude: tuple[str, ...] = (),
) -> tuple[Hearing, list[str]]:
    """Run a watch through a script; returns what was heard and what was said."""
    hearing = hearing or Hearing(script)
    said: list[str] = []
    watch = Watch(
        roots,
        script,
        hearing,
        exclude=exclude,
        settle_s=5,
        say=said.append,
        clock=script.clock,
        time=time_s,
    )
    try:
        watch.run()
    except KeyboardInterrupt:
        return hearing, said
    raise AssertionError("a watch ends by an exception only")
