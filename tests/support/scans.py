"""Scans of made-up files: what stands for decoders, metadata and the model, and what it was asked.

A file is JSON: how many segments are in it, what is heard in each and which metadata it has.
`Listening` stands for decoders, metadata and the model, and counts what they are asked to do.
Fixtures for it are in tests/scan/conftest.py.
"""

from __future__ import annotations

import hashlib
import json
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ears import FakeEar

from musictag import metadata
from musictag.config import Settings
from musictag.errors import AudioError, MetadataError
from musictag.metadata import WRITABLE, Snapshot, Written
from musictag.outcome import Outcome
from musictag.scan import pipeline
from musictag.stores import journal
from musictag.stores.cache import Cache
from musictag.stores.journal import Journal

TAGS = ("rock", "slow", "guitar")
THRESHOLDS = {"Rock": 0.5, "Slow": 0.5, "Guitar": 0.5}
ROCK, SLOW, NOTHING = (0.75, 0.25, 0.0), (0.0, 0.75, 0.0), (0.0, 0.0, 0.0)
ON_CPU = Settings(device="cpu", jobs=2, batch_size=4)


@dataclass
class Listening(FakeEar):
    """Stands for the decoders, the metadata and the model of a scan."""

    name: str = "fake"
    digest: str = "d1"
    front_end: dict[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = TAGS
    thresholds: dict[str, float] = field(default_factory=lambda: dict(THRESHOLDS))
    decoded: list[str] = field(default_factory=list)
    n_digested: int = 0
    n_loaded: int = 0
    batches: list[int] = field(default_factory=list)
    n_alive: int = 0
    most_alive: int = 0
    on_segment: Callable[[Path, int], None] = lambda path, number: None
    on_batch: Callable[[], None] = lambda: None
    on_digest: Callable[[Path], None] = lambda path: None
    on_write: Callable[[Path], None] = lambda path: None

    def __post_init__(self) -> None:
        self.metadata = FakeMetadata(self)

    def __enter__(self) -> Listening:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def kill(self) -> None:
        pass

    def load(self, _: str = "cpu", *, batch_size: int | None = None) -> FakeEar:
        self.n_loaded += 1
        return super().load(batch_size=batch_size)

    def heard(self, segments: Any) -> Any:
        self.on_batch()
        self.batches.append(len(segments))
        return segments.copy()

    def track(self, path: Path, *, n_segments: int | None = None) -> FakeTrack:
        self.decoded.append(path.name)
        return FakeTrack(self, path, n_segments)

    def payload_digest(self, path: Path) -> bytes:
        self.n_digested += 1
        self.on_digest(path)
        content = json.loads(path.read_text())
        del content["metadata"]
        return hashlib.sha256(json.dumps(content).encode()).digest()

    def segment(self, probabilities: Sequence[float]) -> Any:
        segment = np.array(probabilities, dtype=np.float32)
        self.n_alive += 1
        self.most_alive = max(self.most_alive, self.n_alive)
        weakref.finalize(segment, self._died)
        return segment

    def _died(self) -> None:
        self.n_alive -= 1


def snapshot(metadata: dict[str, list[str]]) -> Snapshot:
    entries = [(n, f"{n}={value}".encode()) for n, values in metadata.items() for value in values]
    held = tuple(entry for entry in entries if entry[0] in WRITABLE)
    return Snapshot("Vorbis", held, fields=WRITABLE)


class FakeTrack:
    def __init__(self, listening: Listening, path: Path, n_segments: int | None) -> None:
        self.listening = listening
        self.path = path
        self.content = json.loads(path.read_text())
        self.n_segments = n_segments
        self.duration_s: float | None = None
        self.decoder = "ffmpeg"
        self.taggram = ()
        self.summaries = ()

    def segments(self, *, most: int | None = None) -> Iterator[Any]:
        heard = self.content["heard"][: self.n_segments]
        for number, probabilities in enumerate(heard):
            self.listening.on_segment(self.path, number)
            yield self.listening.segment(probabilities)
            if number + 1 == most:
                return
        self.duration_s = 29.0 * len(heard)
        if code := self.content["error"]:
            raise AudioError(self.path, code, f"it is {code}", cure="mend it")


class FakeMetadata:
    """Reads and writes the metadata of such files; knows which it has read."""

    def __init__(self, fake: Listening) -> None:
        self.fake = fake
        self.names_read: list[str] = []

    def clear_leftovers(self, path: Path) -> None:
        metadata.clear_leftovers(path)

    def read(self, path: Path, *, also: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
        self.names_read.append(path.name)
        found = json.loads(path.read_text())["metadata"]
        if isinstance(found, str):
            raise MetadataError(path, found, f"metadata: {found}")
        return {name: tuple(values) for name, values in found.items()}

    def write(
        self,
        path: Path,
        values: Any,
        *,
        expected: Any,
        join: str | None,
        about_to: Any,
        **options: Any,
    ) -> Written | None:
        self.fake.on_write(path)
        content = json.loads(path.read_text())
        now = content["metadata"]
        if now.get("READ-ONLY"):
            raise MetadataError(path, "read_only", "may not be written")
        for name, entries in expected.items():
            if tuple(now.get(name, ())) != entries:
                raise MetadataError(path, "changed", f"somebody set {name}")
        new = {n: list(e) if join is None else [join.join(e)] for n, e in values.items()}
        if now == now | new:
            return None
        written = Written(snapshot(now), snapshot(now | new), self.fake.payload_digest(path))
        about_to(written)
        now |= new
        path.write_text(json.dumps(content))
        return written


Song = Callable[..., Path]


def scan(
    paths: Any, listening: Any, settings: Settings = ON_CPU, *, write: bool = False, **options: Any
) -> list[Outcome]:
    options.setdefault("cache", Cache(None))
    with Journal(journal.default_path()) as book:
        command = ["scan"] if write else None
        return list(scanning(paths, listening, settings, journal=book, write=command, **options))


def scanning(paths: Any, listening: Any, settings: Settings = ON_CPU, **options: Any) -> Any:
    """A scan in which `listening` stands for what decodes, reads, writes and hears."""
    options = {"decoder": lambda: listening, "metadata": listening.metadata} | options
    return pipeline.scan(paths, listening, settings, **options)


def statuses(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.status for outcome in outcomes]


def no_thread_is_left() -> bool:
    return not [t for t in threading.enumerate() if t.name.startswith("musictag")]


def retag(path: Path, **metadata: list[str]) -> None:
    content = json.loads(path.read_text())
    content["metadata"] |= metadata
    path.write_text(json.dumps(content))


class Unforeseen(Exception):  # noqa: N818
    pass


def fail(*_: object) -> None:
    raise Unforeseen
