"""Tracks and how much they sound like others, as people and programs read them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from musictag.report.text import clock_text, visible


class _Track(Protocol):
    @property
    def path(self) -> Path: ...
    @property
    def duration_s(self) -> float: ...


def lines(found: Iterable[tuple[float, _Track]], form: str) -> Iterator[str]:
    """One line for every track; `form` is table, jsonl or paths.

    A table shows what could steer a terminal as escapes; paths are printed as they are.
    """
    for cosine, track in found:
        path = os.fspath(track.path)
        if form == "paths":
            yield path
        elif form == "jsonl":
            row = {"path": path, "similarity": round(cosine, 4), "duration": track.duration_s}
            yield json.dumps(row)
        else:
            yield f"{cosine:5.2f}  {clock_text(track.duration_s):>7}  {visible(path)}"
