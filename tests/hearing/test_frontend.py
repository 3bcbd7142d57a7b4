"""Front ends by kind, and that training and tagging have the same one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from kernel_choices import KERNELS
from labelled import write_audible
from reference_scattering import relative_error

from musictag.hearing import checkpoint, frontend
from musictag.hearing.kernels.choice import choose
from musictag.hearing.scattering.plan import FrontEnd
from musictag.training.features import prepare
from musictag.training.folder import read_folder
from musictag.training.reading import read_samples

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


def test_settings_of_a_front_end_that_names_no_kind_are_the_scatterings() -> None:
    found = checkpoint.find()
    assert frontend.settings(found.front_end) == FrontEnd(**found.front_end)
    assert frontend.settings({"kind": "scattering", "Q": 4}) == FrontEnd(Q=4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "mel"}, "no front end 'mel'"),
        ({"kind": ["mel"]}, "no front end"),
        ({"colour": 1}, "unknown setting colour .made by a newer musictag"),
        ({"Q": "8"}, "Q is '8'"),
    ],
)
def test_settings_of_a_front_end_that_make_no_sense_are_named(
    arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        frontend.settings(arguments)
