"""The Python API: hear one track, or scan a library.

    with Tagger() as tagger:
        heard = tagger.hear("song.flac")
        for outcome in tagger.scan(["~/Music"]):
            ...

It leaves its host alone: no environment variable, signal handler, logging configuration or setting
of torch is changed, and nothing is printed. A program that does nothing but hear music may call
`musictag.process.for_a_program()` first, as the command line does, and gains speed.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musictag import config, files
from musictag.audio.decoder import Decoder
from musictag.errors import UsageError
from musictag.hearing import checkpoint
from musictag.hearing.devices import find_device
from musictag.outcome import Outcome, Taggram
from musictag.scan import pipeline, taggram, writing
from musictag.stores import cache as caches
from musictag.stores import journal as journals

if TYPE_CHECKING:
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

    from musictag.hearing.ear import Ear

__all__ = ["Heard", "Tagger"]

StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class Heard:
    """What was heard in one track."""

    path: Path
    duration_s: float
    probabilities: Mapping[str, float]
    """Tag → probability for the whole track."""
    chosen: Mapping[str, tuple[str, ...]]
    """Field → the values that the track deserves, strongest first."""
    taggram: Taggram
    """Probabilities of each segment, and the second at which it starts."""
    summary: NDArray[np.float32] = field(compare=False)
    """What the model made of the whole track before it named tags: (S,), the mean over the segments
    of the numbers that the network's last layer sees. It is for comparing tracks that the same
    model has heard; `==` of two Heard leaves it out."""


class Tagger:
    """A model that hears music.

    `model` is the name of a bundled model or the directory of a checkpoint; None is the default
    model. `device` is auto, cpu, cuda, cuda:N or mps. The model is loaded when it is first needed
    and then kept; `close` lets go of it, and ends the process that decodes. Threads that share a
    Tagger take turns hearing tracks; to scan, each needs its own.

    Raises CheckpointError if there is no such model, UsageError if there is no such device.

    >>> with Tagger() as tagger:
    ...     heard = tagger.hear(song)
    >>> heard.duration_s
    31.0
    >>> sorted(heard.chosen)
    ['GENRE', 'INSTRUMENT', 'MOOD', 'VOCALS']
    """

    def __init__(self, model: StrPath | None = None, device: str = "auto") -> None:
        self._settings = config.override(config.Settings(), {"device": device})
        self._checkpoint = checkpoint.find(model)
        pipeline.check_segments(self._checkpoint)
        if self._settings.device not in ("auto", "cpu"):
            find_device(self._settings.device)
        self._ear: Ear | None = None
        self._decoder: Decoder | None = None
        self._lock = threading.Lock()

    @property
    def model(self) -> str:
        """Name of the model."""
        return self._checkpoint.name

    @property
    def tags(self) -> tuple[str, ...]:
        """The words that the model predicts.

        >>> "guitar" in Tagger().tags
        True
        """
        return self._checkpoint.tags

    def hear(self, path: StrPath) -> Heard:
        """Hear all of one track. Nothing is remembered or written.

        Raises AudioError, with a reason and a code, for a file in which no music can be heard.

        >>> with Tagger(device="cpu") as tagger:
        ...     heard = tagger.hear(song)
        >>> heard.taggram.starts_s
        (0.0, 2.0)
        >>> 0 <= heard.probabilities["piano"] <= 1
        True
        >>> heard.summary.shape, heard.summary.dtype
        ((512,), dtype('float32'))
        """
        with self._lock:
            if self._decoder is None:
                self._decoder = Decoder()
            track = self._decoder.track(Path(path).expanduser())
            found, summary = taggram.heard(track, self._checkpoint, self._settings, self._loaded)
        return Heard(
            found.path, found.duration_s, found.probabilities, found.chosen, found, summary
        )

    def scan(
        self, paths: StrPath | Iterable[StrPath], *, write: bool = False, **settings: Any
    ) -> Iterator[Outcome]:
        """Hear all music in these files and folders; yields one Outcome per file, in their order.

        Without `write` nothing is written, and each Outcome says what would be. `settings` are the
        fields of `musictag.config.Settings`, for instance `fields=["genre"]`,
        `existing={"genre": "replace"}` or `cache=False`; the settings file of the command line is
        not read. What was heard is remembered, and shared with the command line; what is written
        stands in the same journal, so that `musictag undo` takes it back.

        Raises UsageError for a path that does not exist or a setting that makes no sense.

        >>> with Tagger() as tagger:
        ...     for outcome in tagger.scan([song], fields=["genre"], cache=False):
        ...         print(outcome.error, outcome.fields["GENRE"].old)
        None ()
        """
        chosen = config.override(self._settings, settings)
        for name in ("model", "device"):
            if name in settings:
                raise UsageError(f"{name}: say so when the Tagger is made")
        listed = [paths] if isinstance(paths, (str, os.PathLike)) else paths
        roots = [Path(path).expanduser() for path in listed]
        return self._outcomes(files.walk(roots, exclude=chosen.exclude), chosen, write=write)

    def _outcomes(
        self, paths: Iterable[Any], settings: config.Settings, *, write: bool
    ) -> Generator[Outcome, None, None]:
        where = caches.default_path() if settings.cache else None
        with (
            caches.Cache(where) as cache,
            writing.opened(journals.default_path(), write=write) as journal,
            contextlib.closing(
                pipeline.scan(
                    paths,
                    self._checkpoint,
                    settings,
                    cache=cache,
                    journal=journal,
                    write=["scan", "--write", "(from Python)"] if write else None,
                    load=None if settings.batch_size else self._loaded,
                )
            ) as outcomes,
        ):
            yield from outcomes

    def _loaded(self) -> Ear:
        if self._ear is None:
            device = find_device(self._settings.device)
            self._ear = self._checkpoint.heard_by.load(device)
        return self._ear

    def close(self) -> None:
        """Let go of the model, and end the process that decodes. The Tagger can be used again."""
        with self._lock:
            self._ear = None
            if self._decoder is not None:
                self._decoder.close()
                self._decoder = None

    def __enter__(self) -> Tagger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
