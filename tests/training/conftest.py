"""What tests of training share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def few_noises_always(few_noises: None) -> None:
    """No test of training needs all noises."""
