"""Checkpoints become ears: which executors are taken, what they hear, and what stays unloaded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sounds
import torch
from kernel_choices import KERNELS
from networks import trained
from waits import WAIT_S

from musictag.hearing import checkpoint, frontend
from musictag.hearing.arrays import Real
from musictag.hearing.ear_core import CoreEar
from musictag.hearing.ear_torch import OnCpu, TorchEar
from musictag.hearing.kernels.choice import choose
from musictag.hearing.network.architecture import Architecture
from musictag.hearing.network.core import CoreNetwork
from musictag.hearing.network.recurrent import Tagger


@pytest.fixture(scope="module")
def sound() -> Real:
    return (0.1 * np.random.default_rng(0).standard_normal((3, 464_000))).astype(np.float32)


@pytest.fixture(scope="module")
def wanted(sound: Real) -> tuple[Real, Real]:
    """What the shipped model hears in torch."""
    found = checkpoint.find()
    tagger = found.network()
    with torch.inference_mode():
        coefficients = frontend.in_torch(frontend.settings(found.front_end))(
            torch.from_numpy(sound)
        )
        summaries = tagger.summary(coefficients)
        return tagger(coefficients).sigmoid().numpy(), summaries.numpy()


@pytest.mark.parametrize("libraries", KERNELS)
def test_a_cpu_hears_what_torch_hears(
    sound: Real, wanted: tuple[Real, Real], libraries: tuple[str, str]
) -> None:
    """With the network in float32. Envelopes have other lengths with oneMKL, see `mkl_rates`."""
    transforms, products = libraries
    ear = checkpoint.find().load(kernels=choose(transforms=transforms, products=products))
    assert isinstance(ear, CoreEar) and isinstance(ear.network, CoreNetwork)
    heard = ear.hear(sound)
    atol = 5e-3 if transforms == "mkl" or ear.network.bfloat16 else 1e-5
    np.testing.assert_allclose(heard.probabilities, wanted[0], atol=atol)
    np.testing.assert_allclose(heard.summaries, wanted[1], atol=10 * atol)


@pytest.mark.parametrize("has_mkl", [True, False])
def test_a_model_is_loaded_and_heard_with_without_torch(has_mkl: bool) -> None:
    script = f"""if True:
        import sys
        import numpy as np
        from musictag.hearing import checkpoint
        from musictag.hearing.devices import find_device
        from musictag.hearing.kernels import mkl
        mkl.is_there = lambda there=mkl.is_there: {has_mkl} and there()
        loaded = checkpoint.find().load(find_device("cpu"), n_cores=2)
        heard = loaded.hear(np.zeros((1, 464_000), np.float32))
        assert heard.probabilities.shape == (1, 140) and heard.summaries.shape == (1, 512)
        assert "torch" not in sys.modules
        assert ("scipy" in sys.modules) != mkl.is_there()
    """
    subprocess.run([sys.executable, "-c", script], check=True, timeout=WAIT_S)


@pytest.mark.parametrize("has_mkl", [True, False])
def test_a_whole_scan_needs_no_torch(tmp_path: Path, has_mkl: bool) -> None:
    song = sounds.make(tmp_path, "wav", seconds=31)
    script = f"""if True:
        import sys
        from musictag.hearing.kernels import mkl
        mkl.is_there = lambda there=mkl.is_there: {has_mkl} and there()
        from musictag.cli.program import app
        try:
            app(["scan", "--device", "cpu", "--no-cache", {str(song)!a}], standalone_mode=False)
        finally:
            assert "torch" not in sys.modules
    """
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, timeout=WAIT_S
    )
    assert b"1 track" in done.stderr


@pytest.mark.parametrize("options", [{"cell": "lstm"}, {"bidirectional": True}])
def test_only_the_network_of_what_has_no_layout_is_left_to_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object]
) -> None:
    found = checkpoint.find()
    described = {**found.architecture, **options}
    monkeypatch.setattr(checkpoint.Checkpoint, "network", lambda _: Tagger(Architecture()))
    other = replace(found, directory=tmp_path, architecture=described)
    ear = other.load()
    assert isinstance(ear, CoreEar) and isinstance(ear.network, OnCpu)


@pytest.mark.parametrize("options", [{"cell": "lstm"}, {"bidirectional": True}])
def test_a_network_in_torch_hears_on_a_cpus_ear(options: dict[str, object]) -> None:
    model = trained(**options)
    coefficients = np.random.default_rng(1).standard_normal((70, 6, 9)).astype(np.float32)
    rows: Iterator[Real] = iter(coefficients)
    one_core = CoreEar(lambda _: next(rows), OnCpu(model), n_cores=1, shared=False)
    heard = one_core.hear(np.zeros((70, 4), np.float32))
    with torch.inference_mode():
        summaries = model.summary(torch.from_numpy(coefficients))
        probabilities = model(torch.from_numpy(coefficients)).sigmoid()
    np.testing.assert_allclose(heard.summaries, summaries, atol=1e-6)
    np.testing.assert_allclose(heard.probabilities, probabilities, atol=1e-6)


def test_a_front_end_without_an_executor_for_cores_is_left_to_torch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    only_torch = replace(frontend.KINDS["scattering"], core=None)
    monkeypatch.setattr(frontend, "KINDS", {"scattering": only_torch})
    assert isinstance(checkpoint.find().load("cpu"), TorchEar)


def test_memory_that_torch_lacks_is_memory_that_is_lacking() -> None:
    class Large(Tagger):
        def summary(self, features: Any) -> Any:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to …")

    with pytest.raises(MemoryError, match="DefaultCPUAllocator"):
        OnCpu(Large(Architecture(n_coefficients=6, n_units=4)))(np.zeros((1, 6, 2), np.float32))
