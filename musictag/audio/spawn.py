"""Starting the processes that decode, and one of them ahead of time.

Apart from `decoder`, which talks to them: such a process needs as long to be
ready as this program needs to import its libraries, and this module needs none.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

SHARED_BYTES = 2**23
"""Of memory that a process shares with us: what is not used of it takes none."""


class Spawned(NamedTuple):
    """A process, and the descriptor of memory that it shares with us, if there is such memory."""

    popen: subprocess.Popen[bytes]
    shared: int | None

    def discard(self) -> None:
        """End it, when nobody has asked it for anything."""
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
    """The first process that is wanted in this block is on its way already."""
    with contextlib.suppress(OSError):  # who wants it will see
        _ahead.append(_spawn())
    try:
        yield
    finally:
        while _ahead:
            _ahead.pop().discard()


def spawned() -> Spawned:
    """A process for the caller, who ends it. OSError when none can be started."""
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
        options = {"start_new_session": True}  # Ctrl-C is for us alone
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
            stderr=subprocess.DEVNULL,  # libraries' remarks on what is in the files
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
    """What starts the process: isolated, so that nothing in the current folder or environment is
    imported that this program would not import itself."""
    folders = [folder for folder in sys.path if isinstance(folder, str)]
    start = "from musictag.audio import worker; worker.work()"
    return [sys.executable, "-I", "-c", f"import sys; sys.path[:] = {folders!a}; {start}"]


def shared_memory() -> int | None:
    """A descriptor of memory without a name, which is gone with the processes that have it; None
    where the system has none to give."""
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
