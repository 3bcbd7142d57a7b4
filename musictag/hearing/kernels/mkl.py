"""Fourier transforms and products of matrices by oneMKL, without torch.

torch's builds for Linux on x86-64 bring oneMKL along, and its functions are
called here as its reference describes them for C: to import torch takes longer
than to hear a track. And what torch does anew at each call is done once: a
transform is planned for its place in memory (its tables of sines and cosines
often take longer to make than the transform).

Where these functions are not to be had `is_there` says so, and torch has to do.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import platform
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musictag import process
from musictag.errors import OutOfMemoryError

Real = NDArray[np.float32]
Complex = NDArray[np.complex64]
Bfloat16 = NDArray[np.uint16]
"""The upper halves of float32 numbers."""

Call = Callable[[], object]

# mkl_dfti.h and mkl_cblas.h
_FORWARD_SCALE, _N_TRANSFORMS, _CONJUGATE_EVEN_STORAGE, _PLACEMENT = 4, 7, 10, 11
_INPUT_DISTANCE, _OUTPUT_DISTANCE, _THREAD_LIMIT = 14, 15, 27
_COMPLEX, _REAL, _SINGLE, _COMPLEX_COMPLEX, _NOT_IN_PLACE = 32, 33, 35, 39, 44
_ROW_MAJOR, _AS_IT_IS = 101, 111


_ROOM_MB = 560
"""Address space that these functions and a model need, in megabytes. With less, the library ends
the whole process when it is loaded."""


@functools.cache
def is_there() -> bool:
    """Whether this machine has these functions, and they compute what they should."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    try:
        process.check_room(_ROOM_MB)
        return _works()
    except (OSError, AttributeError, RuntimeError, ValueError, OutOfMemoryError):
        return False


def _works() -> bool:
    rng = np.random.default_rng(0)
    real = rng.standard_normal((2, 24)).astype(np.float32)
    spectrum = np.empty((2, 16), np.complex64)[:, 2:15]
    wave = (real[:, :12] + 1j * real[:, 12:]).astype(np.complex64)
    product = np.empty((2, 3), np.float32)
    expected = np.fft.rfft(real, norm="forward"), np.fft.ifft(wave, norm="forward")
    planner = Planner()
    planner.spectrum(real, spectrum)()
    planner.inverse(wave)()
    multiply(real, np.ones((24, 3), np.float32), product)
    pairs = zip((spectrum, wave, product[:, 0]), (*expected, real.sum(axis=1)), strict=True)
    return all(np.allclose(found, wanted, atol=1e-5) for found, wanted in pairs)


def use_one_thread() -> None:
    """In the calling thread: who shares the work out by himself wants no other threads."""
    _library().MKL_Set_Num_Threads_Local(1)


# ---------------------------------------------------------------- transforms


class Planner:
    """Transforms, for any number of threads. Those of equal shape share their tables.

    A call refers to memory: the arrays have to stay for as long as it is used.
    """

    def __init__(self) -> None:
        self._descriptors: dict[tuple[object, ...], _Descriptor] = {}
        self._lock = threading.Lock()

    def inverse(self, rows: Complex) -> Call:
        """Each row's inverse transform, not scaled, in place: (n, L)."""
        n, length = rows.shape
        distance = _distance(rows)
        descriptor = self._descriptor(_COMPLEX, length, n, distance, distance, 1.0)
        return functools.partial(_library().DftiComputeBackward, descriptor, rows.ctypes.data)

    def spectrum(self, rows: NDArray[np.float32], out: Complex) -> Call:
        """Each row's transform over its length, into other memory: (n, L) -> (n, L // 2 + 1)."""
        n, length = rows.shape
        if out.shape != (n, length // 2 + 1):
            raise ValueError(f"the spectra of {rows.shape} do not fit into {out.shape}")
        descriptor = self._descriptor(_REAL, length, n, _distance(rows), _distance(out), 1 / length)
        compute = _library().DftiComputeForward
        return functools.partial(compute, descriptor, rows.ctypes.data, out.ctypes.data)

    def _descriptor(self, *shape: Any) -> _Descriptor:
        with self._lock:
            if shape not in self._descriptors:
                self._descriptors[shape] = _Descriptor(*shape)
            return self._descriptors[shape]


class _Descriptor:
    """A planned transform, with its tables, to be given to functions of the library: by several
    threads at once, if need be (oneMKL's reference, "Parallel Mode with a Common Descriptor")."""

    def __init__(
        self, domain: int, length: int, n: int, distance: int, distance_out: int, scale: float
    ) -> None:
        library = _library()
        self._as_parameter_ = pointer = ctypes.c_void_p()
        library.DftiCreateDescriptor_s_1d(ctypes.byref(pointer), domain, length)
        weakref.finalize(self, library.DftiFreeDescriptor, ctypes.byref(pointer))
        settings: list[tuple[int, Any]] = [
            (_THREAD_LIMIT, ctypes.c_long(1)),
            (_N_TRANSFORMS, ctypes.c_long(n)),
            (_INPUT_DISTANCE, ctypes.c_long(distance)),
            (_OUTPUT_DISTANCE, ctypes.c_long(distance_out)),
            (_FORWARD_SCALE, ctypes.c_double(scale)),
        ]
        if domain == _REAL:
            settings += [
                (_PLACEMENT, ctypes.c_int(_NOT_IN_PLACE)),
                (_CONJUGATE_EVEN_STORAGE, ctypes.c_int(_COMPLEX_COMPLEX)),
            ]
        for what, value in settings:
            library.DftiSetValue(pointer, what, value)
        library.DftiCommitDescriptor(pointer)


def _distance(rows: NDArray[Any]) -> int:
    """From row to row, in numbers; within a row they have to lie side by side."""
    if (rows.strides[1] != rows.itemsize and rows.shape[1] > 1) or rows.strides[0] % rows.itemsize:
        raise ValueError("the numbers of a row must lie side by side")
    return rows.strides[0] // rows.itemsize


# ---------------------------------------------------------------- products


def multiplies_bfloat16() -> bool:
    """Whether the cores multiply matrices of bfloat16 by themselves (AMX)."""
    try:
        return " amx_bf16 " in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False


def product(rows: Real, weights: Real, out: Real) -> Call:
    """(n, k) times (k, m) -> (n, m), as often as it is called."""
    multiply = _library().cblas_sgemm_compute
    return functools.partial(multiply, *_shapes(rows, weights), 0.0, *_matrix(out))


def multiply(rows: Real, weights: Real, out: Real) -> None:
    """(n, k) times (k, m) -> (n, m), once."""
    product(rows, weights, out)()


def multiply_bfloat16(rows: Bfloat16, weights: Bfloat16, out: Real) -> None:
    """As `multiply`; sums are in float32."""
    (n, k), m = rows.shape, weights.shape[1]
    _library().cblas_gemm_bf16bf16f32(
        *(_ROW_MAJOR, _AS_IT_IS, _AS_IT_IS, n, m, k, 1.0),
        *(*_matrix(rows), *_matrix(weights), 0.0, *_matrix(out)),
    )


def _shapes(rows: Real, weights: Real) -> tuple[int, ...]:
    (n, k), m = rows.shape, weights.shape[1]
    order = _ROW_MAJOR, _AS_IT_IS, _AS_IT_IS
    return *order, n, m, k, *_matrix(rows), *_matrix(weights)


def _matrix(numbers: NDArray[Any]) -> tuple[int, int]:
    return numbers.ctypes.data, _distance(numbers)


# ---------------------------------------------------------------- the library


@functools.cache
def _library() -> ctypes.CDLL:
    """OSError or AttributeError where it is not to be had."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        raise OSError("torch is not installed")
    library = ctypes.CDLL(str(Path(found.origin).parent / "lib" / "libtorch_cpu.so"))
    pointer, whole, number = ctypes.c_void_p, ctypes.c_int, ctypes.c_float
    library.DftiErrorMessage.argtypes = [ctypes.c_long]
    library.DftiErrorMessage.restype = ctypes.c_char_p

    def checked(status: int) -> None:
        if status:
            raise RuntimeError(f"oneMKL: {library.DftiErrorMessage(status).decode()}")

    shape = [whole] * 6
    matrix = [pointer, whole]
    functions: dict[str, tuple[Any, list[Any]]] = {
        "DftiCreateDescriptor_s_1d": (
            checked,
            [ctypes.POINTER(pointer), whole, ctypes.c_long],
        ),
        "DftiSetValue": (checked, [pointer, whole]),  # and a value, of whatever type it is
        "DftiCommitDescriptor": (checked, [pointer]),
        "DftiComputeForward": (checked, [pointer, pointer, pointer]),
        "DftiComputeBackward": (checked, [pointer, pointer]),
        "DftiFreeDescriptor": (checked, [ctypes.POINTER(pointer)]),
        "cblas_sgemm_compute": (None, [*shape, *matrix, *matrix, number, *matrix]),
        "cblas_gemm_bf16bf16f32": (None, [*shape, number, *matrix, *matrix, number, *matrix]),
        "MKL_Set_Num_Threads_Local": (whole, [whole]),
    }
    for name, (result, arguments) in functions.items():
        function = getattr(library, name)
        function.argtypes = arguments
        function.restype = result
    return library
