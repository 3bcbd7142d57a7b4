"""Waits that end: a test that would hang fails instead."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from pathlib import Path

WAIT_S = 120
"""Seconds after which something that should happen soon is given up."""


def join(thread: threading.Thread) -> None:
    """Wait for a thread to end, and fail if it does not."""
    thread.join(WAIT_S)
    assert not thread.is_alive(), f"{thread.name} did not end"


def start_together(work: Callable[[Path, int], None], path: Path, n: int = 3) -> None:
    """Run `work(path, number)` in `n` processes that start together; each must end well."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=work, args=(path, number)) for number in range(n)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(WAIT_S)
    assert [process.exitcode for process in processes] == [0] * n
