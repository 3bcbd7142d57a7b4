"""Small networks whose weights all differ, as after training."""

from __future__ import annotations

import torch

from musictag.hearing.network.architecture import Architecture
from musictag.hearing.network.recurrent import Tagger

SIZES = {"n_coefficients": 6, "n_units": 4, "n_layers": 2, "n_tags": 3}


def trained(**options: object) -> Tagger:
    """A network with seeded random weights; `options` override SIZES."""
    model = Tagger(Architecture(**(SIZES | options))).eval()  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(8)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 2)
        model.mean.copy_(torch.randn(model.mean.shape, generator=generator))
        model.std.copy_(0.5 + torch.rand(model.std.shape, generator=generator))
    return model
