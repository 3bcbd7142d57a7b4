"""Clocks that wait for a device, and what the machine is called."""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Mapping

import torch


def timed(
    what: Mapping[str, Callable[[], object]], n_runs: int, device: str
) -> dict[str, list[float]]:
    """Seconds that each takes, run in turns: a slow moment of the machine slows all alike."""
    times: dict[str, list[float]] = {name: [] for name in what}
    for turn in range(n_runs + 1):
        for name, run in what.items():
            synchronise(device)
            began = time.perf_counter()
            run()
            synchronise(device)
            if turn:  # the first warms up
                times[name].append(time.perf_counter() - began)
    return times


def synchronise(device: str) -> None:
    """Wait until a device has finished its work."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    elif device == "mps":
        torch.mps.synchronize()


def peak_memory_gb() -> float:
    """The most memory that this process has held, without that of a GPU."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)


def device_name(device: str) -> str:
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    if device == "mps":
        return f"{platform.machine()} GPU"
    return f"{platform.machine()} CPU, {torch.get_num_threads()} of {os.cpu_count()} cores"
