"""What a run takes over from models that were trained before it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from musictag.errors import UsageError
from musictag.hearing import checkpoint, frontend
from musictag.hearing.checkpoint import Checkpoint
from musictag.hearing.network.base import Network


def read(directory: Path, front_end: frontend.Settings) -> Checkpoint:
    """A model that hears the same features; UsageError for any other."""
    found = checkpoint.read(directory)
    if found.base is not None:
        raise UsageError(f"{found.name} has no network of its own: start from {found.base.name}")
    try:
        is_same = frontend.settings(found.front_end) == front_end
    except ValueError:  # those of a newer program, perhaps
        is_same = False
    if not is_same:
        raise UsageError(f"{found.name} is of no use here: it has another front end")
    return found


@torch.no_grad()
def take_weights(model: Network, start: Checkpoint, tags: tuple[str, ...]) -> None:
    """Copy all that an earlier model knows into `model`, whose tags are `tags`.

    Of the last layer the rows of the tags that both have are taken; those of
    other tags stay as they are.
    """
    weights = dict(start.network().state_dict())
    shared = [(tags.index(tag), there) for there, tag in enumerate(start.tags) if tag in tags]
    here, there = (
        (torch.tensor(rows, dtype=torch.long) for rows in zip(*shared, strict=True))
        if (shared)
        else (torch.empty(0, dtype=torch.long),) * 2
    )
    for name, own in model.output.state_dict(prefix="output.").items():
        mixed: Tensor = own.cpu().clone()
        mixed[here] = weights[name][there]
        weights[name] = mixed
    model.load_state_dict(weights)


def freeze(model: Network, layers: tuple[int, ...]) -> None:
    """Keep the weights of these layers as they are."""
    found = model.layers()
    n_layers = len(found)
    if strange := [layer for layer in layers if not 0 <= layer < n_layers]:
        raise UsageError(f"there is no layer {strange[0]} to freeze, only 0 to {n_layers - 1}")
    for number, parameters in enumerate(found):
        for parameter in parameters:
            parameter.requires_grad_(number not in layers)


def tensors(model: nn.Module) -> list[Tensor]:
    """All that training changes, statistics that no gradient changes included."""
    return [*model.parameters(), *model.buffers()]


def learning(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that training changes."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
