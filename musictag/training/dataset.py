"""What a model learns from: stretches of music with a probability for every tag. Values only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musictag.errors import DataSetError

SPLITS = ("train", "validation", "test")
QUADRANTS = ("Q1", "Q2", "Q3", "Q4")
"""Names of the four quadrants of mood: happy and energetic, tense and energetic, sad and calm,
peaceful and calm."""


@dataclass(frozen=True)
class Example:
    """One training item: at most a segment's length of one file's music."""

    id: str
    path: Path
    start_s: float
    duration_s: float
    track: str  # excerpts of one recording share it; no track is in two splits
    split: str
    genre: str = ""  # one word by people, where known
    people: tuple[frozenset[str], ...] = ()
    """Tags that people gave as genres. Of a set with several tags one applies, and nobody said
    which. Empty: nobody was asked. Where a data set has no such column, `genre` alone."""
    quadrant: str = ""  # of mood, one of QUADRANTS, where people said
    moods: tuple[str, ...] = ()  # words by people, as AllMusic has them
    kind: str = ""  # "real recording", "generated", "rendered midi", "tracker", "speech/other"
    voice: bool | None = None  # whether anybody is heard singing or speaking; None: unknown


@dataclass(frozen=True)
class DataSet:
    """Examples and their labels, row by row."""

    directory: Path
    tags: tuple[str, ...]
    examples: tuple[Example, ...]
    labels: NDArray[np.float32]  # (n_examples, K)
    shares: Mapping[str, float]  # tag → share of all music that carries it
    untagged: Mapping[str, int] = field(default_factory=dict)
    """Split → clips that were dropped because they carry none of the tags."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """Id → why a clip that is known to be broken was left out."""

    def rows(self, split: str) -> list[int]:
        """Where the examples of one split stand, in order."""
        if split not in SPLITS:
            raise DataSetError(f"there is no split {split!r}, only {', '.join(SPLITS)}")
        return [i for i, example in enumerate(self.examples) if example.split == split]

    def only(self, tags: Sequence[str]) -> DataSet:
        """The same examples with these tags, in this order."""
        if missing := [tag for tag in tags if tag not in self.tags]:
            raise DataSetError(f"{self.directory}: no labels for {', '.join(missing)}")
        if twice := [tag for n, tag in enumerate(tags) if tag in tags[:n]]:
            raise DataSetError(f"{', '.join(twice)} is asked for twice")
        return replace(
            self,
            tags=tuple(tags),
            labels=self.labels[:, [self.tags.index(tag) for tag in tags]],
            shares={tag: self.shares[tag] for tag in tags},
        )

    def called(self, names: Mapping[str, str]) -> DataSet:
        """The same with other names for some of its tags."""

        def name(tag: str) -> str:
            return names.get(tag, tag)

        return replace(
            self,
            tags=tuple(map(name, self.tags)),
            shares={name(tag): share for tag, share in self.shares.items()},
            examples=tuple(
                replace(
                    example,
                    genre=name(example.genre),
                    people=tuple(frozenset(map(name, said)) for said in example.people),
                )
                for example in self.examples
            ),
        )

    def digest(self) -> str:
        """Identity of what can be learned here: examples, splits and labels, not the audio."""
        state = hashlib.sha256(json.dumps(self.tags).encode())
        for example in self.examples:
            state.update(json.dumps(_identity(example)).encode())
        state.update(np.ascontiguousarray(self.labels).tobytes())
        return state.hexdigest()


def _identity(example: Example) -> dict[str, Any]:
    """An example as plain values; what a data set without the newer columns lacks is left out."""
    values = {**asdict(example), "path": example.path.name}
    values["people"] = [sorted(words) for words in example.people]
    newer = ("people", "quadrant", "moods", "kind", "voice")
    return {k: v for k, v in values.items() if k not in newer or v not in ([], (), "", None)}
