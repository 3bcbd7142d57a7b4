"""Types of the arrays that hearing on a CPU works with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float32]
Complex = NDArray[np.complex64]
Bfloat16 = NDArray[np.uint16]
"""The upper halves of float32 numbers."""

Call = Callable[[], object]
"""A computation whose operands and results have fixed places in memory."""
