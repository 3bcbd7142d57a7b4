"""How long `musictag similar` compares, and what an index would save.

    python benchmarks/similar.py [--sizes N,N] [--commands N,N]

Comparing alone, on made summaries of the default model's size in memory: taking them up (once per
command) and finding the nearest of one. Beside it usearch's HNSW index, where it is installed:
building it, one query, and how many of the true ten nearest it finds. Then whole commands over
remembered libraries, which also read the summaries from the cache.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from commands import MUSICTAG, Command, machine, median, run
from library import make_remembered
from numpy.typing import NDArray

from musictag.library.collection import Track
from musictag.library.similar import Neighbours

N_NUMBERS = 1024
N_KINDS = 200
"""Made tracks lie around so many centres, as music lies around styles."""


def made(n: int) -> NDArray[np.float16]:
    """(n, N_NUMBERS) summaries."""
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((N_KINDS, N_NUMBERS), np.float32)
    found = np.empty((n, N_NUMBERS), np.float16)
    for start in range(0, n, 10_000):
        some = min(10_000, n - start)
        noise = generator.standard_normal((some, N_NUMBERS), np.float32)
        found[start : start + some] = centres[generator.integers(N_KINDS, size=some)] + noise
    return found


def compared(summaries: NDArray[np.float16]) -> Iterator[str]:
    """Our comparison of all, and the index."""
    tracks = [Track(Path(str(n)), 0.0, (), row.tobytes()) for n, row in enumerate(summaries)]
    began = time.perf_counter()
    neighbours = Neighbours(tracks)
    taken_s = time.perf_counter() - began
    began = time.perf_counter()
    found = neighbours.nearest([summaries[0].tobytes()])
    yield f"all compared       {taken_s:9.2f} {time.perf_counter() - began:9.3f}"
    nearest = {int(track.path.name) for _, track in found[:10]}
    del neighbours, found, tracks
    try:
        from usearch.index import Index  # noqa: PLC0415
    except ImportError:
        return
    rows = summaries.astype(np.float32)
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    index: Any = Index(ndim=N_NUMBERS, metric="cos", dtype="f16")
    began = time.perf_counter()
    index.add(np.arange(len(rows)), rows, threads=1)
    built_s = time.perf_counter() - began
    began = time.perf_counter()
    keys = {int(key) for key in index.search(rows[0], 10).keys}
    query_s = time.perf_counter() - began
    yield f"usearch            {built_s:9.2f} {query_s:9.3f}   {len(keys & nearest)} of 10"


def whole(n: int) -> str:
    """A command over a remembered library."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        make_remembered(home, n)
        first = next((home / "music").rglob("*.mp3"))
        command = Command([*MUSICTAG, "similar", os.fspath(first)], home=home)
        runs = [run(command) for _ in range(3)]
    return f"{n:10,} {median([one.wall_s for one in runs]):9.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--sizes", default="10000,100000", help="tracks that are compared")
    parser.add_argument("--commands", default="1000,10000", help="tracks of whole commands")
    asked = parser.parse_args()
    print(machine())
    for size in map(int, filter(None, asked.sizes.split(","))):
        print(f"{size:10,} tracks   ready s   query s")
        for line in compared(made(size)):
            print(line, flush=True)
    print("whole commands    wall s")
    for size in map(int, filter(None, asked.commands.split(","))):
        print(whole(size), flush=True)


if __name__ == "__main__":
    main()
