"""Made music with known probabilities."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
SECONDS = 29
TOLERANCE = 0.03
"""Largest difference of a probability from the stored one. Between kernels, bfloat16 included,
`tests/doctor` finds less than half of it."""
EXPECTED = Path(__file__).with_name("expected.json")


def made() -> NDArray[np.int16]:
    """A segment of struck chords, bass and noise for a drum: (N,) at 16 kHz."""
    times = np.arange(RATE_HZ * SECONDS) / RATE_HZ
    beat = times % 0.5
    root_hz = 110 * 2 ** (np.array([0, 5, 7, 3])[(times // 2).astype(int) % 4] / 12)
    phase = 2 * np.pi * np.cumsum(root_hz) / RATE_HZ
    chord = sum(np.sin(ratio * phase) / ratio for ratio in (2, 2.5, 3, 4, 5))
    drum = np.random.default_rng(0).uniform(-1, 1, len(times)) * np.exp(-40 * beat)
    music = 0.2 * chord * np.exp(-3 * beat) + 0.2 * np.sin(phase) + 0.2 * drum
    samples: NDArray[np.int16] = np.round(music * (20_000 / np.abs(music).max())).astype(np.int16)
    return samples


def expected() -> dict[str, Any]:
    """The bundled model's digest, and its probabilities by tag."""
    found: dict[str, Any] = json.loads(EXPECTED.read_text(encoding="utf-8"))
    return found
