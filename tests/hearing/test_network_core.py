"""The network laid out for a CPU core, against the one in torch."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import trained

from musictag.hearing.kernels import mkl
from musictag.hearing.network import core as network_cpu
from musictag.hearing.network.core import FRAMES_AT_ONCE, Network, Real
from musictag.hearing.network.recurrent import Tagger

pytestmark = pytest.mark.skipif(not mkl.is_there(), reason="without oneMKL")


def laid_out(model: Tagger, *, bfloat16: bool = False) -> Network:
    weights = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    return Network(model.architecture, weights, bfloat16=bfloat16)


def features(n_segments: int, n_frames: int) -> Real:
    rng = np.random.default_rng(9)
    return rng.standard_normal((n_segments, 6, n_frames)).astype(np.float32)


@pytest.mark.parametrize("n_frames", [1, FRAMES_AT_ONCE, 2 * FRAMES_AT_ONCE + 3])
@pytest.mark.parametrize("n_segments", [1, 7])
@pytest.mark.parametrize("summary", ["mean", "last", "attention"])
@pytest.mark.parametrize(
    ("bfloat16", "tolerance"),
    # float32: the order of sums; bfloat16: 8 bits of every operand
    [(False, 1e-6), (True, 1e-2)],
)
def test_it_gives_the_same_probabilities(
    n_frames: int, n_segments: int, summary: str, bfloat16: bool, tolerance: float
) -> None:
    model = trained(summary=summary, n_units=5, n_layers=3)
    x = features(n_segments, n_frames)
    with torch.no_grad():
        wanted = model(torch.from_numpy(x)).sigmoid().numpy()
    found = laid_out(model, bfloat16=bfloat16)(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=tolerance, rtol=0)
    if bfloat16:
        assert not np.array_equal(found, laid_out(model)(x))


def test_a_segment_is_the_same_alone_and_in_a_batch() -> None:
    network, x = laid_out(trained()), features(5, 20)
    alone = np.concatenate([network(x[row : row + 1]) for row in range(5)])
    np.testing.assert_allclose(network(x), alone, atol=1e-6)


@pytest.mark.parametrize("extreme", [-1e5, 1e5])
def test_whatever_is_heard_a_probability_is_from_0_to_1(extreme: float) -> None:
    model = trained()
    with torch.no_grad():
        model.output.bias.fill_(extreme)
    found = laid_out(model)(features(2, 3))
    assert np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1


@pytest.mark.parametrize(
    ("flags", "bfloat16"),
    [("fpu amx_bf16 sse", True), ("fpu avx512_bf16 sse", False), (None, False)],
)
def test_a_core_that_multiplies_bfloat16_by_itself_is_let(
    monkeypatch: pytest.MonkeyPatch, flags: str | None, bfloat16: bool
) -> None:
    def read(_: Path, **__: object) -> str:
        if flags is None:
            raise FileNotFoundError
        return f"flags\t\t: {flags}\n"

    monkeypatch.setattr(Path, "read_text", read)
    model = trained()
    weights = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    assert Network(model.architecture, weights).bfloat16 is bfloat16


@pytest.mark.parametrize("options", [{"cell": "lstm"}, {"bidirectional": True}])
def test_what_there_is_no_layout_for_is_refused(options: dict[str, object]) -> None:
    model = trained(**options)
    assert not network_cpu.can(model.architecture)
    with pytest.raises(ValueError, match="no layout"):
        laid_out(model)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("summary", ["mean", "last", "attention"])
def test_an_architecture_knows_its_weights(cell: str, bidirectional: bool, summary: str) -> None:
    model = trained(cell=cell, bidirectional=bidirectional, summary=summary)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert model.architecture.shapes == shapes


def test_this_file_is_about_a_machine_that_has_it() -> None:
    assert sys.platform == "linux"
