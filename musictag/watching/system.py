"""The system's events, by way of watchdog."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from musictag.errors import UsageError, system_trouble
from musictag.watching.source import Told

try:
    from watchdog.events import FileSystemEvent, FileSystemEventHandler
    from watchdog.observers import Observer
except ImportError as error:
    raise UsageError(
        "to watch by the system's events needs watchdog: python -m pip install 'musictag[watch]'; "
        "or look every so many seconds, without it: --poll 60"
    ) from error

if TYPE_CHECKING:
    from watchdog.observers.api import ObservedWatch

MOST = 10_000
"""Names kept between two looks, at most; if there are more, everything may have changed."""
_TELLING = frozenset({"created", "modified", "moved", "deleted", "closed"})
"""Kinds of event after which a file may be another. Opening one for reading is none."""


class Events:
    """Tells of what the system reports."""

    def __init__(self) -> None:
        self._observer = Observer()
        self._observer.daemon = True
        self._observer.start()
        self._watches: dict[Path, ObservedWatch] = {}
        self._told = Told()
        self._lock = threading.Lock()
        self._is_told = threading.Event()

    def begin(self, root: Path) -> None:
        self.end(root)
        try:
            self._watches[root] = self._observer.schedule(
                _Handler(self, root), os.fspath(root), recursive=True
            )
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EMFILE):
                raise UsageError(
                    f"{root}: the system has no more watches for its folders (raise "
                    "fs.inotify.max_user_watches and max_user_instances, or use --poll 60)"
                ) from error
            if not root.is_dir():  # it went away just now, which the next look will find
                return
            raise UsageError(
                f"{root}: it cannot be watched: {system_trouble(error).reason} (use --poll 60)"
            ) from error

    def end(self, root: Path) -> None:
        watch = self._watches.pop(root, None)
        if watch is not None:
            with contextlib.suppress(KeyError, OSError):  # it has ended by itself
                self._observer.unschedule(watch)

    def wait(self, seconds: float) -> Told:
        self._is_told.wait(seconds)
        with self._lock:
            told, self._told = self._told, Told()
            self._is_told.clear()
        return told

    def note(self, root: Path, event: FileSystemEvent) -> None:
        """Take down an event, in watchdog's thread."""
        if event.event_type not in _TELLING:
            return
        names = [os.fsdecode(name) for name in (event.src_path, event.dest_path) if name]
        paths = {Path(name) for name in names}
        with self._lock:
            told = self._told
            if not event.is_directory:
                told.files |= paths
            elif event.event_type in ("created", "moved"):
                told.folders |= paths
            elif event.event_type == "deleted" and root in paths:
                told.folders.add(root)
            else:
                return
            if len(told.files) + len(told.folders) > MOST:
                self._told = Told(everything=True)
            self._is_told.set()


class _Handler(FileSystemEventHandler):
    def __init__(self, events: Events, root: Path) -> None:
        self._events = events
        self._root = root

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._events.note(self._root, event)
