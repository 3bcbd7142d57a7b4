"""The watch: what is new in some folders is heard, batch by batch, for as long as the program runs.

    Watch(roots, source, hear, …).run()

`hear` is given a Batch: paths to scan, a place through which their outcomes pass, and a word when
to stop. Each batch is one run of the journal.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from musictag import files
from musictag.errors import FileError, UsageError
from musictag.watching.roots import Root
from musictag.watching.seen import Seen, state_of
from musictag.watching.source import Source, Told
from musictag.watching.still import Changing

if TYPE_CHECKING:
    from musictag.outcome import Outcome

LOOK_S = 5.0
"""Seconds between two looks whether the folders are there."""
AGAIN_S = 600.0
"""Seconds after which a file is tried again whose failure may pass."""
PASSING = frozenset({"io", "journal", "locked", "memory", "no_space", "permission", "read_only"})
"""Codes of failures that may pass while the file stays as it is."""
MOST = 10_000
"""Files that may be changing, or waiting to be tried again, at once; if there are more, everything
is looked at instead."""


class Watch:
    """Watches folders. `run` ends by an exception, of which KeyboardInterrupt is the usual one.

    `say` takes sentences for people. `clock` tells seconds, `time` the time of the day as files
    know it.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        source: Source,
        hear: Callable[[Batch], None],
        *,
        exclude: Sequence[str] = (),
        settle_s: float = 5.0,
        say: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        time: Callable[[], float] = time.time,
    ) -> None:
        self._roots = [Root(root) for root in roots]
        self._source = source
        self._hear = hear
        self._exclude = exclude
        self._settle_s = settle_s
        self._say = say
        self._clock = clock
        self._time = time
        self._seen = Seen()
        self._changing = Changing(settle_s, clock)
        self._failing: dict[Path, tuple[float, str]] = {}
        """File → when to try it again, and what was said of it."""
        self._to_look_at: set[Path] = set()
        """Roots of which everything may have changed."""
        self._looked_s = -math.inf
        self._is_first = True

    def run(self) -> None:
        """Watch until an exception comes."""
        while True:
            self._look_at_roots()
            if self._to_look_at:
                self._look_at_everything()
            self._try_again()
            self._changing.look()
            if ready := self._changing.take():
                self._hear_all(Batch(iter(ready), self._settled))
            else:
                self._note(self._source.wait(self._patience_s()))

    # -- what may be new

    def _look_at_roots(self) -> None:
        """See which folders have gone or come."""
        if self._clock() - self._looked_s < LOOK_S:
            return
        for root in self._roots:
            said, is_new = root.away, root.look()
            if is_new:
                self._source.begin(root.path)
                self._to_look_at.add(root.path)
                if said:
                    self._say(f"{root.path}: it is back")
            elif not root.is_there and not said:
                self._source.end(root.path)
                self._to_look_at.discard(root.path)
                self._say(f"{root.path}: {root.away}; waiting for it")
        self._looked_s = self._clock()

    def _look_at_everything(self) -> None:
        """Hear what is new in folders of which everything may have changed."""
        looked_at, self._to_look_at = self._to_look_at, set()
        whole = len(looked_at) == len(self._roots)
        if whole:
            self._seen.begin()
        batch = Batch(self._new_in(sorted(looked_at)), self._settled, is_first=self._is_first)
        self._hear_all(batch)
        if batch.is_over():
            return
        if whole:
            self._seen.end()
        if self._is_first:
            self._say("watching " + ", ".join(os.fspath(root.path) for root in self._roots))
            self._is_first = False

    def _new_in(self, roots: Iterable[Path]) -> Iterator[Path | FileError]:
        """Files below some folders that differ from what they were when they were dealt with.

        It runs in the thread that takes a scan's paths.
        """
        for root in roots:
            with contextlib.suppress(UsageError):  # gone; the next look at the roots will say so
                for found in files.walk([root], exclude=self._exclude):
                    if self._is_new(found):
                        yield found

    def _is_new(self, found: Path | FileError) -> bool:
        if isinstance(found, FileError):  # a folder that cannot be listed
            return not self._seen.has(found.path, hash(found.message))
        state = state_of(found)
        if self._seen.has(found, state):
            return False
        if state and self._is_recent(found):
            self._changing.touch(found, state)
            return False
        return True

    def _is_recent(self, path: Path) -> bool:
        """Whether a file may still be changing, by its own times."""
        with contextlib.suppress(OSError):
            found = path.stat()
            return self._time() - max(found.st_mtime, found.st_ctime) < self._settle_s
        return False

    def _note(self, told: Told) -> None:
        """Take down what may have changed."""
        if told.everything or len(self._changing) > MOST:
            self._changing.clear()
            self._to_look_at |= {root.path for root in self._roots if root.is_there}
            return
        for folder in told.folders:
            for root in self._roots:
                if folder == root.path:
                    root.doubt()
                    self._looked_s = -math.inf
            if folder.is_dir():
                with contextlib.suppress(UsageError):  # it has gone just now
                    for found in files.walk([folder], exclude=self._exclude):
                        if isinstance(found, Path):
                            self._touch(found)
        for path in told.files:
            self._touch(path)

    def _touch(self, path: Path) -> None:
        root = self._root_of(path)
        if root is None or not files.belongs(path, root.path, exclude=self._exclude):
            return
        state = state_of(path)
        if state == 0:
            self._seen.forget(path)
        elif not self._seen.has(path, state):
            self._changing.touch(path, state)

    def _try_again(self) -> None:
        """Files that failed, and for which the time has come."""
        now_s = self._clock()
        for path in [path for path, (due_s, _) in self._failing.items() if due_s <= now_s]:
            self._seen.forget(path)
            if state := state_of(path):
                self._failing[path] = (math.inf, self._failing[path][1])
                self._changing.touch(path, state)
            else:
                del self._failing[path]

    def _patience_s(self) -> float:
        """How long nothing but an event needs attention."""
        due = [self._looked_s + LOOK_S, self._changing.next_s()]
        due += [due_s for due_s, _ in self._failing.values()]
        return max(0.01, min(due) - self._clock())

    # -- hearing it

    def _hear_all(self, batch: Batch) -> None:
        """Hear a batch, unless there is nothing in it."""
        if batch.is_empty():
            return
        self._hear(batch)
        for path in batch.to_hear_again:
            if state := state_of(path):
                self._changing.touch(path, state)
        if batch.is_over():
            self._looked_s = -math.inf
            self._to_look_at |= {root.path for root in self._roots}

    def _settled(self, batch: Batch, outcome: Outcome, state: int) -> bool:
        """Note that a file was dealt with in this state; False if there is nothing to tell."""
        path, error = outcome.path, outcome.error
        if outcome.status == "failed" and error is not None:
            root = self._root_of(path)
            if root is None or root.is_away():
                batch.end()
                return False
            if error.code == "changed":
                batch.to_hear_again.append(path)
                return False
            if error.code == "not_found" and state:  # it was there a moment ago
                self._seen.forget(path)
                return False
            if error.code in PASSING and len(self._failing) < MOST:
                self._seen.note(path, state)
                _, said = self._failing.get(path, (0.0, ""))
                self._failing[path] = (self._clock() + AGAIN_S, error.message)
                return said != error.message
        self._failing.pop(path, None)
        self._seen.note(path, state_of(path) if outcome.status == "written" else state)
        return True

    def _root_of(self, path: Path) -> Root | None:
        return next((root for root in self._roots if path.is_relative_to(root.path)), None)


class Batch:
    """Paths to scan together, and what becomes of them."""

    def __init__(
        self,
        paths: Iterator[Path | FileError],
        settled: Callable[[Batch, Outcome, int], bool],
        *,
        is_first: bool = False,
    ) -> None:
        self._paths = paths
        self._settled = settled
        self._states: dict[Path, int] = {}
        """Files on their way through the scan, as they were before it."""
        self._is_over = False
        self.is_first = is_first
        """Whether it is what was found when the watch began."""
        self.to_hear_again: list[Path] = []
        """Files that changed while they were heard."""

    def is_empty(self) -> bool:
        """Whether there is nothing to scan."""
        first = next(self._paths, None)
        if first is None:
            return True
        self._paths = itertools.chain([first], self._paths)
        return False

    def paths(self) -> Iterator[Path | FileError]:
        """What to scan."""
        for path in self._paths:
            if isinstance(path, FileError):
                self._states[path.path] = hash(path.message)
            else:
                self._states[path] = state_of(path)
            yield path

    def is_over(self) -> bool:
        """Whether the scan is to stop, because a folder has gone."""
        return self._is_over

    def end(self) -> None:
        self._is_over = True

    def passed(self, outcomes: Generator[Outcome, None, None]) -> Generator[Outcome, None, None]:
        """The scan's outcomes, without those of which there is nothing to tell."""
        with contextlib.closing(outcomes):
            for outcome in outcomes:
                if self._settled(self, outcome, self._states.pop(outcome.path, 0)):
                    yield outcome
                if self._is_over:
                    return
