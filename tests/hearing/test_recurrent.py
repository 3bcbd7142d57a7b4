"""The network: the paper's sizes, and what each option changes."""

from __future__ import annotations

import pytest
import torch
from networks import SIZES, trained
from torch import nn

from musictag.hearing.network.recurrent import (
    FRAMES_AT_ONCE,
    Architecture,
    OneCore,
    Tagger,
    flush_subnormals,
    initialise,
    n_parameters,
    on_one_core,
)


def small(**options: object) -> Tagger:
    torch.manual_seed(7)
    model = Tagger(Architecture(**(SIZES | options)))  # type: ignore[arg-type]
    initialise(model)
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
    assert n_parameters(model, paper=True) / 1000 == pytest.approx(thousands, abs=1)


def test_the_default_network_is_the_papers_and_counts_both_ways() -> None:
    with torch.device("meta"):
        model = Tagger()
    assert n_parameters(model, paper=True) == 7_776_306
    assert n_parameters(model) == 7_776_306 + 5 * 3 * 512  # torch's second bias per gate


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("summary", ["mean", "last", "attention"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_every_variant_gives_one_logit_per_segment_and_tag(
    cell: str, summary: str, bidirectional: bool
) -> None:
    model = small(cell=cell, summary=summary, bidirectional=bidirectional)
    assert model(torch.randn(5, 6, 9)).shape == (5, 3)


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


# ---------------------------------------------------------------- on one core


@pytest.mark.parametrize("n_frames", [1, FRAMES_AT_ONCE, 2 * FRAMES_AT_ONCE + 3])
@pytest.mark.parametrize("summary", ["mean", "last", "attention"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    # float32: the order of sums; bfloat16: 8 bits of every operand
    [(torch.float32, 2e-6), (torch.bfloat16, 3e-2)],
)
def test_on_one_core_the_network_gives_the_same_logits(
    n_frames: int, summary: str, dtype: torch.dtype, tolerance: float
) -> None:
    model = trained(summary=summary, n_layers=3)
    features = torch.randn(5, 6, n_frames, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        expected = model(features)
    found = OneCore(model, dtype)(features)
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=0, check_dtype=True)
    if dtype == torch.bfloat16:
        assert not torch.equal(found, OneCore(model)(features))


@pytest.mark.parametrize(
    ("has_amx", "dtype"), [(True, torch.bfloat16), (False, torch.float32), (None, torch.float32)]
)
def test_a_core_that_multiplies_bfloat16_by_itself_is_let(
    monkeypatch: pytest.MonkeyPatch, has_amx: bool | None, dtype: torch.dtype
) -> None:
    if has_amx is None:  # a torch that does not say
        monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
    else:
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: has_amx, raising=False)
    laid_out = on_one_core(small())
    assert isinstance(laid_out, OneCore)
    assert laid_out.dtype == dtype


@pytest.mark.parametrize("options", [{"cell": "lstm"}, {"bidirectional": True}])
def test_what_there_is_no_quicker_way_for_stays_as_it_is(options: dict[str, object]) -> None:
    model = small(**options)
    assert on_one_core(model) is model


@pytest.mark.parametrize("wrong", [{"cell": "rnn"}, {"summary": "max"}])
def test_an_unknown_variant_is_refused_by_name(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Architecture(**wrong)  # type: ignore[arg-type]
