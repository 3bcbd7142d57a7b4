"""The sounds that each training example is heard in, by number.

0            as it is
1 …          `augment.vary`: another recording of it
1001 …       the same, faster or slower by up to two semitones
2001 …       mixed with another example's sound
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from musictag.training import augment

PLAIN, WIDE, MIXED = 0, 1000, 2000


@dataclass(frozen=True)
class Variants:
    """How many variants of each kind there are."""

    n: int = 1  # the plain one and other recordings of it
    n_wide: int = 0
    n_mixed: int = 0

    @property
    def numbers(self) -> tuple[int, ...]:
        wide = range(WIDE + 1, WIDE + 1 + self.n_wide)
        mixed = range(MIXED + 1, MIXED + 1 + self.n_mixed)
        return (*range(self.n), *wide, *mixed)


ONE = Variants()
"""Each example as it is, and nothing else."""


def is_mixed(variant: int) -> bool:
    return variant > MIXED


def seed(example: str, variant: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{variant}:{example}".encode()).digest()[:6], "big")


def partners(ids: Sequence[str], variant: int) -> dict[str, str]:
    """Example → the one it is mixed with: its neighbour in a ring drawn anew for each variant."""
    ring = sorted(ids, key=lambda example: seed(example, variant))
    return dict(zip(ring, [*ring[1:], *ring[:1]], strict=True))


def sound(variant: int, example: str, samples: Tensor, other: Tensor | None = None) -> Tensor:
    """(N,) samples of an example -> (N,) its variant. `other` is the partner of a mixed one."""
    if variant == PLAIN:
        return samples
    number = seed(example, variant)
    if is_mixed(variant):
        return samples if other is None else augment.overlay(samples, other, number)
    return augment.vary(samples, number, speed=0.06 if variant < WIDE else augment.TWO_SEMITONES)
