"""Executors of scattering transforms, made once for each file of tests."""

from __future__ import annotations

from typing import Any

import pytest
from scattered import EXECUTORS, PAPER, SMALL, Executor

from musictag.hearing.scattering.torch import Scattering


@pytest.fixture(scope="module", params=EXECUTORS)
def make(request: pytest.FixtureRequest) -> Executor:
    """One of the ways to execute a plan."""
    executor: Executor = request.param
    return executor


@pytest.fixture(scope="module")
def paper() -> Scattering:
    return Scattering(PAPER)


@pytest.fixture(scope="module")
def small(make: Executor) -> Any:
    return make(SMALL)
