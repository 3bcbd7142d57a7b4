"""Models of one's own words: a base that hears, and a head that was learned on its summaries.

    my-words/
      config.json            the words with thresholds, the base's name and digest
      weights.safetensors    the head's tensors
      base/                  a copy of the base, if that is no model that comes with musictag

As a checkpoint it has the head's tags, and those of the base that mean values of other fields. A
word of one's own takes the place of the base's value of the same name, in whichever field.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from musictag.disk import replacing, replacing_folder
from musictag.errors import CheckpointError, UsageError, system_trouble
from musictag.hearing.arrays import Real
from musictag.hearing.ear import Batch, Ear, Hearing, Later
from musictag.hearing.head import Head
from musictag.vocabulary import Vocabulary

if TYPE_CHECKING:
    from musictag.hearing.checkpoint import Checkpoint

BASE = "base"
"""Folder of the copied base, and what config.json calls it."""


class OwnWords:
    """What a base has heard → probabilities of a model of one's own words."""

    def __init__(self, head: Head, columns: list[int]) -> None:
        """`columns` of the base's probabilities come along."""
        self._head = head
        self._columns = columns

    def __call__(self, probabilities: Real, means: Real, spreads: Real | None = None) -> Real:
        """The base's (B, K) and summaries (B, S) of tracks -> (B, own K); of segments, which have
        no spread, too."""
        along = np.asarray(probabilities, np.float32)[:, self._columns]
        return np.concatenate([self._head(means, spreads), along], axis=1)

    def of_track(
        self, probabilities: tuple[float, ...], mean: Real, spread: Real
    ) -> tuple[float, ...]:
        """(K,), (S,), (S,) -> (own K,)"""
        found = self(np.array([probabilities], np.float32), mean[None], spread[None])
        return tuple(found[0].tolist())


def beside(own: Vocabulary, base: Vocabulary) -> Vocabulary:
    """One's own words, and the base's values of the other fields."""
    fields = {value.field for value in own.values}
    taken = {value.name.casefold() for value in own.values}
    left = base.of(
        tag
        for value in (*base.values, *base.not_music)
        if value.field not in fields and value.name.casefold() not in taken
        for tag in value.tags
        if tag not in own.tags
    )
    words = {word: names for word, names in left.words.items() if names}
    return dataclasses.replace(left, values=own.values + left.values, words=words)


def find_base(directory: Path, described: Mapping[str, Any]) -> Checkpoint:
    """The base of the model in a directory; CheckpointError if it is not here."""
    from musictag.hearing import checkpoint  # noqa: PLC0415  # which reads with this module's help

    name, digest = str(described["name"]), str(described["digest"])
    if (directory / BASE / checkpoint.CONFIG).is_file():
        found = [checkpoint.read(directory / BASE, may_have_base=False)]
    else:
        found = [checkpoint.find(packaged) for packaged in checkpoint.packaged()]
    for candidate in found:
        if candidate.digest == digest:
            return candidate
    if any(candidate.name == name for candidate in found):
        raise CheckpointError(
            f"{directory}: was learned on another {name} than the one here "
            f"(digest {digest[:12]}…): learn it again"
        )
    raise CheckpointError(
        f"{directory}: was learned on the model {name}, which is not here: learn it again, "
        "or copy that model into its folder base"
    )


def own_words(model: Checkpoint, base: Checkpoint) -> OwnWords:
    """The head in memory; errors as in `Checkpoint.load`."""
    own = model.own_tags
    columns = [base.tags.index(tag) for tag in model.tags[len(own) :]]
    n_summary = base.sizes().n_summary
    arrays = model.tensors(
        {
            "of_mean": (len(own), n_summary),
            "of_spread": (len(own), n_summary),
            "typical_spread": (n_summary,),
            "bias": (len(own),),
        }
    )
    return OwnWords(Head(**arrays), columns)


def save(
    directory: Path,
    head: Head,
    *,
    base: Checkpoint,
    vocabulary: Vocabulary,
    name: str,
    training: Mapping[str, Any],
    with_base: bool = True,
) -> Checkpoint:
    """Write a model of one's own words, in the way of `checkpoint.save`.

    The vocabulary's values have one tag each, in the order of the head's rows. `with_base`: whether
    the base's values of other fields come along. What was in the directory is replaced.
    """
    from safetensors.numpy import save as serialise  # noqa: PLC0415

    from musictag.hearing import checkpoint  # noqa: PLC0415

    content = serialise({key: np.ascontiguousarray(a) for key, a in head._asdict().items()})
    config = {
        "format": checkpoint.FORMAT,
        "name": name,
        BASE: {"name": base.name, "digest": base.digest, "values": with_base},
        "tags": [tag for value in vocabulary.values for tag in value.tags],
        **checkpoint.described(vocabulary),
        "weights_sha256": hashlib.sha256(content).hexdigest(),
        "training": training,
    }
    try:
        with replacing_folder(Path(os.path.realpath(directory))) as fresh:
            if not _is_packaged(base):
                _copy(base, fresh / BASE)
            with replacing(fresh / checkpoint.WEIGHTS) as temporary:
                temporary.write_bytes(content)
            with replacing(fresh / checkpoint.CONFIG) as temporary:
                text = json.dumps(config, indent=1, ensure_ascii=False)
                temporary.write_text(text + "\n", "utf-8")
    except OSError as error:
        raise UsageError(f"{directory}: {system_trouble(error).reason}") from error
    return checkpoint.read(directory)


def check_place(directory: Path, *, overwrite: bool) -> None:
    """UsageError if a model cannot be saved here, or would take the place of something else.

    With `overwrite` it may take the place of another model of one's own words.
    """
    from musictag.hearing import checkpoint  # noqa: PLC0415

    real = Path(os.path.realpath(directory))
    if os.fspath(directory) in checkpoint.packaged():
        raise UsageError(f"{directory}: a model of this name comes with musictag: choose another")
    try:
        if real.exists() and not (real.is_dir() and not any(real.iterdir())):
            if not overwrite:
                raise UsageError(f"{directory}: exists (--overwrite replaces a model)")
            if not real.is_dir() or not _is_own(real):
                raise UsageError(
                    f"{directory}: is not a model that was learned, or not only that; not touching "
                    "it: choose another name"
                )
        real.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{real.name}.", dir=real.parent):
            pass  # as the model will be: better to fail now than after hours of hearing
    except OSError as error:
        raise UsageError(f"{directory}: {system_trouble(error).reason}") from error


def _is_own(directory: Path) -> bool:
    """Whether this is a model of one's own words, with nothing else beside it."""
    from musictag.hearing import checkpoint  # noqa: PLC0415

    if {path.name for path in directory.iterdir()} - {checkpoint.CONFIG, checkpoint.WEIGHTS, BASE}:
        return False
    try:
        return BASE in json.loads((directory / checkpoint.CONFIG).read_bytes())
    except (OSError, ValueError, TypeError):
        return False


def _is_packaged(base: Checkpoint) -> bool:
    from musictag.hearing import checkpoint  # noqa: PLC0415

    return base.name in checkpoint.packaged() and checkpoint.find(base.name).digest == base.digest


def _copy(base: Checkpoint, directory: Path) -> None:
    """A model that does not come with musictag, without its card."""
    from musictag.hearing import checkpoint  # noqa: PLC0415

    weights = base.weights()
    directory.mkdir(parents=True, exist_ok=True)
    with replacing(directory / checkpoint.WEIGHTS) as temporary:
        temporary.write_bytes(weights)
    with replacing(directory / checkpoint.CONFIG) as temporary:
        shutil.copyfile(base.directory / checkpoint.CONFIG, temporary)


class OwnEar:
    """An `ear.Ear` that hears with a base and says one's own words, of segments."""

    def __init__(self, ear: Ear, words: OwnWords) -> None:
        self._ear = ear
        self._words = words
        self.batch_size = ear.batch_size

    def hear(self, segments: Real) -> Hearing:
        return self.said(self._ear.hear(segments))

    def batch(self, n_samples: int) -> OwnBatch:
        return OwnBatch(self, self._ear.batch(n_samples))

    def said(self, heard: Hearing) -> Hearing:
        return Hearing(self._words(heard.probabilities, heard.summaries), heard.summaries)


class OwnBatch:
    """An `ear.Batch` of an OwnEar."""

    def __init__(self, ear: OwnEar, batch: Batch) -> None:
        self._ear = ear
        self._batch = batch
        self.size = batch.size

    def add(self, segment: Real) -> None:
        self._batch.add(segment)

    def begin(self) -> OwnLater:
        return OwnLater(self._ear, self._batch.begin())


class OwnLater:
    """An `ear.Later` of an OwnEar."""

    def __init__(self, ear: OwnEar, later: Later) -> None:
        self._ear = ear
        self._later = later

    def done(self) -> bool:
        return self._later.done()

    def result(self) -> Hearing:
        return self._ear.said(self._later.result())
