"""Decoding in a separate process, so that a file that crashes a decoder costs only itself.

    with Decoder() as decoder:
        digest = decoder.payload_digest(path)          # as digest.payload_digest
        for segment in decoder.track(path).segments(): # as track.Track

Demuxers and decoders are C code fed with other people's files. Their process is started with the
first file and stays for the next ones. If it dies (of a crash, of a minute's work without
progress, of memory), the file fails with a reason and a new process takes the next file. The
process is limited in memory and time, cannot write files, speaks in numbers and JSON over two
pipes, and ends when its parent does, however that ends. It is no sandbox: an attacker who takes it
over has the user's rights.

Segments come in shared memory on Linux, elsewhere through the pipe, which costs a tenth of the
time of decoding and stops the decoder while this program is busy.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import struct
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from musictag.audio import spawn, wire
from musictag.audio.samples import Samples
from musictag.errors import AudioError, MusictagError, system_trouble

FATAL = frozenset({"crashed", "hung", "too_big"})
"""Error codes for what a file does to its decoder. The same file would do it again."""

STALLED_S = 600
"""Time without a sign of life, in seconds, after which a decoder is given up. It catches those that
use no processor time, and systems that do not limit it."""
MOST_REQUESTS = 10_000
"""Number of requests after which a process is replaced, so that leaks of libraries stay small."""


class Closed(Exception):  # noqa: N818  # not an error: the scan is over
    """The decoder was ended from another thread."""


class Decoder:
    """A decoding process for one thread, replaced by a new one whenever it dies.

    `start` starts the process; pass another function to decode with something else.
    """

    def __init__(self, *, start: Callable[[], spawn.Spawned] | None = None) -> None:
        self._start = start or spawn.spawned
        self._process: _Process | None = None
        self._lock = threading.Lock()
        self._closed = False

    def payload_digest(self, path: Path) -> bytes:
        """See `digest.payload_digest`. AudioError with a code of FATAL if the process dies."""
        with contextlib.closing(self._answers(path, {"what": "digest"})) as answers:
            (answer,) = answers
        if isinstance(answer, wire.End):
            raise answer.error(path)
        return bytes(answer)

    def track(self, path: Path, *, n_segments: int | None = None) -> IsolatedTrack:
        return IsolatedTrack(self, path, n_segments)

    def kill(self) -> None:
        """End the process from any thread; the thread that waits for it gets Closed."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """End the process, from the thread that uses it."""
        self.kill()
        self._drop()

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answers(self, path: Path, request: dict[str, Any]) -> _Answers:
        """The process's answers to a request.

        A process that dies may have been damaged by an earlier file: only the death of a new
        process is this file's fault. The same bytes decode to the same segments, so the second
        attempt goes on where the first one ended.
        """
        n_given = 0
        finished = False
        try:
            while not finished:
                process = self._ready()
                was_new = process.n_requests == 0
                try:
                    process.ask({**request, "path": os.fsencode(path).hex()})
                    for n, answer in enumerate(process.answers(path, wire.KINDS[request["what"]])):
                        if n >= n_given:
                            n_given += 1
                            finished = isinstance(answer, wire.End)
                            yield answer
                    finished = True
                except _Died as died:
                    self._drop()
                    if self._closed:
                        raise Closed from None
                    if was_new or died.code in ("hung", "stalled"):  # do not wait that long twice
                        raise AudioError(path, died.code, died.reason) from None
        finally:
            if not finished:  # else the rest would be taken for the next answer
                self._drop()

    def _ready(self) -> _Process:
        if self._process is not None and self._process.n_requests >= MOST_REQUESTS:
            self._drop()
        with self._lock:
            if self._closed:
                raise Closed
            if self._process is None:
                self._process = _Process(self._start)
            return self._process

    def _drop(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.end()


class IsolatedTrack:
    """A `track.Track` whose segments are decoded by another process."""

    def __init__(self, decoder: Decoder, path: Path, n_segments: int | None) -> None:
        self._decoder = decoder
        self.path = path
        self.n_segments = n_segments
        self.duration_s: float | None = None
        self.decoder = ""
        self.taggram: Sequence[list[float]] = ()
        """Probabilities heard already: none, here a track is only decoded."""
        self.summaries: Sequence[Samples] = ()

    def segments(self, *, most: int | None = None) -> Iterator[Samples]:
        """See `Track.segments`. After `most` segments the process is free for the next request."""
        request = {"what": "segments", "n_segments": self.n_segments, "most": most}
        for answer in self._decoded(request):
            yield np.frombuffer(answer, dtype=np.float32)

    def timed_segments(self) -> Iterator[tuple[float, Samples]]:
        """See `Track.timed_segments`."""
        for answer in self._decoded({"what": "timed segments"}):
            (start_s,) = wire.START.unpack_from(answer)
            yield start_s, np.frombuffer(answer, dtype=np.float32, offset=wire.START.size)

    def _decoded(self, request: dict[str, Any]) -> Iterator[bytearray]:
        with contextlib.closing(self._decoder._answers(self.path, request)) as answers:
            for answer in answers:
                if isinstance(answer, wire.End):
                    self.duration_s, self.decoder = answer.duration_s, answer.decoder
                    if answer.code:
                        raise answer.error(self.path)
                else:
                    yield answer


_Answers = Generator[bytearray | wire.End, None, None]


class _Died(Exception):  # noqa: N818
    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class _Process:
    """The parent's end of the connection."""

    def __init__(self, start: Callable[[], spawn.Spawned]) -> None:
        self.n_requests = 0
        self._waiting = False
        self._n_quiet_s = 0
        self._stalled = False
        self._over = threading.Event()
        try:
            self._popen, shared = start()
        except OSError as error:
            reason = system_trouble(error).reason
            raise MusictagError(f"cannot start a process to decode in: {reason}") from error
        self._shared = None if shared is None else wire.SharedMemory(shared)
        self._watch = threading.Thread(
            target=self._kill_if_stalled, name="musictag watch", daemon=True
        )
        self._watch.start()

    def ask(self, request: dict[str, Any]) -> None:
        self.n_requests += 1
        message = json.dumps(request).encode()
        self._tell(struct.pack("<I", len(message)) + message)

    def _tell(self, message: bytes) -> None:
        assert self._popen.stdin is not None
        try:
            self._popen.stdin.write(message)
        except OSError:
            raise self._death() from None

    def answers(self, path: Path, wanted: bytes) -> _Answers:
        """Segments and then how the track ended, or a digest. Every message is checked: a decoder
        with corrupted memory may send anything."""
        while True:
            kind, size = wire.HEAD.unpack(self._read(wire.HEAD.size))
            if size > wire.LONGEST.get(kind, -1):
                raise self._madness()
            content = self._read(size)
            if kind == wire.BUG:
                raise RuntimeError(
                    f"{os.fspath(path)!a}: in the decoding process:\n{content.decode()}"
                )
            if kind == wire.END:
                try:
                    yield wire.End.read(content)
                except (ValueError, RecursionError):
                    raise self._madness() from None
                return
            if kind == wire.SHARED:
                is_place = size == 1 and content[0] < wire.PLACES
                if wanted != wire.SEGMENT or self._shared is None or not is_place:
                    raise self._madness()
                segment = self._shared.read(content[0])
                self._tell(wire.FREE)
                yield segment
            elif kind != wire.PROGRESS:
                if kind != wanted or size != wire.LONGEST[kind]:
                    raise self._madness()
                if kind == wire.TIMED and not 0 <= wire.START.unpack_from(content)[0] < math.inf:
                    raise self._madness()
                yield content
            if kind == wire.DIGEST:
                return

    def _madness(self) -> _Died:
        self._popen.kill()
        return _Died("crashed", "its decoder went astray")

    def _read(self, size: int) -> bytearray:
        """Exactly `size` bytes; _Died if the process ends before."""
        content = bytearray(size)
        view = memoryview(content)
        stream: Any = self._popen.stdout
        self._n_quiet_s, self._waiting = 0, True
        try:
            while view:
                n_read = stream.readinto(view)
                if not n_read:
                    raise self._death()
                self._n_quiet_s = 0
                view = view[n_read:]
        finally:
            self._waiting = False
        return content

    def _death(self) -> _Died:
        """Why the process died."""
        code = self._popen.wait()
        if self._stalled:
            return _Died("stalled", f"nothing came of it for {STALLED_S // 60} minutes")
        if code == wire.NO_MEMORY:
            return _Died(
                "too_big", f"decoding it takes more than {wire.MOST_MEMORY >> 20} MB of memory"
            )
        if code == -getattr(signal, "SIGXCPU", 0) and code:
            return _Died("hung", f"its decoder worked for {wire.HUNG_S} s without getting further")
        if code == -getattr(signal, "SIGKILL", 0) and code:
            return _Died("killed", "its decoder was killed, perhaps because memory ran out")
        return _Died("crashed", f"its decoder crashed ({_named(code)})")

    def kill(self) -> None:
        self._popen.kill()

    def end(self) -> None:
        """Kill the process if it still runs, and clean up."""
        self._over.set()
        self._popen.kill()
        self._popen.wait()
        for stream in (self._popen.stdin, self._popen.stdout, self._shared):
            if stream is not None:
                stream.close()
        self._watch.join()

    def _kill_if_stalled(self) -> None:
        """Count quiet seconds one by one, so that time asleep does not count."""
        while not self._over.wait(1.0):
            if self._waiting:
                self._n_quiet_s += 1
                if self._n_quiet_s >= STALLED_S:
                    self._stalled = True
                    self._popen.kill()


def _named(code: int) -> str:
    """The name of the signal behind an exit code, or the code."""
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"exit code {code}"
