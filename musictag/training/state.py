"""All that the next epoch of a run needs, as it is kept on the disk and sent to other ranks."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from musictag.errors import UsageError
from musictag.training.record import EpochResult
from musictag.training.settings import TrainSettings

if TYPE_CHECKING:
    from musictag.training.run import Run

STATE = "state.pt"
PLACES = ("dataset", "output", "features", "name", "recipe", "half", "start", "teachers", "split")
"""Settings that say where things are, and may be others when a run is resumed."""
MEANS = ("device", "workers", "resume", "save_every_s")
"""Settings that say by what means it runs, and may be others as well."""


def of(run: Run) -> dict[str, Any]:
    return {
        "settings": _identity(run),
        "history": [asdict(result) for result in run.history],
        "n_steps": run.n_steps,
        "model": run.model.state_dict(),
        "average": run.average.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "kept": run.kept,
    }


def packed(run: Run) -> bytes:
    """The state as bytes, for other ranks."""
    content = io.BytesIO()
    torch.save(of(run), content)
    return content.getvalue()


def read(run: Run, source: Path | io.BytesIO) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(source, map_location=run.device, weights_only=True)
    return found


def restore(run: Run, state: Mapping[str, Any]) -> None:
    run.history = [EpochResult(**result) for result in state["history"]]
    run.n_steps = state["n_steps"]
    run.model.load_state_dict(state["model"])
    run.average.load_state_dict(state["average"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.kept = {name: tensor.cpu() for name, tensor in state["kept"].items()}


def check(run: Run, state: Mapping[str, Any], path: Path) -> None:
    """UsageError where the state in `path` is from a run with other settings."""
    before, now = state["settings"], _identity(run)
    # a run that began when there was no such setting went by its default
    different = [name for name in now if before.get(name, _DEFAULTS.get(name)) != now[name]]
    if different:
        raise UsageError(
            f"{path} is from a run with another {', '.join(different)}: "
            "use the same settings, or begin anew without resume"
        )


_DEFAULTS = {
    field.name: field.default for field in fields(TrainSettings) if field.default is not MISSING
}


def _identity(run: Run) -> dict[str, Any]:
    """What must be the same for a run to continue."""
    settings = asdict(run.settings)
    fixed = {k: v for k, v in settings.items() if k not in (*PLACES, *MEANS)}
    return {
        **fixed,
        "started from": run.start.digest if run.start else None,
        "taught by": [teacher.digest for teacher in run.teachers],
        "data": run.dataset.digest(),
        "broken": sorted(run.broken),
    }
