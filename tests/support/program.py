"""The program run inside a test, with a real, tiny, untrained model; conftest has the fixtures."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from musictag.vocabulary import magnatagatune

TAGS = tuple(tag for value in magnatagatune().values for tag in value.tags)
ALWAYS = {"Rock": 0.0, "Slow": 0.0, "Guitar": 0.0, "Female": 0.0}
"""Thresholds that make the tiny model say the same of every track."""


@dataclasses.dataclass(frozen=True)
class Result:
    code: int
    stdout: str
    stderr: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stdout.splitlines()]


Run = Callable[..., Result]
