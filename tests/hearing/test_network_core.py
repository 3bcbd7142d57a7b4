"""The network laid out for a CPU core, against the one in torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from kernel_choices import LIBRARIES, needs_mkl
from networks import trained

from musictag.hearing.arrays import Real
from musictag.hearing.kernels import mkl
from musictag.hearing.kernels.choice import choose
from musictag.hearing.network import core
from musictag.hearing.network.core import FRAMES_AT_ONCE, CoreNetwork, folded
from musictag.hearing.network.recurrent import Tagger


def weights(model: Tagger) -> dict[str, Real]:
    return {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}


def laid_out(model: Tagger, products: str | None = None, *, bfloat16: bool = False) -> CoreNetwork:
    kernels = choose(products=products)
    return CoreNetwork(model.architecture, weights(model), kernels=kernels, bfloat16=bfloat16)


def features(n_segments: int, n_frames: int) -> Real:
    rng = np.random.default_rng(9)
    return rng.standard_normal((n_segments, 6, n_frames)).astype(np.float32)


@pytest.mark.parametrize("n_frames", [1, FRAMES_AT_ONCE, 2 * FRAMES_AT_ONCE + 3])
@pytest.mark.parametrize("n_segments", [1, 7])
@pytest.mark.parametrize("summary", ["mean", "last", "attention"])
@pytest.mark.parametrize(
    ("products", "bfloat16", "tolerance"),
    # float32: the order of sums; bfloat16: 8 bits of every operand
    [
        pytest.param("mkl", False, 1e-6, marks=needs_mkl),
        pytest.param("mkl", True, 1e-2, marks=needs_mkl),
        ("portable", False, 1e-6),
    ],
)
def test_it_gives_the_same_probabilities_and_summaries(
    n_frames: int, n_segments: int, summary: str, products: str, bfloat16: bool, tolerance: float
) -> None:
    model = trained(summary=summary, n_units=5, n_layers=3)
    x = features(n_segments, n_frames)
    with torch.no_grad():
        wanted = model(torch.from_numpy(x)).sigmoid().numpy()
        summaries = model.summary(torch.from_numpy(x)).numpy()
    found = laid_out(model, products, bfloat16=bfloat16)(x)
    assert found.probabilities.dtype == found.summaries.dtype == np.float32
    np.testing.assert_allclose(found.probabilities, wanted, atol=tolerance, rtol=0)
    np.testing.assert_allclose(found.summaries, summaries, atol=3 * tolerance, rtol=0)
    if bfloat16:
        exact = laid_out(model, products)(x)
        assert not np.array_equal(found.probabilities, exact.probabilities)


@pytest.mark.parametrize("products", LIBRARIES)
def test_a_segment_is_the_same_alone_and_in_a_batch(products: str) -> None:
    network, x = laid_out(trained(), products), features(5, 20)
    alone = np.concatenate([network(x[row : row + 1]).probabilities for row in range(5)])
    np.testing.assert_allclose(network(x).probabilities, alone, atol=1e-6)


@pytest.mark.parametrize("extreme", [-1e5, 1e5])
def test_whatever_is_heard_a_probability_is_from_0_to_1(extreme: float) -> None:
    model = trained()
    with torch.no_grad():
        model.output.bias.fill_(extreme)
    found = laid_out(model)(features(2, 3)).probabilities
    assert np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1


@pytest.mark.parametrize(
    ("flags", "bfloat16"),
    [("fpu amx_bf16 sse", True), ("fpu avx512_bf16 sse", False), ("", False)],
)
@needs_mkl
def test_a_core_that_multiplies_bfloat16_by_itself_is_let(
    monkeypatch: pytest.MonkeyPatch, flags: str, bfloat16: bool
) -> None:
    monkeypatch.setattr(mkl, "_cpu_info", lambda: f"flags\t\t: {flags}\n")
    model, kernels = trained(), choose(products="mkl")
    network = CoreNetwork(model.architecture, weights(model), kernels=kernels)
    assert network.bfloat16 is bfloat16
    portable = choose(products="portable")
    assert not CoreNetwork(model.architecture, weights(model), kernels=portable).bfloat16


def test_the_features_standardisation_is_folded_into_the_first_layer() -> None:
    """By hand: (w / std) x + (b - (w / std) mean) is w ((x - mean) / std) + b."""
    model = trained()
    n, arrays = model.architecture.n_units, weights(model)
    layer = folded(model.architecture, arrays, 0)
    x = features(1, 1)[0, :, 0]
    standardised = (x - arrays["mean"]) / arrays["std"]
    wanted = arrays["recurrent.weight_ih_l0"] @ standardised + arrays["recurrent.bias_ih_l0"]
    wanted[: 2 * n] += arrays["recurrent.bias_hh_l0"][: 2 * n]
    wanted[: 2 * n] /= 2  # σ(x) = (1 + tanh(x / 2)) / 2
    np.testing.assert_allclose(layer.w_input @ x + layer.b_input[:, 0], wanted, atol=1e-5)


@pytest.mark.parametrize("options", [{"cell": "lstm"}, {"bidirectional": True}])
def test_what_there_is_no_layout_for_is_refused(options: dict[str, object]) -> None:
    model = trained(**options)
    assert not core.can(model.architecture)
    with pytest.raises(ValueError, match="no layout"):
        laid_out(model)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("summary", ["mean", "last", "attention"])
def test_an_architecture_knows_its_weights(cell: str, bidirectional: bool, summary: str) -> None:
    model = trained(cell=cell, bidirectional=bidirectional, summary=summary)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert model.architecture.shapes == shapes
