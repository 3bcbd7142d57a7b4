"""musictag against other ways to tag music: same machine, same files, in turns.

    python benchmarks/against.py [ALBUM] [--musicnn PYTHON] [--settag COMMAND] [--essentia COMMAND]
                                 [--runs N] [--few N] [--only NAME…] [--json]

    musictag  `musictag scan` of the whole album, every track to its end, nothing remembered
    musicnn   (Pons and Serra) its command, `python -m musicnn.tagger FILE --print`, which takes
              one file; and its function `extractor` for all files in one process. Its defaults:
              the whole track, in pieces of 3 s that do not overlap.
    loop      the plainest way to write the same kind of front end and network, with librosa and
              kymatio, one segment after the other (peers/loop.py)
    settag, essentia-autotagger   their commands, if their models are installed; the models
              come from essentia.upf.edu

The others are slow, so they hear only the album's first `--few` tracks. What is compared is
throughput, seconds of music per second, with and without the time a command needs to start.
For musictag the latter is the throughput of the album's tracks after the first. `--only` takes
the names above, `one` (a scan of one track, always measured) and `extractor`. Everything runs
once before it is timed.

Each of the others needs an environment of its own:

    python3.11 -m venv musicnn && musicnn/bin/pip install tensorflow-cpu==2.15.1 'librosa<0.12' 'numpy<2'
    musicnn/bin/pip install --no-deps musicnn==0.1.0
        (it asks for numpy < 1.17 but runs with this, about twice as fast as with the versions of
        its time: Python 3.7, tensorflow==1.15.5 numpy==1.16.6 librosa==0.7.2)
    python3.11 -m venv settag && settag/bin/pip install settag==0.2.2
    python3.11 -m venv essentia && essentia/bin/pip install essentia-autotagger[analysis]==0.1.0

The loop runs in musictag's own environment, with librosa from `pip install musictag[test]`.
"""  # noqa: E501  # commands to be copied

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import album
from commands import MUSICTAG, ROOT, Bound, Command, Failed, Run, in_turns, machine, median, run

from musictag import files
from musictag.audio.track import Track

PEERS = ROOT / "benchmarks" / "peers"


@dataclass(frozen=True)
class Rival:
    """One way to tag the same music."""

    label: str
    command: Command
    paths: Sequence[Path]
    wanted: float | None = None
    """How many times this throughput is asked of musictag."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("album", nargs="?", type=Path, help="a folder of music (default: made)")
    parser.add_argument("--musicnn", metavar="PYTHON", help="of an environment that has it")
    parser.add_argument("--settag", metavar="COMMAND")
    parser.add_argument("--essentia", metavar="COMMAND", help="essentia-autotagger")
    parser.add_argument("--runs", type=int, default=5, help="of each (default: 5)")
    parser.add_argument("--few", type=int, default=1, help="tracks for the others (default: 1)")
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        music = arguments.album or Path(folder)
        if arguments.album is None:
            album.make(music)
        tracks = [path for path in files.walk([music]) if isinstance(path, Path)]
        found, absent = present(rivals(arguments, tracks))
        runs = in_turns({name: rival.command for name, rival in found.items()}, arguments.runs)
        seconds = {path: duration_s(path) for path in tracks}
    music_s = {name: sum(seconds[path] for path in rival.paths) for name, rival in found.items()}
    rows = {name: row(runs[name], music_s[name]) for name in found}
    rows["musictag"] |= {"loaded": further(runs, music_s)}
    bounds = compared(found, rows)
    if arguments.json:
        every = {name: [asdict(r) | {"output": ""} for r in rs] for name, rs in runs.items()}
        print(
            json.dumps(
                {
                    "runs": every,
                    "rows": rows,
                    "absent": absent,
                    "bounds": [asdict(bound) for bound in bounds],
                }
            )
        )
        return
    print(f"{machine()}; medians of {arguments.runs}")
    print(table(found, rows))
    print("\n".join(bound.line() for bound in bounds))
    for name, reason in absent.items():
        print(f"  {name} could not be measured: {reason}")


def rivals(arguments: argparse.Namespace, tracks: Sequence[Path]) -> dict[str, Rival]:
    """Name → rival, with musictag and its scan of one track first."""
    few = tracks[: arguments.few]
    few_s = [str(path) for path in few]
    scan = [*MUSICTAG, "scan", "--format", "jsonl", "--device", "cpu"]
    python = arguments.musicnn
    every = {
        "musictag": Rival("musictag scan", Command([*scan, *map(str, tracks)]), tracks),
        "one": Rival("musictag scan, one track", Command([*scan, str(tracks[0])]), tracks[:1]),
        "loop": Rival(
            "librosa, kymatio, network in a loop",
            Command([sys.executable, str(PEERS / "loop.py"), *few_s]),
            few,
            wanted=20,
        ),
    }
    if python:
        command = [python, "-m", "musicnn.tagger", few_s[0], "--print"]
        functions = [python, str(PEERS / "musicnn_functions.py"), *few_s]
        every["musicnn"] = Rival("musicnn's command", Command(command), few[:1], wanted=5)
        every["extractor"] = Rival("musicnn's extractor", Command(functions), few, wanted=5)
    if arguments.settag:
        whole = ["--genre-sample", "full", few_s[0]]
        every["settag"] = Rival(
            "settag", Command([arguments.settag, "analyze", *whole], at_home=True), few[:1]
        )
    if arguments.essentia:
        words = [arguments.essentia, "--dry-run", "--overwrite", "--max-duration", "0", *few_s]
        every["essentia"] = Rival("essentia-autotagger", Command(words, at_home=True), few)
    wanted = {"musictag", "one", *(arguments.only or every)}
    return {name: rival for name, rival in every.items() if name in wanted}


def present(rivals: Mapping[str, Rival]) -> tuple[dict[str, Rival], dict[str, str]]:
    """The rivals that run here, after a run that does not count, and why the others do not."""
    reasons = {name: reason_against(rival.command) for name, rival in rivals.items()}
    found = {name: rival for name, rival in rivals.items() if not reasons[name]}
    return found, {rivals[name].label: reason for name, reason in reasons.items() if reason}


def reason_against(command: Command) -> str:
    """Why a command does not run here; empty if it does."""
    print(f"{command.words[0]}, to warm up …", file=sys.stderr)
    try:
        run(command)
    except (Failed, OSError) as error:
        return str(error).splitlines()[-1]
    return ""


def duration_s(path: Path) -> float:
    track = Track(path)
    for _ in track.segments():
        pass
    return track.duration_s or 0.0


def row(runs: Sequence[Run], music_s: float) -> dict[str, float]:
    """Throughput with the command's start, and without it if the output says how long it took."""
    wall_s = median(r.wall_s for r in runs)
    found = {"music_s": music_s, "wall_s": wall_s, "cpu_s": median(r.cpu_s for r in runs)}
    found |= {"whole": music_s / wall_s, "per_cpu": music_s / found["cpu_s"]}
    last = runs[0].output.rstrip().rpartition("\n")[2]
    if last.startswith('{"load_s"'):
        work_s = median(json.loads(r.output.rstrip().rpartition("\n")[2])["work_s"] for r in runs)
        found["loaded"] = music_s / work_s
    return found


def further(runs: Mapping[str, Sequence[Run]], music_s: Mapping[str, float]) -> float:
    """musictag's throughput for the tracks after the first: the first one includes the start."""
    walls_s = [median(r.wall_s for r in runs[name]) for name in ("musictag", "one")]
    return (music_s["musictag"] - music_s["one"]) / (walls_s[0] - walls_s[1])


def compared(found: Mapping[str, Rival], rows: Mapping[str, Mapping[str, float]]) -> list[Bound]:
    bounds = []
    for name, rival in found.items():
        if rival.wanted is not None:
            for kind, said in (("whole", "with start"), ("loaded", "without")):
                if kind in rows[name]:
                    ratio = rows["musictag"][kind] / rows[name][kind]
                    what = f"musictag / {rival.label}, {said}"
                    bounds.append(Bound(what, ratio, rival.wanted, at_least=True))
    return bounds


def table(found: Mapping[str, Rival], rows: Mapping[str, Mapping[str, float]]) -> str:
    lines = [
        f"{'':38}{'tracks':>8}{'music s':>9}{'wall s':>9}{'CPU s':>9}"
        f"{'per CPU s':>11}{'× real time':>13}{'without start':>15}"
    ]
    for name, rival in found.items():
        r = rows[name]
        loaded = f"{r['loaded']:15.1f}" if "loaded" in r else ""
        lines.append(
            f"  {rival.label:36}{len(rival.paths):8}{r['music_s']:9.0f}{r['wall_s']:9.2f}"
            f"{r['cpu_s']:9.2f}{r['per_cpu']:11.1f}{r['whole']:13.1f}{loaded}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
