"""What benchmarks share with the tests: finds `tests/support`, so `from shared import sounds`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

import sounds  # type: ignore[import-not-found]

__all__ = ["sounds"]
