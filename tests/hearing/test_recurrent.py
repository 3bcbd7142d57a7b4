"""The network: the paper's sizes, and what each option changes."""

from __future__ import annotations

import pytest
import torch
from networks import SIZES
from torch import nn

from musictag.hearing.network.architecture import Architecture
from musictag.hearing.network.recurrent import Tagger
from musictag.hearing.network.torch import flush_subnormals


def small(**options: object) -> Tagger:
    torch.manual_seed(7)
    model = Tagger(Architecture(**(SIZES | options)))  # type: ignore[arg-type]
    model.initialise()
    return model.eval()


@pytest.mark.parametrize(
    ("cell", "n_layers", "n_units", "thousands"),
    [  # the paper's Table 2, in thousands: some rounded, some cut off
        ("lstm", 4, 256, 2295),
        ("lstm", 4, 512, 8260),
        ("gru", 4, 256, 1724),
        ("gru", 4, 512, 6202),
        ("gru", 5, 512, 7776),
        ("gru", 6, 512, 9350),
    ],
)
def test_every_network_of_the_paper_has_the_papers_number_of_parameters(
    cell: str, n_layers: int, n_units: int, thousands: int
) -> None:
    with torch.device("meta"):
        model = Tagger(Architecture(cell=cell, n_layers=n_layers, n_units=n_units))
    assert model.n_parameters(paper=True) / 1000 == pytest.approx(thousands, abs=1)


def test_the_default_network_is_the_papers_and_counts_both_ways() -> None:
    with torch.device("meta"):
        model = Tagger()
    assert model.n_parameters(paper=True) == 7_776_306
    assert model.n_parameters() == 7_776_306 + 5 * 3 * 512  # torch's second bias per gate


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("summary", ["mean", "last", "attention"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_every_variant_gives_one_logit_per_segment_and_tag(
    cell: str, summary: str, bidirectional: bool
) -> None:
    model = small(cell=cell, summary=summary, bidirectional=bidirectional)
    features = torch.randn(5, 6, 9)
    assert model(features).shape == (5, 3)
    summary = model.summary(features)
    assert summary.shape == (5, model.architecture.n_summary)
    assert torch.equal(model.logits(summary), model(features))


def test_one_unit_in_one_layer_does_what_the_equations_say() -> None:
    """All weights 0, all biases 0 but the candidate's: h_t = (h_(t-1) + tanh b) / 2."""
    model = small(n_units=1, n_layers=1, n_tags=1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.recurrent.bias_ih_l0[2] = 0.5
        model.output.weight.fill_(1.0)
        model.output.bias.fill_(0.25)
    b = torch.tensor(0.5).tanh()
    states = torch.stack([b / 2, 3 * b / 4, 7 * b / 8])
    logit = model(torch.randn(1, 6, 3))
    torch.testing.assert_close(logit, (states.mean() + 0.25).reshape(1, 1))


def test_the_last_frame_of_the_backward_direction_is_the_segments_first() -> None:
    model = small(summary="last", bidirectional=True, n_layers=1)
    features = torch.randn(2, 6, 5)
    states, _ = model.recurrent(features.permute(2, 0, 1))
    expected = model.output(torch.cat([states[-1, :, :4], states[0, :, 4:]], dim=1))
    torch.testing.assert_close(model(features), expected)


def test_a_batch_gives_what_its_segments_give_alone() -> None:
    model = small(summary="attention")
    features = torch.randn(4, 6, 9)
    alone = torch.cat([model(f[None]) for f in features])
    torch.testing.assert_close(model(features), alone)


def test_standardisation_is_the_models_own() -> None:
    plain, standardising = small(), small()
    mean, std = torch.arange(6.0), torch.arange(1.0, 7.0)
    standardising.mean.copy_(mean)
    standardising.std.copy_(std)
    features = torch.randn(2, 6, 9)
    torch.testing.assert_close(
        standardising(features * std[:, None] + mean[:, None]), plain(features)
    )
    assert {"mean", "std"} <= set(plain.state_dict())


def test_hearing_has_no_randomness_and_training_has_dropout() -> None:
    model = small(dropout=0.5)
    features = torch.randn(2, 6, 9)
    assert torch.equal(model(features), model(features))
    model.train()
    assert not torch.equal(model(features), model(features))


def test_recurrent_matrices_begin_orthogonal_gate_by_gate() -> None:
    for gate in small().recurrent.weight_hh_l1.split(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(4))


def test_an_lstm_begins_with_its_forget_gates_open() -> None:
    bias = small(cell="lstm").recurrent.bias_ih_l0
    assert bias.tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 8


def test_subnormal_weights_become_zero_and_normal_ones_stay() -> None:
    model = nn.Linear(3, 1, bias=False)
    tiny = torch.finfo(torch.float32).tiny
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[tiny / 2, -tiny / 1000, tiny]]))
    flush_subnormals(model)
    assert model.weight.tolist() == [[0.0, 0.0, tiny]]


@pytest.mark.parametrize("wrong", [{"cell": "rnn"}, {"summary": "median"}])
def test_an_unknown_variant_is_refused_by_name(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Architecture(**wrong)  # type: ignore[arg-type]
