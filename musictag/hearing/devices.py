"""Which device to hear on."""

from __future__ import annotations

import os
import sys
from typing import Any

from musictag import process
from musictag.errors import UsageError

ROOM_FOR_TORCH_MB = 600
"""Address space that torch and a model need, in megabytes. With less, torch ends the process."""


def find_device(name: str) -> str:
    """The device that a name stands for; auto is the fastest one there is.

    UsageError if it is not there. torch is imported only if it could find more than a CPU.
    """
    if name == "cpu" or (name == "auto" and not _may_have_more_than_a_cpu()):
        return "cpu"
    torch = _torch()
    n_cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    has_mps = torch.backends.mps.is_available()
    if name == "auto":
        return "cuda" if n_cuda else "mps" if has_mps else "cpu"
    kind, _, number = name.partition(":")
    if kind == "cuda" and int(number or 0) >= n_cuda:
        found = f"it finds {n_cuda} of them" if n_cuda else "it finds no CUDA device"
        raise UsageError(f"--device {name}: PyTorch cannot use it ({found})")
    if kind == "mps" and not has_mps:
        raise UsageError("--device mps: PyTorch cannot use it (no Apple GPU, or a build without)")
    return name


def _may_have_more_than_a_cpu() -> bool:
    """False where torch would find no other device and need not be asked.

    On Linux the drivers that it can use (NVIDIA's, AMD's, Windows' own below WSL) have these files.
    """
    if sys.platform != "linux":
        return True
    return any(map(os.path.exists, ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg")))


def _torch() -> Any:
    process.check_room(ROOM_FOR_TORCH_MB)
    import torch  # noqa: PLC0415  # slow to import

    return torch
