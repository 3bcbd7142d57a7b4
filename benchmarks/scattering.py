"""How fast the front end is, against kymatio, and how close it stays to the definitions.

    python benchmarks/scattering.py [--music FILE] [--device cuda] [--json]

Everything is measured in one run: seconds per 29 s segment for ours, for
kymatio's `ScatteringTorch1D` on its own settings of the same kind (J = 13,
Q = (8, 1), T = 8192) and for ours on kymatio's plan; errors as
‖ours − reference‖ / ‖reference‖ over the whole transform, against float64 at
full resolution (tests/support/reference_scattering.py). On a CPU ours is the executor that
scans use there, on one core, with the kernels that suit it; beside it stand the same on portable
kernels, and the executor in torch, on all cores. Times are medians, with the fastest in brackets;
compare the ratios, since machines are noisy.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import shared  # noqa: F401  # finds reference_scattering
import torch
from kymatio.scattering1d.frontend.torch_frontend import ScatteringTorch1D
from numpy.typing import NDArray
from reference_scattering import (  # type: ignore[import-not-found]
    by_definition,
    relative_error,
)
from timing import device_name, peak_memory_gb, timed
from torch import Tensor

from musictag.audio.samples import RATE_HZ
from musictag.audio.track import Track
from musictag.hearing.kernels.choice import Kernels, choose
from musictag.hearing.scattering.core import CoreScattering
from musictag.hearing.scattering.kymatio import kymatio_plan
from musictag.hearing.scattering.plan import FrontEnd
from musictag.hearing.scattering.torch import Scattering

N = FrontEnd().n_samples
J, Q, T = 13, (8, 1), 8192  # kymatio's settings of the paper's kind


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--music", type=Path, help="a track to take the music from (default: made)")
    parser.add_argument("--device", default="cpu", help="default: cpu")
    parser.add_argument("--runs", type=int, default=3, help="timed runs of each (default: 3)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    results = measure(arguments.music, arguments.device, arguments.runs)
    print(json.dumps(results, indent=1) if arguments.json else table(results))


def measure(music: Path | None, device: str, n_runs: int) -> dict[str, float | str]:
    signals = make_signals(music)
    segment = signals["music"].to(device)

    began = time.perf_counter()
    ours = executor(Scattering(FrontEnd(normalisation="none")), device)
    build_s = time.perf_counter() - began
    eight = segment.repeat(8, 1)
    before = peak_memory_gb()
    ours(eight)
    memory = peak_memory_gb() - before

    portable = executor(
        Scattering(FrontEnd(normalisation="none")),
        device,
        choose(transforms="portable", products="portable"),
    )
    general = Scattering(FrontEnd(normalisation="none")).to(device)
    high = executor(Scattering(FrontEnd(normalisation="none", exactness="high")), device)
    theirs = ScatteringTorch1D(J=J, shape=(N,), Q=Q, T=T).to(device)
    same = executor(Scattering(plan=kymatio_plan(N, J=J, Q=Q, T=T)), device)

    times = timed(
        {
            "kymatio": lambda: theirs(segment),
            "ours": lambda: ours(eight),
            "portable": lambda: portable(eight),
            "general": lambda: general(eight),
            "ours_alone": lambda: ours(segment[None]),
            "ours_high": lambda: high(eight),
            "same_plan": lambda: same(eight),
        },
        n_runs,
        device,
    )
    alone = ("kymatio", "ours_alone")  # kymatio is at its fastest alone
    per_segment = {
        name: [t / (1 if name in alone else 8) for t in ts] for name, ts in times.items()
    }
    results: dict[str, float | str] = {}
    for name, ts in per_segment.items():
        results[f"{name}_s"] = statistics.median(ts)
        results[f"{name}_fastest_s"] = min(ts)
    kymatio_s = statistics.median(per_segment["kymatio"])
    results["ratio"] = kymatio_s / statistics.median(per_segment["ours"])
    results["ratio_alone"] = kymatio_s / statistics.median(per_segment["ours_alone"])
    results["same_plan_ratio"] = kymatio_s / statistics.median(per_segment["same_plan"])
    wanted = theirs(segment)
    results["same_plan_difference"] = relative_error(same(segment[None])[0], wanted)
    all_signals = torch.stack(list(signals.values()))
    reference = by_definition(FrontEnd(), all_signals)
    fast, exact = ours(all_signals.to(device)), high(all_signals.to(device))
    for row, name in enumerate(signals):
        results[f"error_{name}"] = relative_error(fast[row], reference[row])
        results[f"error_{name}_high"] = relative_error(exact[row], reference[row])
    results["build_s"] = build_s
    results["memory_gb"] = memory
    results["music"] = music.name if music else "made"
    results["device"] = device_name(device)
    results["torch"] = torch.__version__
    return results


def executor(
    scattering: Scattering, device: str, kernels: Kernels | None = None
) -> Callable[[Tensor], Tensor]:
    """What a scan would hear with on that device: (B, N) -> (B, C, T)."""
    if device != "cpu":
        return scattering.to(device)
    laid_out = CoreScattering(plan=scattering.plan, kernels=kernels)
    return lambda samples: torch.from_numpy(np.stack([laid_out(x) for x in samples.numpy()]))


def table(results: dict[str, float | str]) -> str:
    def seconds(name: str) -> str:
        median, fastest = (float(results[f"{name}{kind}"]) for kind in ("_s", "_fastest_s"))
        return f"{median:10.4f} s   ({fastest:.4f})"

    lines = [
        f"{results['device']}, torch {results['torch']}; per segment of 29 s, median (fastest)",
        f"  kymatio, 644 coefficients, batch of 1 {seconds('kymatio')}",
        f"  ours on kymatio's plan, batch of 8    {seconds('same_plan')}"
        f"   {results['same_plan_ratio']:6.1f} × kymatio"
        f"   differs by {results['same_plan_difference']:.1e}",
        f"  ours, 433 coefficients, batch of 8    {seconds('ours')}"
        f"   {results['ratio']:6.1f} × kymatio",
        f"  the same on portable kernels          {seconds('portable')}",
        f"  the same by torch, batch of 8         {seconds('general')}",
        f"  ours, batch of 1                      {seconds('ours_alone')}"
        f"   {results['ratio_alone']:6.1f} × kymatio",
        f"  ours at high exactness, batch of 8    {seconds('ours_high')}",
        f"  building the filters                  {results['build_s']:10.4f} s",
        f"  memory taken by a batch of 8          {results['memory_gb']:10.2f} GB",
        "relative error against float64 at full resolution   default      high",
    ]
    for name in ("noise", "tones", "clicks", "music"):
        label = f"music ({results['music']})" if name == "music" else name
        lines.append(
            f"  {label:48} {results[f'error_{name}']:9.1e} {results[f'error_{name}_high']:9.1e}"
        )
    return "\n".join(lines)


def make_signals(music: Path | None) -> dict[str, torch.Tensor]:
    """Four segments: (N,) float32 each."""
    g = np.random.default_rng(0)
    t = np.arange(N) / RATE_HZ
    clicks = np.zeros(N)
    clicks[:: RATE_HZ // 3] = 0.5
    signals = {
        "noise": 0.1 * g.standard_normal(N),
        "tones": sum(0.1 * np.sin(2 * np.pi * f * t) for f in (110, 440, 1234.5, 5000)),
        "clicks": clicks,
        "music": next(Track(music).segments()) if music else made_music(g),
    }
    return {name: torch.from_numpy(np.asarray(x)).float() for name, x in signals.items()}


def made_music(g: np.random.Generator) -> NDArray[np.float64]:
    """Plucked chords of decaying harmonics over a noisy drum, two beats a second."""
    x = np.zeros(N)
    for beat in np.arange(0, 29, 0.5):
        start = int(beat * RATE_HZ)
        t = np.arange(min(4 * RATE_HZ, N - start)) / RATE_HZ
        x_here = x[start : start + len(t)]
        for note in g.choice([0, 3, 5, 7, 10, 12, 15], 3, replace=False):
            pitch = 110 * 2 ** (note / 12)
            for harmonic in range(1, 12):
                decay = np.exp(-t * (1 + harmonic / 3))
                x_here += decay * np.sin(2 * np.pi * harmonic * pitch * t) / harmonic
        x_here += g.standard_normal(len(t)) * np.exp(-t * 25)
    return np.asarray(0.3 * x / np.abs(x).max())


if __name__ == "__main__":
    main()
