"""What the cache remembers of a track and of a file: values only."""

from __future__ import annotations

import array
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class StoredHearing:
    """What a checkpoint heard in one track, or why it heard nothing."""

    duration_s: float
    probabilities: tuple[float, ...]
    """Probabilities for the whole track, in the order of the checkpoint's tags; empty if there was
    nothing to hear."""
    code: str = ""
    """Error code of why there was nothing to hear; empty if there was."""
    message: str = ""
    """The same as a sentence."""
    summary: bytes | None = None
    """What the network made of the track, packed (see `summary`); None if it is not remembered, or
    was not asked for."""

    def __post_init__(self) -> None:
        """Round the probabilities as they are stored, so that a new one equals a remembered one."""
        object.__setattr__(self, "probabilities", tuple(array.array("f", self.probabilities)))


@dataclass(frozen=True)
class StoredFields:
    """The values of a file's fields, or why it has none that could be written."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    code: str = ""
    """Error code of why the file cannot be tagged; empty if it can."""
    message: str = ""
    """The same as a sentence."""
    about: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values of TITLE, ARTIST, ALBUM and ALBUMARTIST, for those that it has."""


@dataclass(frozen=True)
class StoredFile:
    """What is remembered of a file that has not changed."""

    content: bytes
    """Digest of its sound."""
    fields: StoredFields | None
    heard: Mapping[str, StoredHearing]
    """Key → what was heard in this sound, for the keys that were asked for."""
    complete: bool = True
    """Whether nothing more about its fields could be remembered."""
