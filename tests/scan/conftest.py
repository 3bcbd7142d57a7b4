"""A fake that decodes, reads, writes and hears, and files for it."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from scans import (
    ROCK,
    Listening,
)

from musictag.scan import readers
from musictag.stores.cache import Cache


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Listening:
    # No test waits for a clock: a batch that is not full waits until nothing can come any more.
    monkeypatch.setattr(readers, "_PATIENCE_S", 3600)
    return Listening()


@pytest.fixture
def song(tmp_path: Path) -> Callable[..., Path]:
    numbers = itertools.count()

    def make(
        name: str = "",
        *,
        heard: Sequence[Sequence[float]] = (ROCK,),
        error: str = "",
        metadata: dict[str, list[str]] | str | None = None,
    ) -> Path:
        number = next(numbers)
        path = tmp_path / (name or f"{number:03}.mp3")
        content = {
            "number": number,
            "heard": heard,
            "error": error,
            "metadata": {} if metadata is None else metadata,
        }
        path.write_text(json.dumps(content))
        return path

    return make


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with contextlib.closing(Cache(tmp_path / "heard.sqlite")) as cache:
        yield cache
