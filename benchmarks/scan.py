"""How fast `musictag scan` is as a whole, and how far from the speed of decoding alone.

    python benchmarks/scan.py [ALBUM] [--device cuda] [--jobs N] [--runs N] [--only NAME…] [--json]

Whole commands run in turns, with nothing remembered; times are medians. Without
ALBUM it makes one of twelve four-minute mp3s, and a mix of three hours to
measure memory with. `--tracks` makes more: a machine with many cores decodes
twelve before the model is loaded. Memory is that of all processes of a scan at
once (Linux), with shared pages counted once.

NAME is one of: all, floor (decoding and resampling alone, see floor.py), three
(`--segments 3`), first (one track), help, version, usage, memory (of the album), mix
(the memory of three hours).
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import album
from commands import MUSICTAG, ROOT, Bound, Command, Run, in_turns, machine, median, run

from musictag import files

TIMED = ("all", "floor", "three", "first", "help", "version", "usage")
WEIGHED = ("memory", "mix")
LABELS = {
    "all": "scan, all segments",
    "floor": "decoding alone, all cores",
    "three": "scan --segments 3",
    "first": "scan of one track",
    "help": "--help",
    "version": "--version",
    "usage": "an unknown option",
    "memory": "scan, memory",
    "mix": "scan of a mix of three hours, memory",
}
MIX_S = 3 * 3600.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("album", nargs="?", type=Path, help="a folder of music (default: made)")
    parser.add_argument("--tracks", type=int, default=12, help="in the made album (default: 12)")
    parser.add_argument("--device", default="cpu", help="default: cpu")
    parser.add_argument("--jobs", type=int, help="decoding processes (default: one per core)")
    parser.add_argument("--runs", type=int, default=5, help="of each (default: 5)")
    parser.add_argument("--only", nargs="+", choices=TIMED + WEIGHED, metavar="NAME")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    names = arguments.only or TIMED + WEIGHED
    with tempfile.TemporaryDirectory() as folder:
        music = arguments.album
        if music is None:
            music = Path(folder, "album")
            music.mkdir()
            album.make(music, n_tracks=arguments.tracks)
        commands = commands_for(names, music, Path(folder), arguments.device, arguments.jobs)
        run(
            Command([*MUSICTAG, "--version"])
        )  # so that no timed run compiles modules or reads from a cold disk
        timed = {name: commands[name] for name in TIMED if name in commands}
        runs = in_turns(timed, arguments.runs)
        runs |= {name: [run(commands[name], watched=True)] for name in WEIGHED if name in commands}
    seconds = music_s(runs)
    found = bounds(runs, seconds, arguments.device)
    if arguments.json:
        rows = {name: [asdict(r) | {"output": ""} for r in rs] for name, rs in runs.items()}
        print(json.dumps({"runs": rows, "music_s": seconds, "bounds": [asdict(b) for b in found]}))
        return
    print(f"{machine()}, hearing on {arguments.device}; medians of {arguments.runs}")
    print(table(runs, seconds))
    print("\n".join(bound.line() for bound in found))


def commands_for(
    names: Sequence[str], music: Path, folder: Path, device: str, jobs: int | None
) -> dict[str, Command]:
    """Name → command. Makes the mix if it is asked for."""
    n_jobs = ["--jobs", str(jobs)] if jobs else []
    scan = [*MUSICTAG, "scan", "--format", "jsonl", "--device", device, *n_jobs]
    a_track = next(str(path) for path in files.walk([music]) if isinstance(path, Path))
    floor = [MUSICTAG[0], str(ROOT / "benchmarks" / "floor.py"), *n_jobs]
    commands = {
        "all": Command([*scan, str(music)]),
        "floor": Command([*floor, str(music)]),
        "three": Command([*scan, "--segments", "3", str(music)]),
        "first": Command([*scan, a_track]),
        "help": Command([*MUSICTAG, "--help"]),
        "version": Command([*MUSICTAG, "--version"]),
        "usage": Command([*MUSICTAG, "scan", "--what"], code=2),
        "memory": Command([*scan, str(music)]),
    }
    if "mix" in names:
        mix = album.make_track(folder / "mix.mp3", 0, seconds=MIX_S)
        commands["mix"] = Command([*scan, str(mix)])
    return {name: commands[name] for name in commands if name in names}


def music_s(runs: Mapping[str, Sequence[Run]]) -> dict[str, float]:
    """Name → seconds of music in the files, whether or not all of it was heard."""
    seconds = {}
    for name in ("all", "first", "memory", "mix"):
        for each in runs.get(name, [])[:1]:
            records = [json.loads(line) for line in each.output.splitlines()]
            seconds[name] = math.fsum(record["duration"] or 0.0 for record in records)
    if "all" in seconds:
        seconds |= {"three": seconds["all"], "floor": seconds["all"]}
    return seconds


def bounds(
    runs: Mapping[str, Sequence[Run]], seconds: Mapping[str, float], device: str
) -> list[Bound]:
    """Compare what was measured with what is asked for."""
    wall_s = {name: median(r.wall_s for r in rs) for name, rs in runs.items()}
    found = []
    if "all" in runs:
        found.append(
            Bound("times real time, all segments", seconds["all"] / wall_s["all"], 200, True)
        )
    if {"all", "floor"} <= runs.keys():
        most = 2.0 if device == "cpu" else 1.15
        work_s = median(json.loads(r.output)["work_s"] for r in runs["floor"])
        scan_s = wall_s["all"]
        found += [
            Bound("scan / decoding alone, whole commands", scan_s / wall_s["floor"], most),
            Bound("scan / decoding alone without its start", scan_s / work_s, most),
        ]
    if {"all", "three"} <= runs.keys():
        found.append(Bound("all segments / --segments 3", wall_s["all"] / wall_s["three"], 3, True))
    if "first" in runs:
        first_s = median(r.first_line_s for r in runs["first"])
        found.append(Bound("first track's tags, s after the start", first_s, 4))
    if "help" in runs:
        found.append(Bound("--help, s", wall_s["help"], 0.3))
    for name in WEIGHED:
        if name in runs:
            found.append(Bound(f"GB of memory, {LABELS[name]}", runs[name][0].memory_gb, 1.5))
    return found


def table(runs: Mapping[str, Sequence[Run]], seconds: Mapping[str, float]) -> str:
    lines = [f"{'':40}{'wall s':>9}{'fastest':>9}{'CPU s':>9}{'× real time':>13}{'GB':>7}"]
    for name, rs in runs.items():
        wall_s = median(r.wall_s for r in rs)
        cells = [
            f"  {LABELS[name]:38}{wall_s:9.2f}{min(r.wall_s for r in rs):9.2f}"
            f"{median(r.cpu_s for r in rs):9.2f}",
            f"{seconds[name] / wall_s:13.0f}" if name in seconds else " " * 13,
            f"{rs[0].memory_gb:7.2f}" if name in WEIGHED else "",
        ]
        lines.append("".join(cells).rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    main()
