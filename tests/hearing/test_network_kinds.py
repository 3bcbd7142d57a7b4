"""Networks besides the GRU: their sizes, one step of theirs, and their checkpoints."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from musictag.hearing import checkpoint
from musictag.hearing.network.architecture import (
    AnyArchitecture,
    Architecture,
    Convolutional,
    architecture,
)
from musictag.hearing.network.bn_lstm import EPSILON, BatchNormLstm
from musictag.hearing.network.torch import make
from musictag.hearing.spectra.mel import Mel
from musictag.vocabulary import magnatagatune

TAGS = ("rock", "slow", "no vocals")
SMALL: dict[str, AnyArchitecture] = {
    "lstm": Architecture(96, 8, 2, len(TAGS), cell="lstm", summary="max"),
    "bn-lstm": Architecture(96, 8, 2, len(TAGS), cell="bn-lstm", summary="last", n_steps=20),
    "along frequency": Architecture(96, 8, 2, len(TAGS), sequence="frequency", n_frames=100),
    "two directions": Architecture(96, 8, 1, len(TAGS), bidirectional=True, summary="attention"),
    "2-D convolutions": Convolutional(
        96, len(TAGS), channels=(4, 6), pools=((4, 4), (8, 8)), summary="mean"
    ),
    "1-D convolutions": Convolutional(
        96, len(TAGS), n_dimensions=1, channels=(6, 8), pools=((1, 4), (1, 8))
    ),
    "CRNN": Convolutional(
        96,
        len(TAGS),
        channels=(4, 6),
        pools=((4, 4), (8, 8)),
        n_layers=1,
        n_units=5,
        summary="last",
    ),
}


@pytest.mark.parametrize(
    ("name", "sizes", "n_parameters"),
    [
        ("Scat-4L-256H-GRU", Architecture(n_units=256, n_layers=4), 1_724_722),
        ("Scat-4L-512H-GRU", Architecture(n_layers=4), 6_201_906),
        ("Scat-5L-512H-GRU", Architecture(), 7_776_306),
        ("Scat-6L-512H-GRU", Architecture(n_layers=6), 9_350_706),
        ("Scat-4L-256H-LSTM", Architecture(n_units=256, n_layers=4, cell="lstm"), 2_295_346),
        ("Scat-4L-512H-LSTM", Architecture(n_layers=4, cell="lstm"), 8_260_658),
        ("Scat-4L-256H-BN-LSTM", Architecture(n_units=256, n_layers=4, cell="bn-lstm"), 2_295_346),
        ("Scat-4L-512H-BN-LSTM", Architecture(n_layers=4, cell="bn-lstm"), 8_260_658),
        ("Scat-4L-CNN", Convolutional(), 17_365_938),
    ],
)
def test_the_papers_networks_have_as_many_parameters_as_its_table_says(
    name: str, sizes: AnyArchitecture, n_parameters: int
) -> None:
    """Table 2 prints thousands: 1724, 6202, 7776, 9350, 2295, 8260 and 17365."""
    with torch.device("meta"):
        assert make(sizes).n_parameters(paper=True) == n_parameters, name


@pytest.mark.parametrize("name", SMALL)
def test_every_kind_of_network_is_kept_and_hears_the_same_again(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = make(SMALL[name])
    network.initialise()
    network.train()
    for _ in range(3):  # statistics of a few batches
        network(torch.randn(4, 96, 100))
    network.eval()
    made = checkpoint.save(
        tmp_path,
        network,
        front_end=Mel(),
        tags=TAGS,
        vocabulary=magnatagatune().of(TAGS),
        name="tiny",
        training={},
    )
    features = torch.randn(2, 96, 100)
    with torch.inference_mode():
        wanted = network(features)
        again = made.network().eval()
        assert again.architecture == SMALL[name]
        torch.testing.assert_close(again(features), wanted, rtol=0, atol=1e-6)
        again.fold()
        torch.testing.assert_close(again(features), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_every_kind_of_network_learns(name: str) -> None:
    torch.manual_seed(0)
    network = make(SMALL[name])
    network.initialise()
    network.train()
    loss = network(torch.randn(4, 96, 100)).square().mean()
    loss.backward()
    for layer, parameters in enumerate(network.layers()):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in parameters), layer


def test_a_step_of_a_bn_lstm_is_that_of_the_paper() -> None:
    """Two steps of one unit by hand, after equations 6 to 8 of Cooijmans et al. (2016)."""
    torch.manual_seed(0)
    layer = BatchNormLstm(1, 1, 1, dropout=0.0, n_steps=2)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-1.0, 1.0)
    weight = {name.removesuffix("_l0"): p.detach() for name, p in layer.named_parameters()}
    x = torch.randn(2, 3, 1)

    def normalised(values: torch.Tensor) -> torch.Tensor:
        mean = values.sum(dim=0) / 3
        variance = ((values - mean) ** 2).sum(dim=0) / 3
        return (values - mean) / (variance + EPSILON) ** 0.5

    h = c = torch.zeros(3, 1)
    for t in range(2):
        of_state, of_input = h * weight["weight_hh"].T, x[t] * weight["weight_ih"].T  # (3, 4)
        gates = (
            weight["scale_hh"] * normalised(of_state)
            + weight["scale_ih"] * normalised(of_input)
            + weight["bias_ih"]
        )
        i, f, g, o = (gates[:, k : k + 1] for k in range(4))
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        cell = weight["scale_c"] * normalised(c) + weight["shift_c"]
        h = o.sigmoid() * cell.tanh()
    layer.train()
    states, _ = layer(x)
    torch.testing.assert_close(states[-1], h)


def test_a_bn_lstm_that_has_seen_one_batch_often_hears_it_as_it_learned_it() -> None:
    torch.manual_seed(0)
    layer = BatchNormLstm(5, 4, 2, dropout=0.0, n_steps=6)
    x = torch.randn(6, 16, 5)
    layer.train()
    for _ in range(300):
        states, _ = layer(x)
    layer.eval()
    torch.testing.assert_close(layer(x)[0], states, rtol=0, atol=1e-4)


def test_steps_that_a_bn_lstm_never_learned_have_the_statistics_of_the_last_that_it_did() -> None:
    torch.manual_seed(0)
    layer = BatchNormLstm(5, 4, 1, dropout=0.0, n_steps=10)
    layer.train()
    layer(torch.randn(6, 16, 5))  # as with --crop
    for name in ("mean_ih_l0", "mean_hh_l0", "variance_c_l0"):
        kept = layer.get_buffer(name)
        assert not torch.equal(kept[4], kept[5])
        for step in range(6, 10):
            assert torch.equal(kept[step], kept[5])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "transformer"}, "no network 'transformer'"),
        ({"cell": "rnn"}, "cell is 'rnn'"),
        ({"cell": "bn-lstm", "bidirectional": True}, "one direction"),
        ({"kind": "convolutional", "kernel": 4}, "must be odd"),
        ({"kind": "convolutional", "channels": [8]}, "1 channels and 4 pools"),
        ({"n_units": 8, "colour": "red"}, "unknown setting colour"),
    ],
)
def test_a_network_that_makes_no_sense_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        architecture(wrong)


def test_a_network_without_a_kind_is_recurrent() -> None:
    old = asdict(Architecture(n_units=8))
    del old["kind"]
    assert architecture(old) == Architecture(n_units=8)
