"""What the size of a library costs: remembered files per second, memory, time per new track.

    python benchmarks/library.py [--only NAME…] [--runs N] [--folder DIR] [--plot SVG] [--json]

Whole commands are measured; times are medians. NAME is one of:

remembered  `musictag scan` of 1,000, 10,000 and 100,000 unchanged files (`--sizes`), as JSON lines
            into a file and as a table. The files are copies of small ones; a cache, filled by the
            program's own code, has different sound for each, and a journal has all of them as
            written by an earlier scan. Half are as musictag wrote them, a quarter have a genre
            set by their owner, and a quarter have lost their tags and would be written.
walk        Walking a tree of 500,000 such files (`--walk`), and scanning it once: time and memory.
growth      Time per new track of three seconds, with 10 to 1,000 of them (`--new`) and nothing
            remembered. Each size is compared with the next smaller one, because the first
            tracks are decoded while the model is loaded and cost less.

Memory is that of all processes at once, taken in a run of its own (Linux). Time per file leaves
out the start of the command, which is measured by a scan of one file. `--plot` draws what this
run has measured.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from commands import MUSICTAG, Bound, Command, Run, in_turns, machine, median, run
from shared import sounds

from musictag import metadata
from musictag.hearing import checkpoint
from musictag.metadata import Snapshot
from musictag.scan.job import File, Job
from musictag.scan.known import Known
from musictag.stores import summary
from musictag.stores.cache import Cache
from musictag.stores.journal import Journal
from musictag.stores.stored import StoredFields, StoredHearing
from musictag.training import curves

MODEL = "listener-5l-512h-gru"
OURS = {"GENRE": ("Rock",), "MOOD": ("Slow",)}
THEIRS = {"GENRE": ("Jazz",), "MOOD": ("Slow",)}
SUMMARY = summary.pack(np.linspace(-1, 1, 512), np.linspace(0, 1, 512))
KINDS: tuple[Mapping[str, tuple[str, ...]], ...] = (OURS, THEIRS, OURS, {})
"""The tags of every fourth file; the cache says that each of them is slow rock."""
WALK = """import pathlib, sys
from musictag import files
print(sum(1 for _ in files.walk([pathlib.Path(sys.argv[1])])))"""
PLOTS = {
    "remembered": "microseconds per remembered file, by number of files",
    "growth": "milliseconds per new track of 3 s, by number of tracks",
    "memory": "megabytes of memory, by number of new tracks",
}


@dataclass(frozen=True)
class Row:
    """One kind of scan of one size."""

    what: str
    n_files: int
    wall_s: float
    """Seconds for the whole command."""
    cpu_s: float
    each_s: float
    """Seconds per file, without the start of the command."""
    memory_gb: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=MEASURES, metavar="NAME", default=[*MEASURES])
    parser.add_argument("--sizes", nargs="+", type=int, default=[1000, 10_000, 100_000])
    parser.add_argument("--walk", type=int, default=500_000)
    parser.add_argument("--new", nargs="+", type=int, default=[10, 30, 100, 300, 1000])
    parser.add_argument("--runs", type=int, default=5, help="of each (default: 5)")
    parser.add_argument("--folder", type=Path, help="where the files are made (default: temporary)")
    parser.add_argument("--plot", type=Path, help="an SVG of what is measured")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for name in arguments.only:
            rows += MEASURES[name](Path(folder), arguments)
    if arguments.plot:
        arguments.plot.write_text(plot(rows), encoding="utf-8")
    if arguments.json:
        found = [asdict(bound) for bound in bounds(rows)]
        print(json.dumps({"rows": [asdict(row) for row in rows], "bounds": found}))
        return
    print(f"{machine()}; medians of {arguments.runs}")
    print(table(rows))
    print("\n".join(bound.line() for bound in bounds(rows)))


# ---------------------------------------------------------------- remembered


def remembered(folder: Path, arguments: argparse.Namespace) -> list[Row]:
    commands: dict[str, Command] = {}
    sizes = {f"{n:,}": n for n in (1, *arguments.sizes)}
    for n in sizes.values():
        home = folder / f"remembered {n}"
        make_remembered(home, n)
        for form in ("jsonl", "table"):
            commands[f"{form} {n:,}"] = scan(home / "music", home, form)
    runs = in_turns(commands, arguments.runs)
    return [
        row(
            f"remembered, {form}",
            n,
            commands[f"{form} {n:,}"],
            runs[f"{form} {n:,}"],
            runs[f"{form} 1"],
        )
        for form in ("jsonl", "table")
        for n in arguments.sizes
    ]


def scan(music: Path, home: Path, form: str = "jsonl") -> Command:
    """A scan with its output in a file, so that nobody has to empty a pipe."""
    words = [*MUSICTAG, "scan", os.fspath(music), "--format", form, "--device", "cpu"]
    return Command(
        ["sh", "-c", 'exec "$@" > "$0"', os.fspath(home / f"told.{form}"), *words], home=home
    )


def row(
    what: str,
    n_files: int,
    command: Command,
    runs: Sequence[Run],
    starts: Sequence[Run],
    n_started: int = 0,
) -> Row:
    """A row from the runs of a command and of its start, or of the same with fewer files.

    Memory comes from one more run, because looking at it takes time.
    """
    wall_s = median(r.wall_s for r in runs)
    each_s = (wall_s - median(r.wall_s for r in starts)) / (n_files - n_started)
    memory_gb = run(command, watched=True).memory_gb
    return Row(what, n_files, wall_s, median(r.cpu_s for r in runs), each_s, memory_gb)


def make_remembered(home: Path, n_files: int) -> None:
    """Make music below `home`, and the cache and journal that scans of it would have left."""
    print(f"making {n_files:,} remembered files …", file=sys.stderr)
    model = checkpoint.find(MODEL)
    numbers = random.Random(0)
    home.mkdir()
    _, untagged = song(home, {})
    _, tagged = song(home, OURS)
    before, after = untagged.to_json(), tagged.to_json()
    contents = [song(home, kind)[0] for kind in KINDS]
    with (
        Cache(home / "musictag" / "heard.sqlite") as cache,
        AtOnce(home / "musictag" / "journal.sqlite") as journal,
        journal.run(["scan", "--write"], model=model.name, model_digest=model.digest) as writing,
    ):
        known = Known(cache, model, segments=None)
        for number, path in enumerate(paths(home / "music", n_files)):
            kind = KINDS[number % len(KINDS)]
            path.write_bytes(contents[number % len(KINDS)])
            digest = hashlib.sha256(str(number).encode()).digest()
            heard = [0.003 * numbers.random() for _ in model.tags]
            for tag in ("rock", "slow"):
                heard[model.tags.index(tag)] = 0.99
            made_by = {"TITLE": ("A track",), "ARTIST": ("Somebody",), "ALBUM": (path.parent.name,)}
            values = {field: kind.get(field, ()) for field in metadata.FIELDS}
            fields = StoredFields(values, about=made_by)
            file = File(path.stat(), digest, fields)
            known.remember(
                Job(number, path, file, StoredHearing(240.0, tuple(heard), summary=SUMMARY))
            )
            entry = writing.intend(
                path,
                before=before,
                after=after,
                payload=digest,
                fields=[*OURS],
                others={"MOOD": ()} if kind is THEIRS else {"GENRE": (), "MOOD": ()},
            )
            writing.done(entry)


class AtOnce(Journal):
    """A journal that reaches the disk only at the end, because 100,000 entries take very long."""

    def __enter__(self) -> AtOnce:
        self._database.execute("BEGIN")
        return self

    def __exit__(self, *_: object) -> None:
        self._database.execute("COMMIT")
        self.close()

    @contextlib.contextmanager
    def _writing(self, _: str) -> Iterator[Callable[..., sqlite3.Cursor]]:
        yield self._database.execute


def song(folder: Path, values: Mapping[str, tuple[str, ...]]) -> tuple[bytes, Snapshot]:
    """A second of music with these tags, and its metadata as read back."""
    path: Path = sounds.make(folder, "mp3", seconds=1, rate_hz=8000, channels=1)
    metadata.write(path, values)
    content, snapshot = path.read_bytes(), metadata.snapshot(path)
    path.unlink()
    return content, snapshot


def paths(folder: Path, n_files: int) -> Iterator[Path]:
    """Paths for tracks: ten to an album, a hundred albums to a folder."""
    for number in range(n_files):
        album = folder / f"{number // 1000:03}" / f"Album {number // 10 % 100:02}"
        if number % 10 == 0:
            album.mkdir(parents=True)
        yield album / f"{number % 10:02} A track of it.mp3"


# ---------------------------------------------------------------- walk


def walk(folder: Path, arguments: argparse.Namespace) -> list[Row]:
    one, home = folder / "walk 1", folder / "walk"
    make_remembered(one, 1)
    make_remembered(home, arguments.walk)
    commands: dict[str, Callable[[Path], Command]] = {
        "walk": lambda home: Command([sys.executable, "-c", WALK, os.fspath(home / "music")]),
        "walk and scan, once": lambda home: scan(home / "music", home),
    }
    return [
        row(what, arguments.walk, command(home), [run(command(home))], [run(command(one))])
        for what, command in commands.items()
    ]


# ---------------------------------------------------------------- growth


def growth(folder: Path, arguments: argparse.Namespace) -> list[Row]:
    commands = {}
    for n in (1, *arguments.new):
        print(f"making {n:,} new tracks …", file=sys.stderr)
        music = folder / f"new {n}"
        for number, path in enumerate(paths(music, n)):
            noise = sounds.noise(rate_hz=8000, channels=1, seed=number, amplitude=0.05)
            chord = sounds.chord(rate_hz=8000, channels=1, seed=number % 8)
            sounds.write(path.with_suffix(".wav"), "wav", chord + noise, 8000)
        commands[f"{n:,} new"] = Command(
            [*MUSICTAG, "scan", os.fspath(music), "--format", "jsonl", "--device", "cpu"]
        )
    runs = in_turns(commands, arguments.runs)
    sizes = [f"{n:,} new" for n in (1, *arguments.new)]
    return [
        row("new", n, commands[size], runs[size], runs[fewer], n_fewer)
        for fewer, size, n_fewer, n in zip(
            sizes, sizes[1:], (1, *arguments.new), arguments.new, strict=False
        )
    ]


MEASURES = {"remembered": remembered, "walk": walk, "growth": growth}


# ---------------------------------------------------------------- told


def bounds(rows: Sequence[Row]) -> list[Bound]:
    """Compare what was measured with what is asked for."""
    found = [
        Bound(f"files per second, {row.what}, {row.n_files:,}", 1 / row.each_s, 5000, at_least=True)
        for row in rows
        if row.what.startswith("remembered")
    ]
    for what in ("remembered, jsonl", "remembered, table", "new"):
        sizes = [row for row in rows if row.what == what]
        if what == "new":
            sizes = [row for row in sizes if row.n_files >= 100]
        if len(sizes) > 1:
            ratio = sizes[-1].each_s / sizes[0].each_s
            few, many = f"{sizes[0].n_files:,}", f"{sizes[-1].n_files:,}"
            found.append(Bound(f"time per file, {what}: {many} / {few}", ratio, 1.2))
    if rows:
        found.append(Bound("GB of memory, the most of all", max(r.memory_gb for r in rows), 1.5))
    return found


def table(rows: Sequence[Row]) -> str:
    head = f"{'':26}{'files':>9}{'wall s':>9}{'CPU s':>9}{'µs/file':>10}{'files/s':>9}{'MB':>7}"
    return "\n".join(
        [
            head,
            *(
                f"  {row.what:24}{row.n_files:9,}{row.wall_s:9.2f}{row.cpu_s:9.2f}"
                f"{1e6 * row.each_s:10.0f}{1 / row.each_s:9.0f}{1000 * row.memory_gb:7.0f}"
                for row in rows
            ),
        ]
    )


def plot(rows: Sequence[Row]) -> str:
    """Time and memory over the number of files: flat lines if all is well."""
    panels: dict[str, dict[str, list[float]]] = {}
    steps: dict[str, list[str]] = {}
    for row in rows:
        kind, _, form = row.what.partition(", ")
        lines = {
            "remembered": [("remembered", form, 1e6 * row.each_s)],
            "new": [
                ("growth", "a track", 1e3 * row.each_s),
                ("memory", "all processes", 1e3 * row.memory_gb),
            ],
        }
        for name, label, value in lines.get(kind, []):
            panels.setdefault(PLOTS[name], {}).setdefault(label, []).append(value)
            named = steps.setdefault(PLOTS[name], [])
            if f"{row.n_files:,}" not in named:
                named.append(f"{row.n_files:,}")
    return curves.svg(panels, steps=steps)


if __name__ == "__main__":
    main()
