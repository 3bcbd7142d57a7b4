"""What programs ask of their process."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import pytest

from musictag import process


def test_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container or under taskset there may be fewer than the machine has."""
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert process.n_cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")  # macOS and Windows have none
    assert process.n_cores() == 64


def test_torch_is_given_threads_where_it_is_and_not_imported_for_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[int] = []
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(set_num_threads=given.append))
    process.limit_torch(3)
    assert given == [3]
    monkeypatch.delitem(sys.modules, "torch")
    process.limit_torch(3)
    assert "torch" not in sys.modules
