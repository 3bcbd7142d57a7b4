"""The decoding process: it answers requests, within limits, until its parent is gone."""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import signal
import struct
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

from musictag import process
from musictag.audio import digest, wire
from musictag.audio.samples import Samples
from musictag.audio.track import Track
from musictag.errors import AudioError


def work() -> NoReturn:
    """Answer requests until the parent closes the pipe or dies.

    The process's argument, if there is one, is the descriptor of shared memory.
    """
    requests, replies = _pipes()
    process.keep_freed()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    todo: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    replier = _Replier(replies, wire.SharedMemory(int(sys.argv[1])) if sys.argv[1:] else None)
    threading.Thread(target=_receive, args=(requests, todo, replier.free), daemon=True).start()
    _set_limits()
    while True:
        request = json.loads(todo.get())
        try:
            replier.progress(anew=True)
            _answer(request, replier)
        except MemoryError:
            os._exit(wire.NO_MEMORY)
        except Exception:
            story = traceback.format_exc().encode("ascii", "backslashreplace")
            replier.send(wire.BUG, story[-wire.LONGEST[wire.BUG] :])


def _pipes() -> tuple[io.FileIO, io.FileIO]:
    """The two pipes, moved to where no library finds them: what a library prints must not get into
    the replies, and it must not read the requests."""
    pipes = io.FileIO(os.dup(0), "rb"), io.FileIO(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    return pipes


def _receive(
    requests: io.FileIO, todo: queue.SimpleQueue[bytes], free: threading.Semaphore
) -> None:
    """Read requests, in a thread of its own that notices the end of the parent during decoding."""
    while len(head := requests.read(4)) == 4:
        if head == wire.FREE:
            free.release()
            continue
        message = b""
        size = struct.unpack("<I", head)[0]
        while len(message) < size and (more := requests.read(size - len(message))):
            message += more
        todo.put(message)
    os._exit(0)


def _set_limits() -> None:
    """Limit the process to what a decoder needs. Windows has no such limits.

    Linux limits what is allocated, not what is reserved. There are no memory dumps, and no file
    can grow, so the process cannot write any.
    """
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415

    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0}
    if sys.platform == "linux":
        limits[resource.RLIMIT_DATA] = wire.MOST_MEMORY
    for kind, most in limits.items():
        with contextlib.suppress(OSError, ValueError):  # a lower limit is set already
            resource.setrlimit(kind, (most, most))


class _Replier:
    """The process's end of the pipe; it also keeps account of the time without progress."""

    def __init__(self, replies: io.FileIO, shared: wire.SharedMemory | None) -> None:
        self._replies = replies
        self._shared = shared
        self._noted_s = 0.0
        self._place = 0
        self.free = threading.Semaphore(wire.PLACES)
        """Counts the places in shared memory that the parent has finished with."""

    def send_segment(self, segment: Samples) -> None:
        if self._shared is None:
            self.send(wire.SEGMENT, segment)
            return
        self.free.acquire()
        self._shared.write(self._place, segment)
        self.send(wire.SHARED, bytes([self._place]))
        self._place = (self._place + 1) % wire.PLACES

    def send(self, kind: bytes, content: Any = b"") -> None:
        view = memoryview(content).cast("B")
        try:
            for data in (memoryview(wire.HEAD.pack(kind, len(view))), view):
                n_sent = 0
                while n_sent < len(data):
                    n_sent += self._replies.write(data[n_sent:]) or 0
        except OSError:  # the parent is gone
            os._exit(0)

    def progress(self, *, anew: bool = False) -> None:
        """Note progress: the decoder may use HUNG_S more, and the parent is told, once a second."""
        now_s = time.process_time()
        if anew or now_s - self._noted_s > 1:
            self._noted_s = now_s
            _allow_processor_time(now_s + wire.HUNG_S)
            self.send(wire.PROGRESS)


def _allow_processor_time(until_s: float) -> None:
    """Have the system end this process at this processor time, whatever it does then."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415

    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    until = int(until_s) + 1
    if hard == resource.RLIM_INFINITY or until < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (until, hard))


def _answer(request: dict[str, Any], replier: _Replier) -> None:
    path = Path(os.fsdecode(bytes.fromhex(request["path"])))
    track = Track(path, n_segments=request.get("n_segments"), progress=replier.progress)
    end = wire.End()
    try:
        if request["what"] == "digest":
            replier.send(wire.DIGEST, digest.payload_digest(path, progress=replier.progress))
            return
        if request["what"] == "timed segments":
            for start_s, segment in track.timed_segments():
                replier.send(wire.TIMED, wire.START.pack(start_s) + segment.tobytes())
        else:
            for n, segment in enumerate(track.segments(), 1):
                replier.send_segment(segment)
                if n == request["most"]:
                    break
    except AudioError as error:
        end = wire.End(code=error.code, reason=error.reason, cure=error.cure)
    except OSError as error:  # while reading: the disk's, or the network's
        said = AudioError.of_system(path, error, "cannot be read")
        end = wire.End(code=said.code, reason=said.reason, cure=said.cure)
    end = end._replace(duration_s=track.duration_s, decoder=track.decoder)
    replier.send(wire.END, json.dumps(end).encode())
