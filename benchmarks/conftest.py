"""The benchmarks' own tests are isolated as all tests are."""

from __future__ import annotations

import shared  # noqa: F401  # finds the next one
from isolation import no_network, nobodys_home, seeded  # type: ignore[import-not-found]

__all__ = ["no_network", "nobodys_home", "seeded"]
