"""Under which keys the cache remembers what was heard, and who has read a file's fields."""

from __future__ import annotations

import importlib.metadata

HEARING = 1
"""Version of how audio is decoded and cut into segments. Raise it when the same audio and
checkpoint come to be heard differently: files are then heard again."""

READING = 4
"""Version of how metadata is read. Raise it when the same metadata comes to be read differently."""


def hearing(digest: str, segments: int | None = None) -> str:
    """The key of what the checkpoint with this digest heard: in whole tracks, or in so many
    segments of each.

    The summaries of a model that has learned a head of its own on top of another model stand under
    the key of that other model, its base, which is what hears.
    """
    return f"{HEARING}:{digest}:{segments or 'all'}"


def damage(key: str) -> str:
    """The key of what is wrong with a sound: new decoders may read what these cannot."""
    return f"{key}:{','.join(map(version, ('av', 'soundfile', 'audioread')))}"


def digest(key: str) -> str | None:
    """The digest of the checkpoint that heard what stands under this key; None if it is no key."""
    parts = key.split(":")
    return parts[1] if len(parts) > 2 else None


def reader() -> str:
    """What reads the fields of files here."""
    return f"{READING}:{version('mutagen')}"


def version(library: str) -> str:
    """The version of an installed library."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:  # bundled without its papers
        return "unknown"
