"""A checkpoint → an ear: which executors hear on which device."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from musictag import process
from musictag.errors import CheckpointError
from musictag.hearing import frontend
from musictag.hearing.devices import ROOM_FOR_TORCH_MB

if TYPE_CHECKING:
    import torch

    from musictag.hearing.checkpoint import Checkpoint
    from musictag.hearing.ear import Ear
    from musictag.hearing.kernels.choice import Kernels


def load(
    checkpoint: Checkpoint,
    device: torch.device | str,
    *,
    batch_size: int | None,
    n_cores: int | None,
    kernels: Kernels | None,
) -> Ear:
    """As `Checkpoint.load`."""
    if str(device) == "cpu":
        front_end = _fitting(checkpoint, lambda settings: frontend.on_core(settings, kernels))
        if front_end is not None:
            return _on_cores(checkpoint, front_end, batch_size, n_cores, kernels)
    process.check_room(ROOM_FOR_TORCH_MB)
    from musictag.hearing.ear_torch import TorchEar  # noqa: PLC0415

    network = checkpoint.network()
    network.fold()
    return TorchEar(_fitting(checkpoint, frontend.in_torch), network, device, batch_size)


def _on_cores(
    checkpoint: Checkpoint,
    front_end: frontend.CoreFrontEnd,
    batch_size: int | None,
    n_cores: int | None,
    kernels: Kernels | None,
) -> Ear:
    """torch is imported only for networks that have no layout for a core."""
    from musictag.hearing.ear_core import CoreEar  # noqa: PLC0415
    from musictag.hearing.network import core  # noqa: PLC0415

    architecture = checkpoint.sizes()
    if core.can(architecture):
        network = core.CoreNetwork(architecture, checkpoint.arrays(), kernels=kernels)
        return CoreEar(front_end, network, batch_size, n_cores)
    process.check_room(ROOM_FOR_TORCH_MB)
    from musictag.hearing.ear_torch import OnCpu  # noqa: PLC0415

    in_torch = checkpoint.network()
    in_torch.fold()
    return CoreEar(front_end, OnCpu(in_torch), batch_size, n_cores, shared=False)


def _fitting(checkpoint: Checkpoint, make: Callable[[Any], Any]) -> Any:
    """A front end of the checkpoint; CheckpointError if it makes no sense or does not fit the
    network."""
    wanted = checkpoint.sizes().n_coefficients
    config = os.fspath(checkpoint.directory / "config.json")
    try:
        front_end = make(frontend.settings(checkpoint.front_end))
    except ValueError as error:
        raise CheckpointError(f"{config}: {error}") from error
    if front_end is not None and front_end.n_coefficients != wanted:
        raise CheckpointError(
            f"{config}: the front end gives {front_end.n_coefficients} coefficients, "
            f"the network takes {wanted}"
        )
    return front_end
