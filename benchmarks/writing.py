"""What a safe write costs: musictag's write against mutagen's own, for the same fields.

    python benchmarks/writing.py              a 5 MB mp3 and a 40 MB flac, made here; medians of 7

"in place" is what most taggers do: mutagen opens the file, sets the fields and saves. "safe" is
`metadata.write`: it copies the file, lets mutagen change the copy, reads everything again and
compares it, flushes the copy to the disk and puts it in the file's place. "and sound" also
compares the audio packets, as a scan does. All ways run in turns on one disk, first with a tag
that has room for the fields, then with one that must grow, so that everything behind it moves.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mutagen.flac
import mutagen.id3
import mutagen.mp3
from shared import sounds

from musictag import metadata
from musictag.audio.digest import payload_digest

FIELDS = {
    "GENRE": ("Rock", "Choral"),
    "MOOD": ("Slow",),
    "INSTRUMENT": ("Piano", "Harp"),
    "VOCALS": ("Female",),
}
KINDS: dict[str, Any] = {".flac": mutagen.flac.FLAC, ".mp3": mutagen.mp3.MP3}
FILES = {"mp3": 5_000_000, "flac": 40_000_000}


@dataclass(frozen=True)
class Row:
    """Milliseconds, medians; ratios are to mutagen in place."""

    file: str
    megabytes: float
    tag: str
    in_place: float
    in_place_to_disk: float
    safe: float
    safe_and_sound: float
    ratio: float
    ratio_to_disk: float


def in_place(path: Path) -> None:
    """Write as mutagen's manual shows it."""
    file: mutagen.FileType = (mutagen.flac.FLAC if path.suffix == ".flac" else mutagen.mp3.MP3)(
        path
    )
    if file.tags is None:
        file.add_tags()
    if isinstance(file, mutagen.flac.FLAC):
        for name, values in FIELDS.items():
            file[name] = list(values)
    else:
        tags: Any = file.tags
        frames: Any = mutagen.id3
        tags.add(frames.TCON(encoding=0, text=list(FIELDS["GENRE"])))
        tags.add(frames.TMOO(encoding=0, text=list(FIELDS["MOOD"])))
        for name in ("INSTRUMENT", "VOCALS"):
            tags.add(frames.TXXX(encoding=0, desc=name, text=list(FIELDS[name])))
    file.save()


def in_place_to_disk(path: Path) -> None:
    in_place(path)
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def safe(path: Path) -> None:
    metadata.write(path, FIELDS)


def safe_and_sound(path: Path) -> None:
    metadata.write(path, FIELDS, payload_digest=payload_digest)


WAYS: tuple[Callable[[Path], None], ...] = (in_place, in_place_to_disk, safe, safe_and_sound)


def made(folder: Path, container: str, size: int, *, room: bool) -> Path:
    """A file of about this size whose tag has room for the fields, or has none."""
    piece = sounds.make(folder, container, seconds=30)
    seconds = 30 * size / piece.stat().st_size
    path: Path = sounds.make(folder, container, seconds=seconds)
    file: Any = KINDS[path.suffix](path)
    file.save(padding=lambda _: 4096 if room else 0)
    return path


def milliseconds(way: Callable[[Path], None], path: Path, content: bytes) -> float:
    path.write_bytes(content)
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    start = time.perf_counter()
    way(path)
    return 1000 * (time.perf_counter() - start)


def measure(path: Path, tag: str, repeats: int) -> Row:
    content = path.read_bytes()
    times: dict[str, list[float]] = {way.__name__: [] for way in WAYS}
    for _ in range(repeats):
        for way in WAYS:
            times[way.__name__].append(milliseconds(way, path, content))
    medians = {name: statistics.median(values) for name, values in times.items()}
    return Row(
        file=path.name,
        megabytes=len(content) / 1e6,
        tag=tag,
        **medians,
        ratio=medians["safe"] / medians["in_place"],
        ratio_to_disk=medians["safe"] / medians["in_place_to_disk"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: temporary)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for container, size in FILES.items():
            for tag, room in (("has room", True), ("must grow", False)):
                path = made(Path(folder), container, size, room=room)
                rows.append(measure(path, tag, arguments.repeats))
    if arguments.json:
        print(json.dumps({"rows": [asdict(row) for row in rows]}))
        return
    print(
        f"{'ms, median of ' + str(arguments.repeats):22}{'in place':>10}{'+ fsync':>10}"
        f"{'safe':>10}{'and sound':>10}{'safe/in place':>15}{'safe/+ fsync':>14}"
    )
    for row in rows:
        print(
            f"{row.megabytes:3.0f} MB {row.file:9}{row.tag:>10}{row.in_place:9.1f}"
            f"{row.in_place_to_disk:10.1f}{row.safe:10.1f}{row.safe_and_sound:10.1f}"
            f"{row.ratio:15.1f}{row.ratio_to_disk:14.1f}"
        )


if __name__ == "__main__":
    main()
