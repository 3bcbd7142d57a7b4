"""Ctrl-C and other requests to stop: the first finishes the file at hand."""

from __future__ import annotations

import contextlib
import os
import signal

STOPPING = "musictag: finishing this file; press Ctrl-C again to stop now"


def to_handle() -> list[signal.Signals]:
    """The signals that ask a program to end, except those that were ignored when it started.

    nohup, for one, starts a program with SIGHUP ignored.
    """
    numbers = [getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")]
    return [n for n in numbers if n is not None and signal.getsignal(n) is not signal.SIG_IGN]


def interrupt_on_all() -> None:
    """Make every one of them raise KeyboardInterrupt, so that temporary files are removed."""
    for number in to_handle():
        signal.signal(number, signal.default_int_handler)


def leave_to_the_system() -> None:
    """Let every one of them end the process at once."""
    for number in to_handle():
        signal.signal(number, signal.SIG_DFL)


class Interruption:
    """A request to stop, noted on the first signal; the second signal raises KeyboardInterrupt.

    Calling it says whether a request has come.
    """

    def __enter__(self) -> Interruption:
        self._asked = False
        self._before = {number: signal.signal(number, self._note) for number in to_handle()}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self) -> bool:
        return self._asked

    def check(self) -> None:
        """Raise KeyboardInterrupt if a request has come."""
        if self._asked:
            raise KeyboardInterrupt

    def _note(self, *_: object) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        # Not through sys.stderr: the signal may have arrived in the middle of one of its writes.
        erase = b"\r\x1b[2K" if os.isatty(2) else b""
        with contextlib.suppress(OSError):
            os.write(2, erase + STOPPING.encode() + b"\n")
