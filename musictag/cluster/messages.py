"""What is asked of a worker, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

What = Literal["digest", "sound"]


class Request(NamedTuple):
    """A question about a file."""

    what: What
    path: bytes
    """Absolute, in the file system's encoding: not every name is UTF-8."""
    n_segments: int | None = None
    most: int | None = None


class Answer(NamedTuple):
    """What a worker found, or the parts of the FileError that it met."""

    node: str
    """The machine, by Ray's name for it."""
    host: str
    """The machine, by the name that people use."""
    digest: bytes = b""
    duration_s: float | None = None
    decoder: str = ""
    taggram: Sequence[list[float]] = ()
    summaries: Sequence[Any] = ()
    """Summaries of the same segments in batches, arrays (b, S)."""
    code: str = ""
    reason: str = ""
    cure: str | None = None


class Lost(Exception):  # noqa: N818  # not an error: the file is given out again
    """The worker or ear that had a file is gone, and nothing is known about the file."""

    def __init__(self, reason: str, ear: int | None = None, died: bool = False) -> None:
        super().__init__(reason, ear, died)
        self.reason = reason
        self.ear = ear
        """The number of the ear that died or did not answer, if it was an ear."""
        self.died = died
