"""What the models that come with musictag must never say, and how many parameters they have."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from kernel_choices import needs_mkl

from musictag import decision
from musictag.audio.samples import SEGMENT_LENGTH
from musictag.hearing import checkpoint
from musictag.hearing.checkpoint import Checkpoint
from musictag.hearing.ear import Ear
from musictag.hearing.kernels.choice import choose
from musictag.hearing.network.core import CoreNetwork
from musictag.vocabulary import FIELDS

SHIPPED = ("listener-5l-512h-gru", "scat-5l-512h-gru")


@pytest.fixture(scope="module", params=SHIPPED)
def shipped(request: pytest.FixtureRequest) -> Checkpoint:
    return checkpoint.find(request.param)


@pytest.fixture(scope="module")
def ear(shipped: Checkpoint) -> Ear:
    return shipped.load()


def chosen(shipped: Checkpoint, ear: Ear, samples: torch.Tensor) -> set[str]:
    """All values of all fields that a track of this segment would get."""
    row = ear.hear(samples[None].numpy()).probabilities[0].tolist()
    probabilities = dict(zip(shipped.tags, row, strict=True))
    limits = dict.fromkeys(FIELDS, len(shipped.tags))
    fields = decision.choose(probabilities, shipped.vocabulary, limits=limits)
    return {value for values in fields.values() for value in values}


@pytest.mark.parametrize(
    ("name", "n_tags", "n_parameters"),
    [("listener-5l-512h-gru", 140, 7_822_476), ("scat-5l-512h-gru", 50, 7_776_306)],
)
def test_a_network_is_the_papers_with_one_output_per_tag(
    name: str, n_tags: int, n_parameters: int
) -> None:
    """The paper counts one bias per gate, 7,776,306 parameters; PyTorch has two biases."""
    sizes = checkpoint.find(name).sizes()
    n_held = sum(parameter.numel() for parameter in checkpoint.find(name).network().parameters())
    assert (sizes.n_layers, sizes.n_units, sizes.n_tags) == (5, 512, n_tags)
    assert n_held - sizes.n_layers * 3 * sizes.n_units == n_parameters


@pytest.mark.parametrize("level_db", [-70, -45, -20])
@pytest.mark.parametrize("colour", [0.0, 0.5, 1.0], ids=["white", "pink", "brown"])
def test_noise_gets_no_tags(shipped: Checkpoint, ear: Ear, colour: float, level_db: float) -> None:
    generator = torch.Generator().manual_seed(7)
    spectrum = torch.fft.rfft(torch.randn(SEGMENT_LENGTH, generator=generator))
    frequency = torch.linspace(0, 8000, len(spectrum)).clamp(min=20)
    noise = torch.fft.irfft(spectrum * frequency**-colour, n=SEGMENT_LENGTH)
    noise = noise / noise.square().mean().sqrt() * 10 ** (level_db / 20)
    assert chosen(shipped, ear, noise) == set()


@pytest.mark.parametrize(
    ("products", "bfloat16", "tolerance"),
    # float32: the order of sums; bfloat16: what `network.core` says about it
    [
        pytest.param("mkl", False, 1e-6, marks=needs_mkl),
        pytest.param("mkl", True, 1e-3, marks=needs_mkl),
        ("portable", False, 1e-6),
    ],
)
def test_laid_out_for_one_core_it_hears_the_same(
    shipped: Checkpoint, products: str, bfloat16: bool, tolerance: float
) -> None:
    network = shipped.network()
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(3, 433, 40, generator=generator) * network.std[:, None]
    features += network.mean[:, None]
    with torch.inference_mode():
        wanted = network(features).sigmoid()
    kernels = choose(products=products)
    core = CoreNetwork(shipped.sizes(), shipped.arrays(), kernels=kernels, bfloat16=bfloat16)
    heard = core(features.numpy()).probabilities
    np.testing.assert_allclose(heard, wanted, atol=tolerance, rtol=0)


def test_silence_gets_no_tags(shipped: Checkpoint, ear: Ear) -> None:
    assert chosen(shipped, ear, torch.zeros(SEGMENT_LENGTH)) == set()
