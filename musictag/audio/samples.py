"""What music is made of here: mono float32 samples, 16,000 a second, in segments of 29 s."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
RATE_HZ = 16_000
SEGMENT_S = 29
SEGMENT_LENGTH = RATE_HZ * SEGMENT_S
