"""Executors of a scattering transform, and signals to try them on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from kernel_choices import needs_mkl
from reference_scattering import by_definition

from musictag.hearing.kernels.choice import choose
from musictag.hearing.scattering.core import CoreScattering
from musictag.hearing.scattering.plan import FrontEnd, Plan
from musictag.hearing.scattering.torch import Scattering

PAPER = FrontEnd(normalisation="none")
# the same transform sixteen times shorter, for what does not depend on the size
SMALL = FrontEnd(n_samples=29_000, T=512, hop=256, normalisation="none")
SMALL_HIGH = FrontEnd(n_samples=29_000, T=512, hop=256, exactness="high", normalisation="none")


class Laid:
    """The executor for one core, to be called like the one in torch."""

    transforms, products = "portable", "portable"

    def __init__(self, front_end: FrontEnd | None = None, *, plan: Plan | None = None) -> None:
        kernels = choose(transforms=self.transforms, products=self.products)
        self.executor = CoreScattering(front_end, plan=plan, kernels=kernels)
        self.plan = self.executor.plan

    def __call__(self, samples: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.stack([self.executor(row) for row in samples.numpy()]))


class LaidOnMkl(Laid):
    transforms, products = "mkl", "mkl"


Executor = Callable[..., Any]
CORES = [pytest.param(LaidOnMkl, id="oneMKL", marks=needs_mkl), pytest.param(Laid, id="portable")]
EXECUTORS = [pytest.param(Scattering, id="torch"), *CORES]


def noise(n: int = SMALL.n_samples, *, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(n, generator=torch.Generator().manual_seed(seed))


def sine(frequency: float, n: int = SMALL.n_samples) -> torch.Tensor:
    """Amplitude 1; `frequency` in radians per sample."""
    return torch.cos(frequency * torch.arange(n, dtype=torch.float64)).float()


def clicks(n: int = SMALL.n_samples) -> torch.Tensor:
    x = torch.zeros(n)
    x[::3001] = 1.0
    return x


def music(n: int = SMALL.n_samples) -> torch.Tensor:
    """Decaying chords with a little noise."""
    g = np.random.default_rng(0)
    x = 0.001 * g.standard_normal(n)
    for start in range(0, n, n // 13):
        t = np.arange(n - start)
        for f in g.uniform(0.02, 1.5, 6):
            x[start:] += 0.05 * np.exp(-t / 4000) * np.sin(f * t)
    return torch.from_numpy(x).float()


SIGNALS = {"noise": noise(), "sine": sine(0.3), "clicks": clicks(), "music": music()}


def reference(front_end: FrontEnd, samples: torch.Tensor) -> torch.Tensor:
    """(N,) -> (C, T)"""
    return by_definition(front_end, samples[None])[0]
