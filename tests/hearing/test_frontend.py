"""Front ends by kind, and that training and tagging have the same one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from kernel_choices import KERNELS
from labelled import write_audible
from networks import trained
from reference_scattering import relative_error

from musictag.hearing import checkpoint, frontend
from musictag.hearing.checkpoint import Checkpoint
from musictag.hearing.kernels.choice import choose
from musictag.hearing.scattering.plan import FrontEnd
from musictag.training import features
from musictag.training.features import prepare
from musictag.training.folder import read_folder
from musictag.training.reading import read_samples
from musictag.vocabulary import magnatagatune

SHORT = FrontEnd(n_samples=65_536)
"""The paper's coefficients of four seconds."""


@pytest.mark.parametrize("libraries", KERNELS)
def test_features_made_for_training_are_those_that_a_scan_hears(
    tmp_path: Path, libraries: tuple[str, str]
) -> None:
    """To the front end's own error: training keeps 11 bits, and oneMKL's envelopes have other
    lengths."""
    dataset = read_folder(write_audible(tmp_path))
    made = prepare(dataset, SHORT, tmp_path / "features")
    transforms, products = libraries
    on_core = frontend.on_core(SHORT, choose(transforms=transforms, products=products))
    assert on_core is not None
    for row in (0, 1, 3):
        example = dataset.examples[row]
        heard = torch.from_numpy(on_core(np.asarray(read_samples(example, SHORT.n_samples))))
        assert relative_error(heard, made.read([example.id])[0]) < 6e-4


def saved(directory: Path, front_end: frontend.Settings, n_coefficients: int) -> Checkpoint:
    """A checkpoint with a small network of seeded weights."""
    model = trained(n_coefficients=n_coefficients)
    return checkpoint.save(
        directory,
        model,
        front_end=front_end,
        tags=("rock", "slow", "piano"),
        vocabulary=magnatagatune().with_thresholds({"Rock": 0.5}),
        name="small",
        training={},
    )


def test_settings_of_a_front_end_that_names_no_kind_are_the_scatterings() -> None:
    found = checkpoint.find()
    assert frontend.settings(found.front_end) == FrontEnd(**found.front_end)
    assert frontend.settings({"kind": "scattering", "Q": 4}) == FrontEnd(Q=4)


@pytest.mark.parametrize("kind", frontend.KINDS)
def test_a_checkpoint_of_each_kind_hears_what_it_was_saved_with(kind: str, tmp_path: Path) -> None:
    front_end = replace(frontend.settings({"kind": kind}), n_samples=65_536)
    executor = frontend.in_torch(front_end)
    found = saved(tmp_path, front_end, n_coefficients=executor.n_coefficients)
    assert frontend.settings(found.front_end) == front_end
    sound = torch.randn(2, 65_536, generator=torch.Generator().manual_seed(0)) / 10
    network = found.network()
    with torch.inference_mode():
        wanted = network(executor(sound)).sigmoid()
    heard = found.load("cpu", n_cores=1).hear(sound.numpy()).probabilities
    np.testing.assert_allclose(heard, wanted, atol=5e-3)


@pytest.mark.parametrize("kind", frontend.KINDS)
def test_each_kind_has_features_for_training(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "N_NOISES", 1)
    front_end = replace(frontend.settings({"kind": kind}), n_samples=65_536)
    dataset = read_folder(write_audible(tmp_path))
    made = prepare(dataset, front_end, tmp_path / "features")
    example = dataset.examples[1]
    samples = torch.from_numpy(read_samples(example, front_end.n_samples))
    wanted = frontend.in_torch(front_end)(samples[None])
    torch.testing.assert_close(made.read([example.id]).float(), wanted, rtol=1e-3, atol=1e-3)
    # 1 dB of gain, in natural logarithms of amplitudes
    torch.testing.assert_close(
        made.responses[0].max(), torch.tensor(np.log(10) / 20).float(), rtol=0.02, atol=0
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "chroma"}, "no front end 'chroma' .there are scattering, mel, cqt"),
        ({"kind": ["mel"]}, "no front end"),
        ({"colour": 1}, "unknown setting colour .made by a newer musictag"),
        ({"Q": "8"}, "Q is '8'"),
        ({"kind": "mel", "Q": 8}, "unknown setting Q"),
        ({"kind": "mel", "hop": 0}, "hop is 0"),
        ({"kind": "mel", "pool": 2000}, "pool is 2000, must be .* to 1813"),
        ({"kind": "cqt", "hop": 255}, "hop is 255, must be even"),
        ({"kind": "cqt", "lowest_hz": float("nan")}, "lowest_hz is nan"),
        ({"kind": "cqt", "lowest_hz": "C1"}, "lowest_hz is 'C1'"),
        ({"kind": "cqt", "n_bins": 96}, "96 bins from 32.7.* Hz reach beyond half the rate"),
        ({"kind": "cqt", "n_samples": 4000}, "4000 samples are too few for 32.7"),
    ],
)
def test_settings_of_a_front_end_that_make_no_sense_are_named(
    arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        frontend.settings(arguments)
