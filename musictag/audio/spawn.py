"""Starting decoding processes, one of them ahead of time.

`decoder` talks to them. This module is separate because it imports no library: a process can be
started at once, and gets ready while the program imports its libraries.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

SHARED_BYTES = 2**23
"""Size of the memory shared with a process, in bytes. Unused parts take no memory."""


class Spawned(NamedTuple):
    """A decoding process, and the descriptor of the memory it shares with us, if any."""

    popen: subprocess.Popen[bytes]
    shared: int | None

    def discard(self) -> None:
        """End a process that was not used."""
        self.popen.kill()
        self.popen.wait()
        for stream in (self.popen.stdin, self.popen.stdout):
            if stream is not None:
                stream.close()
        if self.shared is not None:
            os.close(self.shared)


_ahead: list[Spawned] = []


@contextlib.contextmanager
def ahead() -> Iterator[None]:
    """Start a process now; it is the first one that `spawned` returns in this block."""
    with contextlib.suppress(OSError):  # whoever needs a process will get the error
        _ahead.append(_spawn())
    try:
        yield
    finally:
        while _ahead:
            _ahead.pop().discard()


def spawned() -> Spawned:
    """A process, which the caller has to end. OSError if none can be started."""
    with contextlib.suppress(IndexError):
        return _ahead.pop()
    return _spawn()


def _spawn() -> Spawned:
    options: dict[str, Any]
    if sys.platform == "win32":
        options = {
            "creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        }
    else:
        options = {"start_new_session": True}  # Ctrl-C must not reach it
    words = command()
    shared = shared_memory()
    if shared is not None:
        words.append(str(shared))
        options["pass_fds"] = (shared,)
    try:
        popen = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # where libraries comment on files
            bufsize=0,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            **options,
        )
    except OSError:
        if shared is not None:
            os.close(shared)
        raise
    return Spawned(popen, shared)


def command() -> list[str]:
    """The command that starts the process. It is isolated: it imports nothing from the current
    folder or environment that this program would not import itself."""
    folders = [folder for folder in sys.path if isinstance(folder, str)]
    start = "from musictag.audio import worker; worker.work()"
    return [sys.executable, "-I", "-c", f"import sys; sys.path[:] = {folders!a}; {start}"]


def shared_memory() -> int | None:
    """The descriptor of new memory without a name, which vanishes with the processes that hold it;
    None where the system offers none."""
    if sys.platform != "linux":
        return None
    try:
        descriptor = os.memfd_create("musictag segments")
    except OSError:
        return None
    try:
        os.ftruncate(descriptor, SHARED_BYTES)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
