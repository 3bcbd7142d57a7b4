"""Transforms and products by the library that torch brings along."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from waits import WAIT_S

from musictag.hearing.kernels import mkl

needs_mkl = pytest.mark.skipif(not mkl.is_there(), reason="without oneMKL")


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="builds without oneMKL"
)
def test_where_torch_has_it_aboard_it_is_there() -> None:
    """Or all the other tests would be skipped, and every scan would wait for torch."""
    assert mkl.is_there() or not torch.backends.mkl.is_available()


def numbers(*shape: int, seed: int = 0) -> mkl.Real:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@needs_mkl
@pytest.mark.parametrize(("n", "length"), [(1, 8), (3, 960), (2, 7 * 11 * 4), (1, 491_520)])
def test_transforms_are_those_of_numpy(n: int, length: int) -> None:
    planner = mkl.Planner()
    real = numbers(n, length)
    spectra = np.empty((n, length // 2 + 1), np.complex64)
    planner.spectrum(real, spectra)()
    wanted = np.fft.rfft(real.astype(float), norm="forward")
    np.testing.assert_allclose(spectra, wanted, atol=1e-6 * np.abs(wanted).max())

    bands = (numbers(n, length) + 1j * numbers(n, length, seed=1)).astype(np.complex64)
    wanted = np.fft.ifft(bands.astype(complex), norm="forward")
    planner.inverse(bands)()
    np.testing.assert_allclose(bands, wanted, atol=1e-5 * np.abs(wanted).max())


@needs_mkl
def test_a_transform_is_made_again_of_what_stands_in_its_place_and_touches_nothing_else() -> None:
    real = numbers(2, 96)
    room = np.full((2, 64), 7 + 7j, np.complex64)
    transform = mkl.Planner().spectrum(real, room[:, 8:57])
    for seed in (1, 2):
        real[:] = numbers(2, 96, seed=seed)
        transform()
        np.testing.assert_allclose(room[:, 8:57], np.fft.rfft(real, norm="forward"), atol=1e-6)
    assert (room[:, :8] == 7 + 7j).all() and (room[:, 57:] == 7 + 7j).all()


@needs_mkl
def test_transforms_of_one_shape_share_their_tables() -> None:
    planner = mkl.Planner()
    for seed in range(3):
        planner.inverse(numbers(2, 48, seed=seed).view(np.complex64))
    assert len(planner._descriptors) == 1


@needs_mkl
def test_what_cannot_be_transformed_is_refused_before_anything_is_written() -> None:
    planner = mkl.Planner()
    real = numbers(2, 96)
    with pytest.raises(ValueError, match="do not fit"):
        planner.spectrum(real, np.empty((2, 48), np.complex64))
    with pytest.raises(ValueError, match="side by side"):
        planner.spectrum(real[:, ::2], np.empty((2, 25), np.complex64))


@needs_mkl
@pytest.mark.parametrize(("n", "k", "m"), [(1, 1, 1), (5, 433, 7), (300, 64, 114)])
def test_products_are_those_of_numpy_also_of_parts_of_arrays(n: int, k: int, m: int) -> None:
    rows, weights = numbers(n, k + 3)[:, 1:-2], numbers(k, m + 2, seed=1)[:, :m]
    out = np.full((n, m + 1), 7, np.float32)
    mkl.multiply(rows, weights, out[:, :m])
    np.testing.assert_allclose(out[:, :m], rows @ weights, rtol=1e-4, atol=1e-4)
    assert (out[:, m] == 7).all()


@needs_mkl
def test_products_of_bfloat16_are_exact_but_for_their_operands() -> None:
    rows, weights = (numbers(n, 64, seed=n).view(np.uint32) & 0xFFFF0000 for n in (8, 9))
    out = np.empty((8, 9), np.float32)
    upper = [np.ascontiguousarray((x >> 16).astype(np.uint16)) for x in (rows, weights.T)]
    mkl.multiply_bfloat16(*upper, out)
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
        from musictag.hearing.scattering import torch as scattering
        from musictag.hearing.scattering import core as scattering_cpu
        samples = np.random.default_rng(0).standard_normal((1, 464000)).astype(np.float32)
        ours = scattering_cpu.CpuScattering()(samples[0])
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
        monkeypatch.setattr(mkl, "multiply", lambda rows, weights, out: out.fill(0))
    assert not mkl.is_there.__wrapped__()
