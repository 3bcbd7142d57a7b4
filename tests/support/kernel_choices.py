"""The libraries that hearing on a CPU is tested with."""

from __future__ import annotations

import itertools

import pytest

from musictag.hearing.kernels import choice, mkl

needs_mkl = pytest.mark.skipif(not mkl.is_there(), reason="without oneMKL")

LIBRARIES = [pytest.param("mkl", marks=needs_mkl), "portable"]
"""Names of the libraries."""

KERNELS = [
    pytest.param(
        (transforms, products),
        id=f"{transforms}-{products}",
        marks=needs_mkl if "mkl" in (transforms, products) else (),
    )
    for transforms, products in itertools.product(choice.LIBRARIES, repeat=2)
]
"""Names of the libraries that transform and multiply, in every combination."""
