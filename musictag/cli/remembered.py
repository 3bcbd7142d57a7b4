"""What the commands that read the remembered collection share."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from musictag.cli import logs
from musictag.cli.endings import complain
from musictag.cli.signals import Interruption
from musictag.errors import FileError, UsageError

if TYPE_CHECKING:
    from musictag.config import Settings
    from musictag.hearing.checkpoint import Checkpoint
    from musictag.library.collection import Collection, Missing, Track
    from musictag.library.opinion import Opinion
    from musictag.library.overview import Row, Trouble
    from musictag.outcome import Outcome
    from musictag.stores.cache import Cache
    from musictag.vocabulary import Vocabulary


class Remembered:
    """The collection that a model has heard."""

    def __init__(self, cache: Cache, model: Checkpoint, settings: Settings) -> None:
        from musictag.library.collection import Collection  # noqa: PLC0415

        self._cache = cache
        self.model = model
        self.settings = settings
        base = model.heard_by
        self.collection: Collection = Collection(
            cache, base.digest, base.tags, segments=settings.segments
        )

    @functools.cached_property
    def opinion(self) -> Opinion:
        """What the model says of tracks, in the user's words."""
        from musictag.library.opinion import Opinion  # noqa: PLC0415

        model = self.model
        worded = self.settings.worded(model.vocabulary)
        return Opinion(model.tags, model.vocabulary, worded=worded, own_words=model.own_words())

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's, in the user's words."""
        return self.settings.worded(self.model.vocabulary)

    def tracks(
        self, below: Sequence[Path], *, summaries: bool = False, hear: bool = False
    ) -> list[Track]:
        """The remembered tracks below these folders, or all; what is missing is said, or heard."""
        found = list(self.each(below, summaries=summaries, hear=hear))
        found.sort(key=lambda track: os.fsencode(track.path))
        return found

    def each(
        self, below: Sequence[Path], *, summaries: bool = False, hear: bool = False
    ) -> Iterator[Track]:
        """The same tracks one by one, those that had to be heard last."""
        from musictag import files  # noqa: PLC0415
        from musictag.library.collection import Missing  # noqa: PLC0415

        missing = Missing()
        paths = files.walk(below, exclude=self.settings.exclude) if below else None
        n_found = 0
        for n_found, track in enumerate(  # noqa: B007  # counted
            self.collection.tracks(paths, summaries=summaries, missing=missing), 1
        ):
            yield track
        if hear and (wanted := [*missing.unheard, *missing.unsummed]):
            self.hear(wanted)
            for track in self.collection.tracks(wanted, summaries=summaries):
                n_found += 1
                yield track
        else:
            _say(missing)
        if not n_found:
            raise UsageError("nothing is remembered here: musictag scan hears it first")

    def rows(self, below: Sequence[Path], *, missing: Missing) -> Iterator[Row | Trouble]:
        """All that is known of the files below these folders, or of all; nothing is decoded.

        A file may be a track and have trouble, too. What has no row is noted in `missing`.
        """
        from musictag import files  # noqa: PLC0415
        from musictag.cli.session import opened_journal  # noqa: PLC0415
        from musictag.library import overview  # noqa: PLC0415
        from musictag.scan import pipeline  # noqa: PLC0415

        # a page of all tracks, whichever of them a scan would be kept to
        settings = dataclasses.replace(self.settings, newer_than=None, only_missing=(), where=None)
        model = self.model
        paths = files.walk(below, exclude=settings.exclude) if below else None
        needs_summary = model.base is not None
        passing = overview.Passing(
            self.collection.tracks(paths, summaries=needs_summary, missing=missing)
        )
        known = overview.Overview(self.vocabulary)
        with opened_journal(write=False) as journal:
            outcomes = pipeline.scan(
                passing.paths(), model, settings, cache=self._cache, journal=journal, explain=True
            )
            with contextlib.closing(outcomes):
                for track, outcome in passing.pairs(outcomes):
                    yield from known.said(track, outcome)
        for outcome in self._outcomes(missing.without_music):
            yield from known.said(None, outcome)
        for path in (*missing.unheard, *missing.unsummed):
            yield overview.unheard(path)
        for error in missing.unlisted:
            yield overview.Trouble(error.path, error.code, error.message)

    def heard(self, paths: Sequence[Path]) -> list[Track]:
        """These files with their summaries. What is not remembered is heard now, and remembered.

        FileError for a file in which no music can be heard.
        """
        from musictag.library.collection import Missing  # noqa: PLC0415

        missing = Missing()
        found = list(self.collection.tracks(paths, summaries=True, missing=missing))
        if len(found) < len(paths):
            for outcome in self._outcomes(paths):
                if outcome.error is not None and not outcome.probabilities:
                    raise FileError(outcome.path, outcome.error.code, outcome.error.message)
            found = list(self.collection.tracks(paths, summaries=True))
        if len(found) < len(paths):
            left = next(p for p in paths if p not in {track.path for track in found})
            raise FileError(left, "unheard", "it could not be remembered")
        return found

    def hear(self, paths: Sequence[Path]) -> int:
        """Hear these files, say what cannot be heard, and return how many failed.

        KeyboardInterrupt after a request to stop; what was heard until then is remembered.
        """
        from musictag.report.progress import Progress  # noqa: PLC0415
        from musictag.report.text import counted  # noqa: PLC0415

        complain(f"hearing {counted(len(paths), 'file')}")
        n_failed = 0
        with (
            Interruption() as stopped,
            Progress(sys.stderr) as progress,
            logs.logging_to(progress.say, quiet=False, verbose=False, log_file=None),
        ):
            for n, outcome in enumerate(self._outcomes(paths, stopped), 1):
                if outcome.error is not None and not outcome.probabilities:
                    progress.say(f"musictag: {outcome.path}: {outcome.error.message}")
                    n_failed += outcome.status == "failed"
                progress.step("heard", n, len(paths), "files")
            stopped.check()
        return n_failed

    def _outcomes(
        self, paths: Sequence[Path], stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[Outcome]:
        from musictag.scan import pipeline  # noqa: PLC0415

        with contextlib.closing(
            pipeline.scan(
                paths,
                self.model.heard_by,
                self.settings,
                cache=self._cache,
                stopped=stopped,
                need_summary=True,
            )
        ) as outcomes:
            yield from outcomes


@contextlib.contextmanager
def opened(settings: Settings) -> Iterator[Remembered]:
    """What the model of the settings has heard; UsageError if the settings turn the cache off."""
    from musictag.hearing import checkpoint  # noqa: PLC0415
    from musictag.stores import cache as caches  # noqa: PLC0415

    if not settings.cache:
        raise UsageError("the settings turn the cache off: nothing is remembered")
    model = checkpoint.find(settings.model)
    with caches.Cache(caches.default_path()) as cache:
        yield Remembered(cache, model, settings)


def _say(missing: Missing) -> None:
    from musictag.report.text import counted  # noqa: PLC0415

    if missing.unheard:
        n, example = counted(len(missing.unheard), "file"), missing.unheard[0]
        complain(f"{n} left out, not heard as they are now: scan them, or --hear ({example})")
    if missing.unsummed:
        n, example = counted(len(missing.unsummed), "file"), missing.unsummed[0]
        complain(f"{n} left out, heard when no summaries were kept: --hear them ({example})")
