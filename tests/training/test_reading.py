"""The samples of an example: its stretch of the file, as long as a segment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sounds

from musictag.errors import AudioError
from musictag.training.dataset import Example
from musictag.training.reading import read_samples


def test_an_example_is_its_stretch_padded_to_a_segment(tmp_path: Path) -> None:
    noise = sounds.noise(40, rate_hz=16_000, channels=1)
    path = sounds.write(tmp_path / "a.wav", "wav", noise, 16_000)

    def stretch(start_s: float, duration_s: float) -> np.ndarray:
        return read_samples(Example("a", path, start_s, duration_s, "a", "train"))

    expected = np.zeros(464_000, dtype=np.float32)
    expected[: 20 * 16_000] = noise[160_000:480_000, 0]
    np.testing.assert_allclose(stretch(10, 20), expected, atol=1e-4)  # 16 bits
    np.testing.assert_allclose(stretch(0, 40), noise[:464_000, 0], atol=1e-4)  # a segment at most
    first = read_samples(Example("a", path, 10, 20, "a", "train"), 1000)
    np.testing.assert_array_equal(first, stretch(10, 20)[:1000])  # for a shorter front end
    assert not stretch(30, 10.3)[160_000:].any()  # tables round: a little less is all right
    with pytest.raises(AudioError, match=r"ends at 40.0 s, before example a does"):
        stretch(20, 21)
