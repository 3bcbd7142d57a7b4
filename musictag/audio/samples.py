"""The unit of work: mono float32 samples at 16 kHz, cut into segments of 29 s."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
RATE_HZ = 16_000
"""Sample rate of everything the model hears, in Hz."""
SEGMENT_S = 29
"""Length of a segment, in seconds."""
SEGMENT_LENGTH = RATE_HZ * SEGMENT_S
"""Length of a segment, in samples."""
