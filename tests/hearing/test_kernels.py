"""Transforms and products: oneMKL's, which torch includes, and those of SciPy and NumPy."""

from __future__ import annotations

import platform
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from kernel_choices import LIBRARIES, needs_mkl
from waits import WAIT_S

from musictag.hearing.arrays import Real
from musictag.hearing.kernels import choice, mkl, portable

MODULES = {"mkl": mkl, "portable": portable}


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> ModuleType:
    return MODULES[request.param]


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="builds without oneMKL"
)
def test_where_torch_has_it_aboard_it_is_there() -> None:
    """Or all the other tests would be skipped, and every scan would wait for torch."""
    assert mkl.is_there() or not torch.backends.mkl.is_available()


def numbers(*shape: int, seed: int = 0) -> Real:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(("n", "length"), [(1, 8), (3, 960), (2, 7 * 11 * 4), (1, 491_520)])
def test_transforms_are_those_of_numpy(library: ModuleType, n: int, length: int) -> None:
    planner = library.Transforms()
    real = numbers(n, length)
    spectra = np.empty((n, length // 2 + 1), np.complex64)
    planner.spectrum(real, spectra)()
    wanted = np.fft.rfft(real.astype(float), norm="forward")
    np.testing.assert_allclose(spectra, wanted, atol=1e-6 * np.abs(wanted).max())

    bands = (numbers(n, length) + 1j * numbers(n, length, seed=1)).astype(np.complex64)
    wanted = np.fft.ifft(bands.astype(complex), norm="forward")
    planner.inverse(bands)()
    np.testing.assert_allclose(bands, wanted, atol=1e-5 * np.abs(wanted).max())


def test_a_transform_is_made_again_of_what_stands_in_its_place_and_touches_nothing_else(
    library: ModuleType,
) -> None:
    real = numbers(2, 96)
    room = np.full((2, 64), 7 + 7j, np.complex64)
    transform = library.Transforms().spectrum(real, room[:, 8:57])
    for seed in (1, 2):
        real[:] = numbers(2, 96, seed=seed)
        transform()
        np.testing.assert_allclose(room[:, 8:57], np.fft.rfft(real, norm="forward"), atol=1e-6)
    assert (room[:, :8] == 7 + 7j).all() and (room[:, 57:] == 7 + 7j).all()


@needs_mkl
def test_transforms_of_one_shape_share_their_tables() -> None:
    planner = mkl.Transforms()
    for seed in range(3):
        planner.inverse(numbers(2, 48, seed=seed).view(np.complex64))
    assert len(planner._descriptors) == 1


def test_spectra_that_do_not_fit_are_refused_before_anything_is_written(
    library: ModuleType,
) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        library.Transforms().spectrum(numbers(2, 96), np.empty((2, 48), np.complex64))


@needs_mkl
def test_rows_that_onemkl_cannot_transform_are_refused() -> None:
    planner = mkl.Transforms()
    real = numbers(2, 96)
    with pytest.raises(ValueError, match="side by side"):
        planner.spectrum(real[:, ::2], np.empty((2, 25), np.complex64))


@pytest.mark.parametrize(("n", "k", "m"), [(1, 1, 1), (5, 433, 7), (300, 64, 114)])
def test_products_are_those_of_numpy_also_of_parts_of_arrays(
    library: ModuleType, n: int, k: int, m: int
) -> None:
    rows, weights = numbers(n, k + 3)[:, 1:-2], numbers(k, m + 2, seed=1)[:, :m]
    out = np.full((n, m + 1), 7, np.float32)
    products = library.Products()
    products.multiply(rows, weights, out[:, :m])
    np.testing.assert_allclose(out[:, :m], rows @ weights, rtol=1e-4, atol=1e-4)
    again = products.product(rows, weights, out[:, :m])
    rows *= 2
    again()
    np.testing.assert_allclose(out[:, :m], rows @ weights, rtol=1e-4, atol=1e-4)
    assert (out[:, m] == 7).all()


@needs_mkl
def test_products_of_bfloat16_are_exact_but_for_their_operands() -> None:
    rows, weights = (numbers(n, 64, seed=n).view(np.uint32) & 0xFFFF0000 for n in (8, 9))
    out = np.empty((8, 9), np.float32)
    upper = [np.ascontiguousarray((x >> 16).astype(np.uint16)) for x in (rows, weights.T)]
    mkl.Products().multiply_bfloat16(*upper, out)
    wanted = rows.view(np.float32) @ weights.view(np.float32).T
    np.testing.assert_allclose(out, wanted, rtol=1e-4, atol=1e-4)


@needs_mkl
def test_it_does_not_need_torch_and_does_not_mind_it_either() -> None:
    script = """if True:
        import sys
        import numpy as np
        from musictag.hearing.kernels import mkl
        assert mkl.is_there() and "torch" not in sys.modules
        import torch
        from musictag.hearing.scattering import core
        from musictag.hearing.scattering import torch as scattering
        samples = np.random.default_rng(0).standard_normal((1, 464000)).astype(np.float32)
        ours = core.CoreScattering()(samples[0])
        torchs = scattering.Scattering()(torch.from_numpy(samples))[0].numpy()
        assert np.linalg.norm(ours - torchs) < 1e-2 * np.linalg.norm(torchs)
    """
    subprocess.run([sys.executable, "-c", script], check=True, timeout=WAIT_S)


@pytest.mark.parametrize("trouble", ["another system", "no torch", "no function", "wrong numbers"])
def test_where_it_is_not_to_be_had_or_errs_that_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trouble: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no such library")

    def forget(*_: object) -> None:
        raise AttributeError("undefined symbol: DftiCommitDescriptor")

    if trouble == "another system":
        monkeypatch.setattr(mkl.platform, "machine", lambda: "aarch64")
    elif trouble == "no torch":
        monkeypatch.setattr(mkl, "_library", fail)
    elif trouble == "no function":
        monkeypatch.setattr(mkl, "_library", forget)
    else:
        monkeypatch.setattr(mkl.Products, "multiply", lambda _, left, right, out: out.fill(0))
    assert not mkl.is_there.__wrapped__()


def test_numpy_multiplies_no_bfloat16() -> None:
    assert not portable.Products.bfloat16
    with pytest.raises(NotImplementedError):
        portable.Products().multiply_bfloat16(*(np.zeros((2, 2), np.uint16),) * 2, numbers(2, 2))


def test_a_scipy_that_overwrites_nothing_transforms_in_place_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert isinstance(portable._works_in_place(), bool)
    monkeypatch.setattr(portable, "_works_in_place", lambda: False)
    rows = (numbers(2, 24) + 1j * numbers(2, 24, seed=1)).astype(np.complex64)
    wanted = np.fft.ifft(rows, norm="forward")
    portable.Transforms().inverse(rows)()
    np.testing.assert_allclose(rows, wanted, atol=1e-5)


# ---------------------------------------------------------------- threads belong to the host


needs_openblas = pytest.mark.skipif(
    not portable.can_limit_threads(), reason="NumPy multiplies without OpenBLAS"
)


@needs_openblas
def test_openblas_starts_no_threads_while_anybody_hears_and_has_its_own_number_again_after() -> (
    None
):
    openblas = portable._openblas()
    assert openblas is not None
    outside = openblas.n_threads()
    inside, may_leave = threading.Event(), threading.Event()

    def stay() -> None:
        with portable.Products().on_one_core():
            inside.set()
            may_leave.wait(10)

    openblas.set_n_threads(2)
    try:
        other = threading.Thread(target=stay)
        other.start()
        assert inside.wait(10)
        with pytest.raises(KeyError), portable.Products().on_one_core():
            assert openblas.n_threads() == 1
            raise KeyError
        assert openblas.n_threads() == 1, "the other one is still inside"
        may_leave.set()
        other.join(10)
        assert openblas.n_threads() == 2
    finally:
        openblas.set_n_threads(outside)


def test_where_numpy_has_no_openblas_its_threads_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(portable, "_openblas", lambda: None)
    with portable.Products().on_one_core():
        assert not portable.can_limit_threads()


@needs_mkl
def test_onemkl_is_told_in_the_calling_thread_alone_and_what_it_was_told_before_holds_after() -> (
    None
):
    set_local = mkl._library().MKL_Set_Num_Threads_Local
    before = set_local(3)
    try:
        with mkl.Products().on_one_core():
            others: list[int] = []
            other = threading.Thread(target=lambda: others.append(set_local(0)))
            other.start()
            other.join(10)
            assert others == [0], "no setting of its own"
            assert set_local(1) == 1
        assert set_local(before) == 3
    finally:
        set_local(before)


# ---------------------------------------------------------------- which library


SLOW, QUICK = 2e-3, 1e-3


@pytest.mark.parametrize(
    ("has_mkl", "info", "limited", "seconds", "wanted"),
    [
        (True, "", True, {"mkl": QUICK, "portable": SLOW}, (mkl, mkl)),
        (True, "", True, {"mkl": SLOW, "portable": QUICK}, (mkl, portable)),
        (True, " amx_bf16 ", True, {}, (mkl, mkl)),
        (True, "", False, {}, (mkl, mkl)),
        (False, "", True, {}, (portable, portable)),
        (False, "", False, {}, (portable, portable)),
    ],
)
def test_the_quicker_library_multiplies_and_nothing_is_measured_without_need(
    monkeypatch: pytest.MonkeyPatch,
    has_mkl: bool,
    info: str,
    limited: bool,
    seconds: dict[str, float],
    wanted: tuple[ModuleType, ModuleType],
) -> None:
    def measured(products: choice.Products) -> float:
        return seconds["mkl" if isinstance(products, mkl.Products) else "portable"]

    monkeypatch.setattr(choice, "quicker", choice.quicker.__wrapped__)
    monkeypatch.setattr(choice, "seconds", measured)
    monkeypatch.setattr(mkl, "is_there", lambda: has_mkl)
    monkeypatch.setattr(mkl, "_cpu_info", lambda: info)
    monkeypatch.setattr(portable, "can_limit_threads", lambda: limited)
    kernels = choice.choose()
    assert isinstance(kernels.transforms, wanted[0].Transforms)
    assert isinstance(kernels.products, wanted[1].Products)


def test_the_least_time_of_each_number_of_columns_counts() -> None:
    """The first product is not timed, and a run that something disturbed does not matter."""
    times = iter([0.0, 5.0, 10.0, 11.0, 20.0, 29.0, 30.0, 32.0, 40.0, 48.0, 50.0, 53.0])
    widths: list[int] = []

    class Counted(portable.Products):
        def multiply(self, left: Real, right: Real, out: Real) -> None:
            widths.append(right.shape[1])

    assert choice.seconds(Counted(), clock=lambda: next(times)) == 1.0 + 2.0
    assert widths == [9] * 4 + [64] * 4


def test_a_library_can_be_asked_for_and_one_that_is_missing_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernels = choice.choose(transforms="portable", products="portable")
    assert isinstance(kernels.transforms, portable.Transforms)
    assert isinstance(kernels.products, portable.Products)
    with pytest.raises(ValueError, match="no library 'blas'"):
        choice.choose(products="blas")
    monkeypatch.setattr(mkl, "is_there", lambda: False)
    with pytest.raises(RuntimeError, match="not installed"):
        choice.choose(transforms="mkl")
