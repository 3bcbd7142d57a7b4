"""Decoding in a process of its own: what a file does to a decoder costs that file and nothing else.

    with Decoder() as decoder:
        digest = decoder.payload_digest(path)          # as audio.payload_digest
        for segment in decoder.track(path).segments(): # as audio.Track

Demuxers and decoders are C, fed with other people's files. Their process is
started when the first file comes, stays for the next ones, and may die: of a
crash, of a minute's work without getting further, of memory. Then the file
fails with a reason and another process takes the next. It is bounded (memory,
time, no file that it could write), speaks in numbers and JSON over two pipes,
and ends when its parent does, however that ends. It does not keep out an
attacker who takes it over: it runs with the user's rights.

Segments cross in shared memory where there is such (Linux), else in the pipe,
which costs a tenth of the time that it takes to decode them, and stops the
decoder while this program is busy.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import mmap
import os
import queue
import signal
import struct
import sys
import threading
import time
import traceback
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from musictag import process as memory
from musictag.audio import spawn
from musictag.audio import track as audio
from musictag.errors import AudioError, MusictagError

FATAL = frozenset({"crashed", "hung", "too_big"})
"""What a file can do to its decoder, as error codes: the same file would do it again."""

HUNG_S = 60
"""So much processor time without getting further (a block of music lasts a second or so), and it
hangs. Processor time, so that a slow disk or a laptop that was asleep is no file's fault."""
STALLED_S = 600
"""So long without a sign of life, and a decoder is given up that uses no processor time, or on a
system that does not bound it."""
MOST_MEMORY = 1 << 30
"""What a decoder may allocate; for music 100 MB do."""
MOST_REQUESTS = 10_000
"""After so many a process is exchanged for a new one: what libraries leak stays bounded."""


class Closed(Exception):  # noqa: N818  # no error: the scan is over
    """The decoder was ended from another thread."""


class Decoder:
    """A decoding process for one thread, exchanged for a new one whenever it dies."""

    def __init__(self) -> None:
        self._process: _Process | None = None
        self._lock = threading.Lock()
        self._closed = False

    def payload_digest(self, path: Path) -> bytes:
        """See audio.payload_digest. AudioError with one of the FATAL codes if nobody could."""
        with contextlib.closing(self._answers(path, {"what": "digest"})) as answers:
            (answer,) = answers
        if isinstance(answer, _End):
            raise answer.error(path)
        return bytes(answer)

    def track(self, path: Path, *, n_segments: int | None = None) -> Track:
        return Track(self, path, n_segments)

    def kill(self) -> None:
        """End it from any thread; the thread that waits for it is told by Closed."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """End it, from the thread that uses it."""
        self.kill()
        self._drop()

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answers(self, path: Path, request: dict[str, Any]) -> _Answers:
        """What the process says to a request.

        One that dies may have been ill from an earlier file: only a new one's
        death is this file's fault. The same bytes decode to the same segments,
        so the second attempt goes on where the first one ended.
        """
        n_given = 0
        finished = False
        try:
            while not finished:
                process = self._ready()
                was_new = process.n_requests == 0
                try:
                    process.ask({**request, "path": os.fsencode(path).hex()})
                    for n, answer in enumerate(process.answers(path, _KINDS[request["what"]])):
                        if n >= n_given:
                            n_given += 1
                            finished = isinstance(answer, _End)
                            yield answer
                    finished = True
                except _Died as died:
                    self._drop()
                    if self._closed:
                        raise Closed from None
                    if was_new or died.code in ("hung", "stalled"):  # once is long enough
                        raise AudioError(path, died.code, died.reason) from None
        finally:
            if not finished:  # the rest is not wanted, and would be taken for the next answer
                self._drop()

    def _ready(self) -> _Process:
        if self._process is not None and self._process.n_requests >= MOST_REQUESTS:
            self._drop()
        with self._lock:
            if self._closed:
                raise Closed
            if self._process is None:
                self._process = _Process()
            return self._process

    def _drop(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.end()


class Track:
    """An audio.Track whose segments are decoded by another process."""

    def __init__(self, decoder: Decoder, path: Path, n_segments: int | None) -> None:
        self._decoder = decoder
        self.path = path
        self.n_segments = n_segments
        self.duration_s: float | None = None
        self.decoder = ""
        self.taggram: Sequence[list[float]] = ()
        """What was heard already: nothing, here it is only decoded."""

    def segments(self, *, most: int | None = None) -> Iterator[audio.Samples]:
        """See audio.Track.segments; at `most` so many, then the process is free for the next."""
        request = {"what": "segments", "n_segments": self.n_segments, "most": most}
        for answer in self._decoded(request):
            yield np.frombuffer(answer, dtype=np.float32)

    def timed_segments(self) -> Iterator[tuple[float, audio.Samples]]:
        """See audio.Track.timed_segments."""
        for answer in self._decoded({"what": "timed segments"}):
            (start_s,) = _START.unpack_from(answer)
            yield start_s, np.frombuffer(answer, dtype=np.float32, offset=_START.size)

    def _decoded(self, request: dict[str, Any]) -> Iterator[bytearray]:
        with contextlib.closing(self._decoder._answers(self.path, request)) as answers:
            for answer in answers:
                if isinstance(answer, _End):
                    self.duration_s, self.decoder = answer.duration_s, answer.decoder
                    if answer.code:
                        raise answer.error(self.path)
                else:
                    yield answer


# ---------------------------------------------------------------- the pipes

_HEAD = struct.Struct("<cI")
"""Before every message: what it is, and how many bytes follow."""
_START = struct.Struct("<d")
"""Before the samples of a timed segment: the second at which it starts."""
_SEGMENT, _SHARED, _TIMED, _DIGEST = b"S", b"M", b"T", b"D"
_END, _PROGRESS, _BUG = b"E", b"P", b"B"
_KINDS = {"digest": _DIGEST, "segments": _SEGMENT, "timed segments": _TIMED}
"""What is asked for → what comes."""
_LONGEST = {
    _SEGMENT: 4 * audio.SEGMENT_LENGTH,
    _SHARED: 1,
    _TIMED: _START.size + 4 * audio.SEGMENT_LENGTH,
    _DIGEST: 32,
    _END: 1 << 20,
    _PROGRESS: 0,
    _BUG: 1 << 20,
}
"""Bytes that may follow; of segments and digests, exactly so many."""
_PLACES = 3
"""Segments that can lie in shared memory at once: a tenth of a second of decoding, as long as
all else in this program may have to wait."""
_FREE = struct.pack("<I", 0)
"""Says in the place of a request that a place in shared memory is free again."""
_NO_MEMORY = 77
"""Its exit code when it could not allocate."""


class _End(NamedTuple):
    """How a track ended: in order, or with what went into an AudioError."""

    duration_s: float | None = None
    decoder: str = ""
    code: str = ""
    reason: str = ""
    cure: str | None = None

    def error(self, path: Path) -> AudioError:
        return AudioError(path, self.code, self.reason, cure=self.cure)

    @classmethod
    def read(cls, content: bytearray) -> _End:
        """ValueError for what `work` would not have sent."""
        said = json.loads(content)
        wanted = (float | int | None, str, str, str, str | None)
        if not isinstance(said, list) or len(said) != len(wanted):
            raise ValueError(said)
        if not all(isinstance(value, kind) for value, kind in zip(said, wanted, strict=True)):
            raise ValueError(said)
        return cls(*said)


_Answers = Generator[bytearray | _End, None, None]


class _Died(Exception):  # noqa: N818
    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class _SharedMemory:
    """Room for some segments that two processes see; it is gone with them, and has no name."""

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, _PLACES * _LONGEST[_SEGMENT])
        self.descriptor = descriptor

    def read(self, place: int) -> bytearray:
        with self._at(place) as content:
            return bytearray(content)

    def write(self, place: int, segment: audio.Samples) -> None:
        with self._at(place) as content:
            np.frombuffer(content, dtype=np.float32)[:] = segment

    @contextlib.contextmanager
    def _at(self, place: int) -> Iterator[memoryview]:
        size = _LONGEST[_SEGMENT]
        with memoryview(self._memory) as all_of_it:
            yield all_of_it[place * size : (place + 1) * size]

    def close(self) -> None:
        self._memory.close()
        os.close(self.descriptor)


class _Process:
    """The parent's end."""

    def __init__(self) -> None:
        self.n_requests = 0
        self._waiting = False
        self._n_quiet_s = 0
        self._stalled = False
        self._over = threading.Event()
        try:
            self._popen, shared = spawn.spawned()
        except OSError as error:
            raise MusictagError(f"no process to decode in can be started: {error}") from error
        self._shared = None if shared is None else _SharedMemory(shared)
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
        """Segments and then how it ended, or a digest. The process is not believed: a decoder that
        went astray in its memory may say anything."""
        while True:
            kind, size = _HEAD.unpack(self._read(_HEAD.size))
            if size > _LONGEST.get(kind, -1):
                raise self._madness()
            content = self._read(size)
            if kind == _BUG:
                raise RuntimeError(
                    f"{os.fspath(path)!a}: in the decoding process:\n{content.decode()}"
                )
            if kind == _END:
                try:
                    yield _End.read(content)
                except (ValueError, RecursionError):
                    raise self._madness() from None
                return
            if kind == _SHARED:
                is_place = size == 1 and content[0] < _PLACES
                if wanted != _SEGMENT or self._shared is None or not is_place:
                    raise self._madness()
                segment = self._shared.read(content[0])
                self._tell(_FREE)
                yield segment
            elif kind != _PROGRESS:
                if kind != wanted or size != _LONGEST[kind]:
                    raise self._madness()
                if kind == _TIMED and not 0 <= _START.unpack_from(content)[0] < math.inf:
                    raise self._madness()
                yield content
            if kind == _DIGEST:
                return

    def _madness(self) -> _Died:
        self._popen.kill()
        return _Died("crashed", "its decoder went astray")

    def _read(self, size: int) -> bytearray:
        """So many bytes; _Died when there are no more."""
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
        """What the process died of."""
        code = self._popen.wait()
        if self._stalled:
            return _Died("stalled", f"nothing came of it for {STALLED_S // 60} minutes")
        if code == _NO_MEMORY:
            return _Died("too_big", f"decoding it takes more than {MOST_MEMORY >> 20} MB of memory")
        if code == -getattr(signal, "SIGXCPU", 0) and code:
            return _Died("hung", f"its decoder worked for {HUNG_S} s without getting further")
        if code == -getattr(signal, "SIGKILL", 0) and code:
            return _Died("killed", "its decoder was killed, perhaps because memory ran out")
        return _Died("crashed", f"its decoder crashed ({_named(code)})")

    def kill(self) -> None:
        self._popen.kill()

    def end(self) -> None:
        """Kill it, if need be, and clear up."""
        self._over.set()
        self._popen.kill()
        self._popen.wait()
        for stream in (self._popen.stdin, self._popen.stdout, self._shared):
            if stream is not None:
                stream.close()
        self._watch.join()

    def _kill_if_stalled(self) -> None:
        """Seconds are counted one by one: those in which this program was asleep too are none."""
        while not self._over.wait(1.0):
            if self._waiting:
                self._n_quiet_s += 1
                if self._n_quiet_s >= STALLED_S:
                    self._stalled = True
                    self._popen.kill()


def _named(code: int) -> str:
    """Of an exit code: the signal's name, where it was one."""
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"exit code {code}"


# ---------------------------------------------------------------- in the process


def work() -> NoReturn:
    """Answer requests until there are no more: until the parent closes the pipe, or dies.

    The process's argument, if it has one, is the descriptor of shared memory.
    """
    requests, replies = _pipes()
    memory.keep_freed()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    todo: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    replier = _Replier(replies, _SharedMemory(int(sys.argv[1])) if sys.argv[1:] else None)
    threading.Thread(target=_receive, args=(requests, todo, replier.free), daemon=True).start()
    _set_limits()
    while True:
        request = json.loads(todo.get())
        try:
            replier.progress(anew=True)
            _answer(request, replier)
        except MemoryError:
            os._exit(_NO_MEMORY)
        except Exception:
            story = traceback.format_exc().encode("ascii", "backslashreplace")
            replier.send(_BUG, story[-_LONGEST[_BUG] :])


def _pipes() -> tuple[io.FileIO, io.FileIO]:
    """The two pipes, where no library finds them: what one prints must not get among the replies,
    nor can it take what we are to read."""
    pipes = io.FileIO(os.dup(0), "rb"), io.FileIO(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    return pipes


def _receive(
    requests: io.FileIO, todo: queue.SimpleQueue[bytes], free: threading.Semaphore
) -> None:
    """In a thread of its own, so that the parent's end is seen while a file is being decoded."""
    while len(head := requests.read(4)) == 4:
        if head == _FREE:
            free.release()
            continue
        message = b""
        size = struct.unpack("<I", head)[0]
        while len(message) < size and (more := requests.read(size - len(message))):
            message += more
        todo.put(message)
    os._exit(0)


def _set_limits() -> None:
    """What a decoder needs, and no more; where the system knows such limits (Windows does not).

    Linux counts as data what is allocated and not what is reserved: the memory that
    matters. No dumps of memory, and no file grows: it can write none.
    """
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415

    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0}
    if sys.platform == "linux":
        limits[resource.RLIMIT_DATA] = MOST_MEMORY
    for kind, most in limits.items():
        with contextlib.suppress(OSError, ValueError):  # a lower one is set already
            resource.setrlimit(kind, (most, most))


class _Replier:
    """The process's end of the pipe, and of its patience."""

    def __init__(self, replies: io.FileIO, shared: _SharedMemory | None) -> None:
        self._replies = replies
        self._shared = shared
        self._noted_s = 0.0
        self._place = 0
        self.free = threading.Semaphore(_PLACES)
        """Places in shared memory that the parent has done with, one after the other."""

    def send_segment(self, segment: audio.Samples) -> None:
        if self._shared is None:
            self.send(_SEGMENT, segment)
            return
        self.free.acquire()
        self._shared.write(self._place, segment)
        self.send(_SHARED, bytes([self._place]))
        self._place = (self._place + 1) % _PLACES

    def send(self, kind: bytes, content: Any = b"") -> None:
        view = memoryview(content).cast("B")
        try:
            for data in (memoryview(_HEAD.pack(kind, len(view))), view):
                n_sent = 0
                while n_sent < len(data):
                    n_sent += self._replies.write(data[n_sent:]) or 0
        except OSError:  # the parent is gone
            os._exit(0)

    def progress(self, *, anew: bool = False) -> None:
        """The decoder gets on: it may use HUNG_S more, and the parent is told, once a second."""
        now_s = time.process_time()
        if anew or now_s - self._noted_s > 1:
            self._noted_s = now_s
            _allow_processor_time(now_s + HUNG_S)
            self.send(_PROGRESS)


def _allow_processor_time(until_s: float) -> None:
    """When it is used up the system ends this process: nothing in it needs to run for that."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415

    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    until = int(until_s) + 1
    if hard == resource.RLIM_INFINITY or until < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (until, hard))


def _answer(request: dict[str, Any], replier: _Replier) -> None:
    path = Path(os.fsdecode(bytes.fromhex(request["path"])))
    track = audio.Track(path, n_segments=request.get("n_segments"), progress=replier.progress)
    end = _End()
    try:
        if request["what"] == "digest":
            replier.send(_DIGEST, audio.payload_digest(path, progress=replier.progress))
            return
        if request["what"] == "timed segments":
            for start_s, segment in track.timed_segments():
                replier.send(_TIMED, _START.pack(start_s) + segment.tobytes())
        else:
            for n, segment in enumerate(track.segments(), 1):
                replier.send_segment(segment)
                if n == request["most"]:
                    break
    except AudioError as error:
        end = _End(code=error.code, reason=error.reason, cure=error.cure)
    except OSError as error:  # while reading: the disk's, or the network's
        end = _End(code="io", reason=f"cannot be read: {error.strerror or error}".lower())
    end = end._replace(duration_s=track.duration_s, decoder=track.decoder)
    replier.send(_END, json.dumps(end).encode())
