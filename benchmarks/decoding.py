"""How fast each decoder of musictag.audio is, per container: CPU seconds per minute of music.

    python benchmarks/decoding.py                     two minutes of made music in every container
    python benchmarks/decoding.py song.mp3 --json     this file

Decoders are measured with mixing to mono and without resampling, on one thread, as the
best of three CPU times. The ratio libsndfile/ffmpeg decides which of them is asked first
(libsndfile if it is below 1). "track" is the whole way to 16 kHz segments.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from shared import sounds

from musictag.audio import ffmpeg, libsndfile
from musictag.audio.blocks import GaveUp
from musictag.audio.digest import payload_digest
from musictag.audio.track import Track


def cpu_s(work: Callable[[], object], repeats: int = 3) -> float:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def drain(items: Iterator[object]) -> None:
    for _ in items:
        pass


@dataclass(frozen=True)
class Row:
    """CPU seconds per minute of music; None where a decoder cannot read the file."""

    file: str
    first: str
    libsndfile: float | None
    ffmpeg: float | None
    ratio: float | None
    track: float
    times_real_time: float
    digest: float


def measure(path: Path) -> Row:
    track = Track(path)
    drain(track.segments())
    minutes = (track.duration_s or 0.0) / 60
    libsndfile_s = door_s(libsndfile.blocks, path)
    ffmpeg_s = door_s(ffmpeg.blocks, path)
    whole = cpu_s(lambda: drain(Track(path).segments()))
    return Row(
        file=path.name,
        first=track.decoder,
        libsndfile=libsndfile_s / minutes if libsndfile_s else None,
        ffmpeg=ffmpeg_s / minutes if ffmpeg_s else None,
        ratio=libsndfile_s / ffmpeg_s if libsndfile_s and ffmpeg_s else None,
        track=whole / minutes,
        times_real_time=60 * minutes / whole,
        digest=cpu_s(lambda: payload_digest(path)) / minutes,
    )


def door_s(door: Callable[[Path, float], Iterator[object]], path: Path) -> float | None:
    try:
        return cpu_s(lambda: drain(door(path, 0.0)))
    except GaveUp:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="music to decode (default: made)")
    parser.add_argument("--seconds", type=float, default=120.0, help="length of what is made")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        files = arguments.files or [
            sounds.make(Path(directory), container, seconds=arguments.seconds)
            for container in sounds.CONTAINERS
        ]
        rows = [measure(path) for path in files]
    if arguments.json:
        print(json.dumps({"rows": [asdict(row) for row in rows]}))
        return
    columns = [field.name for field in fields(Row)][2:]
    print(f"{'file':28}{'first':>12}" + "".join(f"{name:>16}" for name in columns))
    for row in rows:
        numbers = (getattr(row, name) for name in columns)
        cells = (f"{'–':>16}" if n is None else f"{n:16.4g}" for n in numbers)
        print(f"{row.file:28}{row.first:>12}" + "".join(cells))


if __name__ == "__main__":
    main()
