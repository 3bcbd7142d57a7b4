"""The models that can be called by name: verifying them, and taking in one's own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from musictag.disk import replacing_folder
from musictag.errors import UsageError, system_trouble
from musictag.hearing import checkpoint, places
from musictag.hearing.checkpoint import Checkpoint
from musictag.hearing.own import BASE

CARD = "README.md"
"""A model's card, for people."""


def listed() -> Iterator[tuple[str, Path, bool]]:
    """Name and directory of every model that a name can mean, and whether it is bundled."""
    taken: set[str] = set()
    for parent, is_bundled in (*((p, True) for p in places.bundled()), (places.own(), False)):
        for name in places.names_in(parent):
            if name not in taken:
                taken.add(name)
                yield name, parent / name, is_bundled


def verify(model: Checkpoint) -> None:
    """Load it once: checksum, names, shapes and kinds of all tensors, NaN, front end.

    CheckpointError says what is wrong. A base is verified with its model.
    """
    model.load("cpu", n_cores=1, batch_size=1)


def size(model: Checkpoint) -> int:
    """Bytes of its weights, those of its own base included."""
    return sum(path.stat().st_size for path in model.directory.rglob(checkpoint.WEIGHTS))


def add(directory: Path, *, name: str | None = None, overwrite: bool = False) -> Checkpoint:
    """Copy a verified model to the user's own, complete or not at all.

    `name` is what it can be called by; by default that of its config.json. CheckpointError for a
    model that is broken, UsageError for a name that cannot be given, or a folder that cannot be
    written.
    """
    found = checkpoint.read(directory)
    verify(found)
    name = found.name if name is None else name
    if not name or name.startswith(".") or any(sign in name for sign in "/\\:\0"):
        raise UsageError(f"{name!r} cannot be the name of a folder: choose another with --name")
    target = places.own() / name
    if any(name in places.names_in(parent) for parent in places.bundled()):
        raise UsageError(
            f"{name}: a model of this name comes with musictag: choose another (--name)"
        )
    if os.path.realpath(directory) == os.path.realpath(target):
        raise UsageError(f"{directory}: is that model already")
    if target.exists() and not overwrite:
        raise UsageError(f"{target}: exists (--overwrite replaces it, --name adds it beside)")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing_folder(target) as fresh:
            _copy(directory, fresh)
            if (directory / BASE / checkpoint.CONFIG).is_file():
                _copy(directory / BASE, fresh / BASE)
            verify(checkpoint.read(fresh))  # what was copied, not what was meant to be
    except OSError as error:
        raise UsageError(f"{target}: {system_trouble(error).reason}") from error
    return checkpoint.read(target)


def _copy(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for name in (checkpoint.WEIGHTS, CARD, checkpoint.CONFIG):
        if name != CARD or (source / name).is_file():
            shutil.copyfile(source / name, target / name)
            with (target / name).open("rb+") as file:
                os.fsync(file.fileno())
