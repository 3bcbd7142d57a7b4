"""Files with several names (hard links)."""

from __future__ import annotations

CODE = "hard_linked"
CURE = "--hardlinks replace gives this name a new file, in-place changes all names"


def reason(n_names: int) -> str:
    """Why such a file is not written."""
    return f"it has {n_names} names (hard links), so it was left alone"
