"""What a look at one thing finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

REINSTALL = "install musictag anew: python -m pip install --force-reinstall musictag"
"""The cure where a part of musictag or a library is damaged."""


@dataclass(frozen=True)
class Finding:
    """One line: ok, or with its cure."""

    name: str
    text: str
    state: Literal["ok", "slow", "bad"] = "ok"
    """`slow`: it works, and could work better."""
    cure: str = ""
    details: Mapping[str, object] = field(default_factory=dict)
    """The same for programs."""
