"""Networks in torch, by the kind of their architecture."""

from __future__ import annotations

import torch
from torch import nn

from musictag.hearing.network.architecture import AnyArchitecture, Architecture
from musictag.hearing.network.base import Network
from musictag.hearing.network.convolutional import ConvolutionalTagger
from musictag.hearing.network.recurrent import Tagger


def make(architecture: AnyArchitecture) -> Network:
    """A network with weights that are still to be trained or loaded."""
    if isinstance(architecture, Architecture):
        return Tagger(architecture)
    return ConvolutionalTagger(architecture)


def shapes(architecture: AnyArchitecture) -> dict[str, tuple[int, ...]]:
    """Shapes of a network's weights by name."""
    with torch.device("meta"):
        model = make(architecture)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


@torch.no_grad()
def flush_subnormals(model: nn.Module) -> None:
    """Replace weights that are too small for a normal float32 by zero, in place.

    Training leaves some, and they make a CPU's matrix product about a hundred times slower
    (measured) for a contribution that nobody can hear.
    """
    tiny = torch.finfo(torch.float32).tiny
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            tensor[tensor.abs() < tiny] = 0.0
