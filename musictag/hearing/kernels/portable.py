"""Fourier transforms by SciPy (pocketfft) and matrix products by NumPy, for every platform."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from musictag import process
from musictag.hearing.arrays import Bfloat16, Call, Complex, Real
from musictag.hearing.kernels.rates import powers_and_halves


class Transforms:
    """SciPy's transforms. They work on several rows at once where there are four or more."""

    points = 2**19
    """Complex points of one batched transform, at most: four rows of the longest bands. Measured
    on one core: a quarter of it takes 1.4 times as long, twice as many gain nothing."""

    quick_rates = staticmethod(powers_and_halves)

    def inverse(self, rows: Complex) -> Call:
        """Each row's inverse transform, unscaled, in place: (n, L)."""
        transform = functools.partial(
            _fft().ifft, rows, norm="forward", overwrite_x=True, workers=1
        )
        if _works_in_place():
            return transform
        return lambda: np.copyto(rows, transform())

    def spectrum(self, rows: Real, out: Complex) -> Call:
        """Each row's transform over its length, into other memory: (n, L) -> (n, L // 2 + 1)."""
        n, length = rows.shape
        if out.shape != (n, length // 2 + 1):
            raise ValueError(f"the spectra of {rows.shape} do not fit into {out.shape}")
        transform = functools.partial(_fft().rfft, rows, norm="forward", workers=1)
        return lambda: np.copyto(out, transform())


@functools.cache
def _works_in_place() -> bool:
    """Whether SciPy overwrites what it is allowed to overwrite; it need not."""
    rows = np.ones((1, 8), np.complex64)
    return np.shares_memory(rows, _fft().ifft(rows, overwrite_x=True))


_ROOM_MB = 200
"""Address space that SciPy needs, in megabytes. With less, its OpenBLAS asks for memory for ever
when it is loaded."""


@functools.cache
def _fft() -> Any:
    """scipy.fft, which is slow to import and not needed with oneMKL."""
    process.check_room(_ROOM_MB)
    from scipy import fft  # noqa: PLC0415

    return fft


class Products:
    """NumPy's products."""

    bfloat16 = False

    def product(self, left: Real, right: Real, out: Real) -> Call:
        """(n, k) times (k, m) -> (n, m), each time it is called."""
        return functools.partial(np.matmul, left, right, out=out)

    def multiply(self, left: Real, right: Real, out: Real) -> None:
        """(n, k) times (k, m) -> (n, m), once."""
        np.matmul(left, right, out=out)

    def multiply_bfloat16(self, left: Bfloat16, right: Bfloat16, out: Real) -> None:
        raise NotImplementedError("NumPy has no bfloat16")

    def on_one_core(self) -> contextlib.AbstractContextManager[None]:
        """Within the block NumPy's OpenBLAS starts no threads.

        OpenBLAS has one setting for the whole process. It is changed when the first thread enters
        such a block and restored when the last one leaves. Without this, threads that multiply at
        the same time wait for each other. Other builds of NumPy are left alone.
        """
        return _on_one_core()


# ---------------------------------------------------------------- OpenBLAS's threads


def can_limit_threads() -> bool:
    """Whether `on_one_core` has an effect."""
    return _openblas() is not None


_inside = threading.Lock()
_n_inside = 0
_n_threads_outside = 0


@contextlib.contextmanager
def _on_one_core() -> Iterator[None]:
    global _n_inside, _n_threads_outside  # noqa: PLW0603  # the setting belongs to the process too
    openblas = _openblas()
    if openblas is None:
        yield
        return
    with _inside:
        if _n_inside == 0:
            _n_threads_outside = openblas.n_threads()
            openblas.set_n_threads(1)
        _n_inside += 1
    try:
        yield
    finally:
        with _inside:
            _n_inside -= 1
            if _n_inside == 0:
                openblas.set_n_threads(_n_threads_outside)


class _OpenBLAS:
    def __init__(self, library: ctypes.CDLL, name: str) -> None:
        """`name` as in scipy_openblas_{}_num_threads64_. AttributeError where it is another."""
        self.n_threads: Any = getattr(library, name.format("get"))
        self.n_threads.restype = ctypes.c_int
        self.set_n_threads: Any = getattr(library, name.format("set"))
        self.set_n_threads.argtypes = [ctypes.c_int]
        self.set_n_threads.restype = None


_NAMES = (
    *("scipy_openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads"),
    *("openblas_{}_num_threads64_", "openblas_{}_num_threads"),
)


@functools.cache
def _openblas() -> _OpenBLAS | None:
    """The OpenBLAS that NumPy multiplies with, if it is one."""
    for path in _places():
        for name in _NAMES:
            with contextlib.suppress(OSError, AttributeError):
                return _OpenBLAS(ctypes.CDLL(path), name)
    return None


def _places() -> Iterator[str]:
    """NumPy's own module, in whose libraries functions are looked up too, and Windows' DLLs."""
    for name in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):
        module = sys.modules.get(name)
        if module is not None and module.__file__:
            yield module.__file__
    yield from map(str, (Path(np.__file__).parents[1] / "numpy.libs").glob("*openblas*.dll"))
