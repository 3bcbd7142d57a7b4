"""torch's random numbers: a run has its own, and each epoch of it begins with a seed."""

from __future__ import annotations

import contextlib

import torch


def own_chance(device: torch.device) -> contextlib.AbstractContextManager[None]:
    """Give the block a random state of its own; afterwards torch's is what it was before."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def seed(run: int, number: int) -> None:
    """Begin the random numbers of an epoch (or of a rank's step, if negative) of a run."""
    torch.manual_seed(run * 1_000_003 + number)
