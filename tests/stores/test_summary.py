"""A track's summary: mean and spread of its segments, in two bytes a number."""

from __future__ import annotations

import numpy as np
import pytest

from musictag.stores import summary
from musictag.stores.summary import Summing


def test_mean_and_spread_of_the_segments_are_remembered() -> None:
    summing = Summing()
    summing.add(np.array([[1.0, 0.5], [3.0, 0.5]], np.float32))
    packed = summing.packed()
    assert packed is not None
    mean, spread = summary.unpacked(packed)
    assert (mean.tolist(), spread.tolist()) == ([2.0, 0.5], [1.0, 0.0])
    assert summary.is_one(packed)
    assert len(packed) == 8


@pytest.mark.parametrize("sizes", [(7,), (3, 4), (1,) * 7])
def test_how_the_segments_came_makes_no_difference(sizes: tuple[int, ...]) -> None:
    segments = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    one, other = Summing(), Summing()
    one.add(segments)
    for start, size in zip(np.cumsum((0, *sizes)), sizes, strict=False):
        other.add(segments[start : start + size])
    assert one.packed() == other.packed()
    assert one.n == other.n == 7


def test_the_summary_is_as_close_as_float16_is() -> None:
    segments = np.random.default_rng(0).uniform(-1, 1, (9, 512)).astype(np.float32)
    summing = Summing()
    summing.add(segments)
    packed = summing.packed()
    assert packed is not None
    mean, spread = summary.unpacked(packed)
    assert mean == pytest.approx(segments.mean(axis=0), rel=2**-11, abs=2**-24)
    assert spread == pytest.approx(segments.std(axis=0), rel=2**-11, abs=2**-24)


def test_a_track_without_segments_has_no_summary() -> None:
    assert Summing().packed() is None


def test_numbers_too_large_for_two_bytes_stay_numbers() -> None:
    assert summary.is_one(summary.pack(np.array([1e6, -1e6]), np.array([1e6, 0.0])))
