"""Which library transforms and which one multiplies.

    kernels = choose()                              # what suits this machine
    kernels = choose(products="portable")           # NumPy multiplies
    kernels = Kernels(portable.Transforms(), portable.Products())

The two are chosen apart. oneMKL transforms wherever it is installed: its FFT is the fastest of
those we have on every CPU we measured. Which library multiplies is measured when a process first
hears, in some 10 ms of an idle machine: oneMKL is made for Intel's CPUs, and takes 0.93 ms for a
1536 x 512 matrix times 8 columns on an AMD EPYC (Zen 4), NumPy's OpenBLAS 0.28 ms.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from musictag.hearing.arrays import Bfloat16, Call, Complex, Real
from musictag.hearing.kernels import mkl, portable

LIBRARIES = ("mkl", "portable")


class Transforms(Protocol):
    """Fourier transforms. A call refers to memory: the arrays must live as long as it is used."""

    @property
    def points(self) -> int:
        """Complex points of one batched transform, at most, unless a single row is longer."""

    def quick_rates(self, n_hops: int) -> Iterator[int]:
        """Points per hop, ascending, for which transforms of `n_hops` hops are quick."""

    def inverse(self, rows: Complex) -> Call:
        """Each row's inverse transform, unscaled, in place: (n, L)."""

    def spectrum(self, rows: Real, out: Complex) -> Call:
        """Each row's transform over its length: (n, L) -> (n, L // 2 + 1)."""


class Products(Protocol):
    """Matrix products. A call refers to memory: the arrays must live as long as it is used."""

    @property
    def bfloat16(self) -> bool:
        """Whether `multiply_bfloat16` works and is the quicker one here."""

    def product(self, left: Real, right: Real, out: Real) -> Call:
        """(n, k) times (k, m) -> (n, m), each time it is called."""

    def multiply(self, left: Real, right: Real, out: Real) -> None:
        """(n, k) times (k, m) -> (n, m), once."""

    def multiply_bfloat16(self, left: Bfloat16, right: Bfloat16, out: Real) -> None:
        """Like `multiply`, with sums in float32."""

    def on_one_core(self) -> AbstractContextManager[None]:
        """Within the block the library starts no threads for the calling thread's products."""


@dataclass(frozen=True)
class Kernels:
    """The libraries in use. Threads may share them."""

    transforms: Transforms
    products: Products


def choose(*, transforms: str | None = None, products: str | None = None) -> Kernels:
    """The kernels that suit this machine; `transforms` or `products` names a library instead.

    Raises ValueError for a name that is not in LIBRARIES, RuntimeError where that library is
    missing.
    """
    for name in (transforms, products):
        if name is not None and name not in LIBRARIES:
            raise ValueError(f"no library {name!r} (there are {', '.join(LIBRARIES)})")
        if name == "mkl" and not mkl.is_there():
            raise RuntimeError("oneMKL is not installed, or not usable")
    if transforms is None:
        transforms = "mkl" if mkl.is_there() else "portable"
    if products is None:
        products = quicker()
    return Kernels(
        mkl.Transforms() if transforms == "mkl" else portable.Transforms(),
        mkl.Products() if products == "mkl" else portable.Products(),
    )


_PRODUCTS: Mapping[str, Callable[[], Products]] = {
    "mkl": mkl.Products,
    "portable": portable.Products,
}
_SHAPE = 1536, 512
"""Of the weights that are multiplied most often, those of a layer of the default model."""
_COLUMNS = 9, 64
"""Segments of a track of four minutes, and of a full batch."""
_N_RUNS = 3


@functools.cache
def quicker() -> str:
    """The library whose products of the network's shapes take less time here.

    Nothing is measured where only one can be used, nor where the cores have instructions for
    bfloat16 that only oneMKL uses.
    """
    if not mkl.is_there():
        return "portable"
    if mkl.multiplies_bfloat16() or not portable.can_limit_threads():
        return "mkl"
    return min(LIBRARIES, key=lambda name: seconds(_PRODUCTS[name]()))


def seconds(products: Products, *, clock: Callable[[], float] = time.perf_counter) -> float:
    """The least time of a product, added up over the numbers of columns, on one core."""
    n, k = _SHAPE
    weights = np.ones((n, k), np.float32)
    total = 0.0
    with products.on_one_core():
        for m in _COLUMNS:
            columns, out = np.ones((k, m), np.float32), np.empty((n, m), np.float32)
            products.multiply(weights, columns, out)  # the first one makes ready
            least = math.inf
            for _ in range(_N_RUNS):
                began = clock()
                products.multiply(weights, columns, out)
                least = min(least, clock() - began)
            total += least
    return total
