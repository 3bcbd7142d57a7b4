"""How fast hearing alone is, samples in the device's memory, and what it could be.

    python benchmarks/hearing.py [--device cuda] [--batches 8,64,256] [--kernels portable]
                                 [--json] [--trace FILE]

Front end and network on made segments of 29 s that lie in the device's memory
already; nothing is decoded or copied. Per batch size: segments per second,
how many times faster than the music plays, which share of the time the front
end takes. What bounds it, on a GPU: the bytes that the front end's operations
read and write (counted from its plan, see `bytes_touched`) per second, against
the rate at which the same device copies memory in the same run. kymatio's own
transform of the same kind (644 coefficients) is timed beside ours. Times are
medians; everything runs in turns, and the device is waited for each time.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from kymatio.scattering1d.frontend.torch_frontend import ScatteringTorch1D
from timing import device_name, synchronise, timed

from musictag.audio.samples import SEGMENT_LENGTH, SEGMENT_S
from musictag.hearing import checkpoint
from musictag.hearing.ear import Ear
from musictag.hearing.ear_core import CoreEar
from musictag.hearing.ear_torch import TorchEar
from musictag.hearing.kernels.choice import LIBRARIES, choose
from musictag.hearing.scattering.torch import Scattering

BATCHES = {"cpu": "1,8,32,128", "mps": "1,8,32", "cuda": "1,8,32,64,128,256"}
KYMATIO = {"J": 13, "Q": (8, 1), "T": 8192}  # its settings of the paper's kind
KYMATIO_BATCHES = {"cpu": (1,), "mps": (1, 4), "cuda": (1, 8)}
COPIED = 2**28
"""Bytes of the copies that are timed: more than caches hold."""
FLOAT, COMPLEX = 4, 8
"""Bytes of a number."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps (default: cpu)")
    parser.add_argument("--batches", help="batch sizes, with commas (default: by device)")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each (default: 5)")
    parser.add_argument("--model", help="name or directory (default: the bundled model)")
    parser.add_argument(
        "--kernels", choices=LIBRARIES, help="what a CPU computes with (default: what suits it)"
    )
    parser.add_argument("--trace", type=Path, help="write a trace of the largest batch, for Chrome")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    kind = arguments.device.partition(":")[0]
    batches = [int(n) for n in (arguments.batches or BATCHES[kind]).split(",")]
    kernels = arguments.kernels and choose(transforms=arguments.kernels, products=arguments.kernels)
    ear = checkpoint.find(arguments.model).load(arguments.device, kernels=kernels)
    if arguments.trace and isinstance(ear, CoreEar):
        parser.error("--trace is for devices that torch hears on")
    with torch.inference_mode():
        results = measure(ear, arguments.device, batches, arguments.runs)
        if arguments.trace and isinstance(ear, TorchEar):
            trace(ear, arguments.device, results["batches"][-1]["batch"], arguments.trace)
    print(json.dumps(results, indent=1) if arguments.json else table(results))


def measure(ear: Ear, device: str, batches: Sequence[int], n_runs: int) -> dict[str, Any]:
    """Batch sizes for which the device's memory does not suffice are left out."""
    kind = device.partition(":")[0]
    theirs = ScatteringTorch1D(shape=(SEGMENT_LENGTH,), **KYMATIO).to(device)
    samples = made_segments(max(batches), device)
    what: dict[str, Callable[[], object]] = {}
    memory: dict[int, float] = {}
    for n in sorted(batches):
        whole, front_end, network = parts(ear, samples[:n])
        needed = memory_gb(whole, device)
        if needed is None:
            break
        memory[n] = needed
        what[f"whole {n}"] = whole
        what[f"front end {n}"] = front_end
        what[f"network {n}"] = network
    kymatio_batches = []
    for n in KYMATIO_BATCHES[kind]:
        run = partial(theirs, samples[:1].repeat(n, 1))
        if memory_gb(run, device) is not None:
            kymatio_batches.append(n)
            what[f"kymatio {n}"] = run
    here = torch.ones(COPIED // FLOAT, device=device)
    there = torch.empty_like(here)
    what["copy"] = lambda: there.copy_(here)
    seconds = {name: statistics.median(ts) for name, ts in timed(what, n_runs, device).items()}

    copy_rate = 2 * COPIED / seconds["copy"]
    # on a CPU most of it stays in its caches, if it is laid out for that
    scattering = ear.front_end if isinstance(ear, TorchEar) else None
    touched = bytes_touched(scattering) if isinstance(scattering, Scattering) else None
    kymatio_s = min(seconds[f"kymatio {n}"] / n for n in kymatio_batches)
    return {
        "device": device_name(device),
        "torch": torch.__version__,
        "n_runs": n_runs,
        "copy_gb_per_s": copy_rate / 1e9,
        "touched_mb_per_segment": touched and touched / 1e6,
        "kymatio_s": kymatio_s,
        "batches": [
            {
                "batch": n,
                "segments_per_s": n / seconds[f"whole {n}"],
                "real_time": n * SEGMENT_S / seconds[f"whole {n}"],
                "front_end_s": seconds[f"front end {n}"],
                "network_s": seconds[f"network {n}"],
                "front_end_share": seconds[f"front end {n}"]
                / (seconds[f"front end {n}"] + seconds[f"network {n}"]),
                "gb_per_s": touched and touched * n / seconds[f"front end {n}"] / 1e9,
                "of_copy_rate": touched and touched * n / seconds[f"front end {n}"] / copy_rate,
                "kymatio_ratio": kymatio_s / (seconds[f"front end {n}"] / n),
                "device_memory_gb": memory[n],
            }
            for n in memory
        ],
    }


def parts(
    ear: Ear, samples: torch.Tensor
) -> tuple[Callable[[], object], Callable[[], object], Callable[[], object]]:
    """All of it, the front end, and the network."""
    if isinstance(ear, TorchEar):
        coefficients = ear.front_end(samples)
        return (
            partial(ear.heard, samples),
            partial(ear.front_end, samples),
            partial(ear.judged, coefficients),
        )
    assert isinstance(ear, CoreEar)
    segments = samples.numpy()
    under_way = ear.coefficients(segments)
    return (
        partial(ear.hear, segments),
        lambda: [one.result() for one in ear.coefficients(segments)],
        partial(ear.judged, under_way),
    )


def bytes_touched(scattering: Scattering) -> int:
    """Of one segment: what the front end's operations read and write, each of them once.

    An operation of the executor (padding, cutting a band, an FFT, a modulus, an
    average …) has to read its input from memory and write its output there, at
    least once; an FFT that takes several passes does so more often. Filters,
    which all segments of a batch share, are not counted, nor are averages'
    outputs, which are small.
    """
    plan = scattering.plan

    def spectrum(n_points: int) -> int:
        return COMPLEX * (n_points // 2 + 1)

    def envelopes(n_bins: int, n_points: int) -> int:
        """From a spectrum to |x ⋆ ψ| ⋆ φ: bands cut, transformed back, modulus, average."""
        cut = COMPLEX * (n_bins + n_points)
        transformed = 2 * COMPLEX * n_points
        modulus = (COMPLEX + FLOAT) * n_points
        return cut + transformed + modulus + FLOAT * n_points

    padded = FLOAT * plan.n_padded
    total = FLOAT * plan.n_samples + padded  # padding
    total += padded  # order 0
    total += padded + spectrum(plan.n_padded)
    for step in scattering._steps:
        n_bins = sum(len(plan.first[index].gains) for index in step.first)
        total += envelopes(n_bins, step.n_points)
        if step.second:
            total += FLOAT * step.n_points + len(step.first) * spectrum(step.length)
        for group in step.second:
            n_bins = sum(
                len(plan.second[index].gains) * (rows.stop - rows.start)
                for index, _, rows in group.members
            )
            total += envelopes(n_bins, group.n_rows * group.length)
    coefficients = FLOAT * plan.n_coefficients * plan.n_frames
    return total + 5 * coefficients  # written; put in order and normalised, each read and written


def made_segments(n: int, device: str) -> torch.Tensor:
    """Noise as loud as music: what is in it makes no difference to the time."""
    generator = torch.Generator().manual_seed(0)
    return (0.1 * torch.randn(n, SEGMENT_LENGTH, generator=generator)).to(device)


def memory_gb(run: Callable[[], object], device: str) -> float | None:
    """Of the device, needed besides what lies in it already; None where there is not enough.

    0 where torch does not count it, which is everywhere but on CUDA.
    """
    cuda = device.startswith("cuda")
    before = torch.cuda.memory_allocated(device) if cuda else 0
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    try:
        run()
        synchronise(device)
    except torch.OutOfMemoryError:
        return None
    return (torch.cuda.max_memory_allocated(device) - before) / 2**30 if cuda else 0.0


def trace(ear: TorchEar, device: str, n: int, path: Path) -> None:
    """What runs when, for chrome://tracing or ui.perfetto.dev."""
    segments = made_segments(n, device)
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device.startswith("cuda"):
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    ear.heard(segments)
    with torch.profiler.profile(activities=activities) as profile:
        ear.heard(segments)
        synchronise(device)
    profile.export_chrome_trace(str(path))


def table(results: dict[str, Any]) -> str:
    lines = [
        f"{results['device']}, torch {results['torch']}; medians of {results['n_runs']}",
        f"copies memory at {results['copy_gb_per_s']:.1f} GB/s (read and written)"
        + (
            f"; the front end touches {touched:.0f} MB per segment of {SEGMENT_S} s"
            if (touched := results["touched_mb_per_segment"])
            else ""
        ),
        "batch  segments/s  × real time  front end  network   touched   of copy rate  × kymatio  "
        "memory",
    ]
    for row in results["batches"]:
        memory = row["device_memory_gb"]
        lines.append(
            f"{row['batch']:5}  {row['segments_per_s']:10,.1f}  {row['real_time']:11,.0f}  "
            f"{row['front_end_share']:9.0%}  {1 - row['front_end_share']:7.0%}  "
            + (
                f"{row['gb_per_s']:6,.1f} GB/s  {row['of_copy_rate']:11.0%}  "
                if row["gb_per_s"]
                else f"{'–':>11}  {'–':>11}  "
            )
            + f"{row['kymatio_ratio']:9.1f}"
            + (f"  {memory:3.1f} GB" if memory else "       –")
        )
    lines.append(f"kymatio's front end, 644 coefficients: {results['kymatio_s']:.4f} s per segment")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
