"""Decoding and resampling alone, on all cores: no scan can be faster than this.

    python benchmarks/floor.py [--jobs N] PATH...

Runs a scan's own decoder in several processes and throws the samples away. Prints
one JSON object: `work_s`, the seconds from when all processes were ready until the
last file was decoded, and `music_s`, the seconds of music in the files.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported, as in a scan

from musictag import files, process
from musictag.audio.track import Track
from musictag.errors import FileError


def drained(path: Path) -> float:
    """Decode a file; the seconds of music in it, 0 if it cannot be read."""
    track = Track(path)
    try:
        for _ in track.segments():
            pass
    except FileError:
        return 0.0
    return track.duration_s or 0.0


def _meet(barrier: Barrier) -> None:
    process.keep_freed()
    barrier.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("paths", nargs="+", type=Path, help="music files and folders")
    parser.add_argument("--jobs", type=int, default=process.n_cores(), help="default: one per core")
    arguments = parser.parse_args()
    paths = [path for path in files.walk(arguments.paths) if isinstance(path, Path)]
    barrier = multiprocessing.Barrier(arguments.jobs + 1)
    with multiprocessing.Pool(arguments.jobs, _meet, (barrier,)) as pool:
        barrier.wait()
        began = time.perf_counter()
        music_s = sum(pool.imap_unordered(drained, paths))
        work_s = time.perf_counter() - began
    print(json.dumps({"work_s": work_s, "music_s": music_s}))


if __name__ == "__main__":
    main()
