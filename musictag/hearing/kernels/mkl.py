"""Fourier transforms and matrix products by oneMKL, without torch.

torch's builds for Linux on x86-64 include oneMKL. Its functions are called here as its reference
describes them for C, because importing torch takes longer than hearing a track. A transform is
planned once for its place in memory; torch plans at each call, and the tables of sines and cosines
often take longer to make than the transform.

`is_there` says whether these functions can be used.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.util
import platform
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musictag import process
from musictag.errors import OutOfMemoryError
from musictag.hearing.arrays import Bfloat16, Call, Complex, Real
from musictag.hearing.kernels.rates import mkl_rates

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
    """Whether this machine has these functions and they compute what they should."""
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
    transforms = Transforms()
    transforms.spectrum(real, spectrum)()
    transforms.inverse(wave)()
    Products().multiply(real, np.ones((24, 3), np.float32), product)
    pairs = zip((spectrum, wave, product[:, 0]), (*expected, real.sum(axis=1)), strict=True)
    return all(np.allclose(found, wanted, atol=1e-5) for found, wanted in pairs)


@functools.cache
def _cpu_info() -> str:
    """What Linux says about the CPU; empty where it says nothing."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


# ---------------------------------------------------------------- transforms


class Transforms:
    """oneMKL's transforms, for any number of threads. Those of equal shape share their tables."""

    points = 2**17
    """Complex points of one batched transform, at most, unless a single row is longer. They take a
    megabyte, so that they stay in a core's own cache while decoders use the shared one."""

    quick_rates = staticmethod(mkl_rates)

    def __init__(self) -> None:
        self._descriptors: dict[tuple[object, ...], _Descriptor] = {}
        self._lock = threading.Lock()

    def inverse(self, rows: Complex) -> Call:
        """Each row's inverse transform, unscaled, in place: (n, L)."""
        n, length = rows.shape
        distance = _distance(rows)
        descriptor = self._descriptor(_COMPLEX, length, n, distance, distance, 1.0)
        return functools.partial(_library().DftiComputeBackward, descriptor, rows.ctypes.data)

    def spectrum(self, rows: Real, out: Complex) -> Call:
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
    """A planned transform with its tables, which functions of the library take as an argument.

    Several threads may use it at once (oneMKL's reference, "Parallel Mode with a Common
    Descriptor").
    """

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
    """Distance between rows, in numbers. ValueError unless those of a row lie side by side."""
    if (rows.strides[1] != rows.itemsize and rows.shape[1] > 1) or rows.strides[0] % rows.itemsize:
        raise ValueError("the numbers of a row must lie side by side")
    return rows.strides[0] // rows.itemsize


# ---------------------------------------------------------------- products


def multiplies_bfloat16() -> bool:
    """Whether the cores have instructions that multiply matrices of bfloat16 (AMX)."""
    return " amx_bf16 " in _cpu_info()


class Products:
    """oneMKL's products."""

    @property
    def bfloat16(self) -> bool:
        """Whether `multiply_bfloat16` is the quicker one here."""
        return multiplies_bfloat16()

    def product(self, left: Real, right: Real, out: Real) -> Call:
        """(n, k) times (k, m) -> (n, m), each time it is called."""
        multiply = _library().cblas_sgemm_compute
        return functools.partial(multiply, *_shapes(left, right), 0.0, *_matrix(out))

    def multiply(self, left: Real, right: Real, out: Real) -> None:
        """(n, k) times (k, m) -> (n, m), once."""
        _library().cblas_sgemm_compute(*_shapes(left, right), 0.0, *_matrix(out))

    def multiply_bfloat16(self, left: Bfloat16, right: Bfloat16, out: Real) -> None:
        """Like `multiply`, with sums in float32."""
        (n, k), m = left.shape, right.shape[1]
        _library().cblas_gemm_bf16bf16f32(
            *(_ROW_MAJOR, _AS_IT_IS, _AS_IT_IS, n, m, k, 1.0),
            *(*_matrix(left), *_matrix(right), 0.0, *_matrix(out)),
        )

    @contextlib.contextmanager
    def on_one_core(self) -> Iterator[None]:
        """Within the block oneMKL starts no threads for the calling thread; others keep theirs."""
        set_n_threads = _library().MKL_Set_Num_Threads_Local
        before = set_n_threads(1)
        try:
            yield
        finally:
            set_n_threads(before)


def _shapes(left: Real, right: Real) -> tuple[int, ...]:
    (n, k), m = left.shape, right.shape[1]
    order = _ROW_MAJOR, _AS_IT_IS, _AS_IT_IS
    return *order, n, m, k, *_matrix(left), *_matrix(right)


def _matrix(numbers: NDArray[Any]) -> tuple[int, int]:
    return numbers.ctypes.data, _distance(numbers)


# ---------------------------------------------------------------- the library


@functools.cache
def _library() -> ctypes.CDLL:
    """The library that torch includes. OSError or AttributeError where there is none."""
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
        "DftiSetValue": (checked, [pointer, whole]),  # and a value of the setting's type
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
