"""Waits that end: a test that would hang fails instead."""

from __future__ import annotations

import threading

WAIT_S = 120
"""Seconds after which something that should happen soon is given up."""


def join(thread: threading.Thread) -> None:
    """Wait for a thread to end, and fail if it does not."""
    thread.join(WAIT_S)
    assert not thread.is_alive(), f"{thread.name} did not end"
