"""What tests need to run the program in their own process; the fixtures are in conftest.py."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from musictag.vocabulary import magnatagatune

TAGS = tuple(tag for value in magnatagatune().values for tag in value.tags)
ALWAYS = {"Rock": 0.0, "Slow": 0.0, "Guitar": 0.0, "Female": 0.0}
"""Thresholds with which the tiny model says the same of every track."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run of the program printed, and its exit code."""

    code: int
    stdout: str
    stderr: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """The JSON lines on standard output."""
        return [json.loads(line) for line in self.stdout.splitlines()]


Run = Callable[..., Result]
