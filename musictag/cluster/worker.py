"""What runs on the cluster's machines: the task that decodes a file, and the ear that hears it."""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import random
import socket
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from musictag import process
from musictag.audio.decoder import Decoder
from musictag.cluster import ray_library
from musictag.cluster.messages import Answer, Request
from musictag.errors import FileError, UsageError
from musictag.hearing.ear import Hearing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from musictag.hearing.checkpoint import Checkpoint
    from musictag.hearing.ear import Ear

LIBRARIES = ("musictag", "av", "soundfile", "audioread")
"""Libraries that decide what is heard in a file, or remembered of one that is broken."""
_TOGETHER = 4
"""Segments that a task sends to an ear at once."""
_UNDER_WAY = 2
"""Batches of a track that may be on their way before the task waits for one to be heard: 15 MB,
however long the track is."""
_EAR_ANSWERS_S = 120
"""Seconds to wait for an ear's answer; longer than an ear takes to start again."""


# ---------------------------------------------------------------- the task


def work(
    request: Request, installed: Sequence[str], ears: Sequence[Any], silent: frozenset[int]
) -> Answer:
    """Answer a request on the machine that this runs on.

    UsageError unless the `installed` versions are those of this machine: machines may
    join at any time. `ears` holds a reference to the actors; those known to be `silent`
    are not asked.
    """
    check_same(socket.gethostname(), installed, versions()(LIBRARIES))
    path = Path(os.fsdecode(request.path))
    answer = Answer(ray_library.node_name(), socket.gethostname())
    decoder = _decoder()
    music = decoder.track(path, n_segments=request.n_segments)
    try:
        if request.what == "digest":
            return answer._replace(digest=decoder.payload_digest(path))
        number, ear = _nearest(_known(*ears), answer.node, silent)
        hearings = _heard(music.segments(most=request.most), number, ear)
        answer = answer._replace(
            taggram=[row for heard in hearings for row in heard.probabilities.tolist()],
            summaries=[heard.summaries for heard in hearings],
        )
    except FileError as error:
        answer = answer._replace(code=error.code, reason=error.reason, cure=error.cure)
    return answer._replace(duration_s=music.duration_s, decoder=music.decoder)


def versions() -> Callable[[Sequence[str]], Sequence[str]]:
    """A function that looks up the versions of libraries; "" for one that is not installed.

    Ray sends the inner function's code instead of its name, so it runs where musictag is
    not installed; it imports whatever it needs.
    """

    def found(libraries: Sequence[str]) -> Sequence[str]:
        import importlib.metadata  # noqa: PLC0415

        def version(library: str) -> str:
            try:
                return importlib.metadata.version(library)
            except importlib.metadata.PackageNotFoundError:
                return ""

        return tuple(map(version, libraries))

    return found


def check_same(host: str, here: Sequence[str], there: Sequence[str]) -> None:
    """UsageError unless a host has the same versions of LIBRARIES as the machine of the scan."""
    for library, mine, its in zip(LIBRARIES, here, there, strict=True):
        if mine != its:
            found = f"{library} {its}" if its else f"no {library}"
            raise UsageError(
                f"--ray: {host} has {found}, the machine that scans has {mine}: "
                "every machine of the cluster needs the same version"
            )


@functools.cache
def _decoder() -> Decoder:
    """This worker's decoder; its process serves all tasks and ends with the worker."""
    return Decoder()


@functools.lru_cache(1)
def _known(ears: Any) -> Mapping[int, tuple[str, Any]]:
    """Number → machine and actor of every ear."""
    found: Mapping[int, tuple[str, Any]] = ray_library.fetch(ears)
    return found


def _nearest(
    ears: Mapping[int, tuple[str, Any]], here: str, silent: frozenset[int]
) -> tuple[int, Any]:
    """A random ear on this machine, or a random one elsewhere if there is none."""
    numbers = list(ears.keys() - silent or ears.keys())
    number = random.choice([n for n in numbers if ears[n][0] == here] or numbers)
    return number, ears[number][1]


def _heard(segments: Iterator[NDArray[np.float32]], number: int, ear: Any) -> list[Hearing]:
    """What was heard in the segments, in batches. Raises what `segments` raises for a bad file, and
    Lost."""
    hearings: list[Hearing] = []
    under_way: deque[Any] = deque()

    def take() -> None:
        hearings.append(ray_library.fetch_from_ear(under_way.popleft(), number, _EAR_ANSWERS_S))

    while together := list(itertools.islice(segments, _TOGETHER)):
        if len(under_way) == _UNDER_WAY:
            take()
        under_way.append(ear.hear.remote(np.stack(together)))  # (b, N)
        del together
    while under_way:
        take()
    return hearings


# ---------------------------------------------------------------- the ear


class EarActor:
    """A model in memory that hears what several tasks send in one batch.

    Whatever arrives while a batch is heard makes up the next one. So batches are full
    when there is much to do, and nobody waits when there is little.
    """

    def __init__(
        self, model: tuple[Any], device: str, batch_size: int | None, n_threads: int
    ) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._load = functools.partial(_load, *model, device, batch_size, n_threads)
        self._ear: Ear | None = None
        self._waiting: deque[tuple[NDArray[np.float32], asyncio.Future[Hearing]]]
        self._waiting = deque()
        self._at_work: asyncio.Task[None] | None = None

    async def ready(self) -> str:
        """Load the model, then name the machine. Raises as `Checkpoint.load` does."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._loaded)
        return ray_library.node_name()

    async def hear(self, segments: NDArray[np.float32]) -> Hearing:
        """Hear (b, N) samples."""
        heard: asyncio.Future[Hearing] = asyncio.get_running_loop().create_future()
        self._waiting.append((segments, heard))
        if self._at_work is None:
            self._at_work = asyncio.create_task(self._hear_all())
        return await heard

    async def _hear_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            together = [self._waiting.popleft()]
            try:
                ear = await loop.run_in_executor(self._thread, self._loaded)
                n = len(together[0][0])
                while self._waiting and (n := n + len(self._waiting[0][0])) <= ear.batch_size:
                    together.append(self._waiting.popleft())
                parts = [part for part, _ in together]
                hearing = await loop.run_in_executor(self._thread, self._heard, parts)
            except Exception as error:  # raised again in the tasks that asked
                for _, heard in together:
                    if not heard.done():
                        heard.set_exception(error)
            else:
                start = 0
                for part, heard in together:
                    rows = slice(start, start + len(part))
                    start = rows.stop
                    if not heard.done():  # done if nobody waits for it any more
                        heard.set_result(Hearing(*(array[rows] for array in hearing)))
        self._at_work = None

    def _loaded(self) -> Ear:
        if self._ear is None:
            self._ear = self._load()
        return self._ear

    def _heard(self, parts: Sequence[NDArray[np.float32]]) -> Hearing:
        return self._loaded().hear(np.concatenate(parts))


def _load(model: Any, device: str, batch_size: int | None, n_threads: int) -> Ear:
    """The model, from the cluster's memory: it need not be on this machine's disk."""
    from musictag.hearing.checkpoint import WEIGHTS  # noqa: PLC0415
    from musictag.hearing.devices import find_device  # noqa: PLC0415

    process.for_a_program()
    find_device(device)
    checkpoint, weights = ray_library.fetch(model)
    with tempfile.TemporaryDirectory(prefix="musictag-") as directory:
        Path(directory, WEIGHTS).write_bytes(weights)
        here: Checkpoint = replace(checkpoint, directory=Path(directory))
        ear = here.load(device, batch_size=batch_size, n_cores=n_threads)
    process.limit_torch(n_threads)
    return ear
