"""Damaged files of every container, through everything that a scan does with a file.

    python tests/fuzz.py 20000                 so many files, and a table of how they ended
    python tests/fuzz.py --case flac:17        one of them again, with what was said of it
    python tests/fuzz.py --case flac:17 --keep flac-17.flac

A case is a container and a number: the same case is the same file wherever it
is made. Each is decoded, read, planned and written by `pipeline.scan`, with a
model that hears a half of everything, in processes that are watched from here.
What may not happen has a word in capitals: CRASHED (the scan ended by itself),
HUNG, CHANGED (a file is not what it was, and was not reported as written),
UNTRUE (reported as written, and reads otherwise), LEFT (a temporary file).
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import json
import os
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path += map(os.fspath, (HERE / "support", HERE.parent))  # musictag too, unless installed

import containers
import sounds
from ears import FakeEar

CONTAINERS = (*sounds.CONTAINERS, *(f"{name}-header" for name in containers.HEADERS))
"""What can be damaged: all that the tests can make."""
FORBIDDEN = ("CRASHED", "HUNG", "CHANGED", "UNTRUE", "LEFT")
TIME_S = 150
"""For one file, however busy the machine; a decoder that hangs is noticed by our own after 60 s."""
MOST_MEMORY = 1500 << 20
BATCH = 40
"""Files in one scan."""


# ---------------------------------------------------------------- damage


@functools.cache
def whole(container: str, decorated: bool) -> bytes:
    """A small sound file, bare or with all sorts of metadata."""
    if container.endswith("-header"):
        suffix, make = containers.HEADERS[container.removesuffix("-header")]
        content = make()
    else:
        suffix = sounds.CONTAINERS[container].suffix
        content = sounds.encode(container, sounds.chord(1.5, rate_hz=16_000), 16_000)
    taggable = container.endswith("-header") or sounds.CONTAINERS[container].taggable
    if not decorated or not taggable:
        return content
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a" + suffix)
        path.write_bytes(content)
        containers.decorate(path)
        return path.read_bytes()


def suffix_of(container: str) -> str:
    if container.endswith("-header"):
        return containers.HEADERS[container.removesuffix("-header")][0]
    return sounds.CONTAINERS[container].suffix


def damaged(case: str) -> bytes:
    """The file of a case."""
    container, _, number = case.rpartition(":")
    chance = random.Random(case)
    content = bytearray(whole(container, decorated=int(number) % 2 == 1))
    for _ in range(chance.choice((1, 1, 1, 1, 2, 5))):
        chance.choice(DAMAGES)(content, chance)
        if not content:
            break
    del content[4 << 20 :]
    if int(number) // 2 % 2:
        _make_checksums_true(content)
    return bytes(content)


def _make_checksums_true(content: bytearray) -> None:
    """Of Ogg pages (RFC 3533, section 6): what is damaged in a page is refused for its checksum, so
    that without this hardly anything would be seen of what is behind that."""
    at = content.find(b"OggS")
    while at >= 0:
        page = content[at : at + 27 + 255 * 256]
        if len(page) < 27:
            break
        length = 27 + page[26] + sum(page[27 : 27 + page[26]])
        page[22:26] = bytes(4)
        content[at + 22 : at + 26] = _ogg_checksum(page[:length]).to_bytes(4, "little")
        at = content.find(b"OggS", at + 4)


def _ogg_checksum(page: bytes) -> int:
    checksum = 0
    for byte in page:
        checksum = (checksum << 8 & 0xFFFFFFFF) ^ _OGG_TABLE[checksum >> 24 ^ byte]
    return checksum


def _ogg_table() -> Iterator[int]:
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = value << 1 ^ (0x104C11DB7 if value >> 31 else 0)
        yield value


_OGG_TABLE = tuple(_ogg_table())


def _place(content: bytearray, chance: random.Random) -> int:
    """Mostly where headers are: at the start, at the end, at a name of four letters."""
    n = len(content)
    kind = chance.random()
    if kind < 0.2:
        return chance.randrange(min(n, 512))
    if kind < 0.3:
        return chance.randrange(max(0, n - 512), n)
    if kind < 0.6:
        starts = [at for at in map(content.find, NAMES) if at >= 0]
        if starts:
            return min(n - 1, max(0, chance.choice(starts) + chance.randrange(-8, 24)))
    return chance.randrange(n)


NAMES = (
    *(b"RIFF", b"fmt ", b"data", b"id3 ", b"LIST", b"FORM", b"COMM", b"SSND", b"caff", b"desc"),
    *(b"moov", b"trak", b"stbl", b"stsz", b"stco", b"stsc", b"stts", b"udta", b"meta", b"ilst"),
    *(b"fLaC", b"OggS", b"OpusHead", b"OpusTags", b"vorbis", b"ID3", b"APIC", b"TXXX", b"CHAP"),
    *(b"Xing", b"Info", b"LAME", b"TAG", b"APETAGEX", b"wvpk", b"TTA1", b"MAC ", b"DSD ", b"PROP"),
    *(b"FRM8", b"tBaK", b"MP+", b"OFR ", b"Speex", b"mdat", b"esds", b"alac", b"covr", b"----"),
    *(bytes.fromhex("3026b275"), bytes.fromhex("a1dcab8c"), bytes.fromhex("1a45dfa3"), b"\xff\xfb"),
)


def _flip(content: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        content[_place(content, chance)] ^= 1 << chance.randrange(8)


def _overwrite(content: bytearray, chance: random.Random) -> None:
    at = _place(content, chance)
    content[at : at + chance.randrange(1, 32)] = chance.randbytes(chance.randrange(1, 32))


def _truncate(content: bytearray, chance: random.Random) -> None:
    at = chance.choice((chance.randrange(len(content)), _place(content, chance)))
    del content[at:]


def _cut_out(content: bytearray, chance: random.Random) -> None:
    at = _place(content, chance)
    del content[at : at + chance.choice((1, 4, 100, len(content) // 4))]


def _repeat(content: bytearray, chance: random.Random) -> None:
    at = _place(content, chance)
    piece = content[at : at + chance.choice((4, 30, 1000, len(content)))]
    content[at:at] = piece * chance.choice((1, 2, 10))


def _splice(content: bytearray, chance: random.Random) -> None:
    other = whole(chance.choice(CONTAINERS), decorated=chance.random() < 0.5)
    start = chance.choice((0, chance.randrange(len(other))))
    at = chance.choice((0, _place(content, chance)))
    content[at : at + chance.choice((0, 100, len(content)))] = other[start : start + 20_000]


def _empty(content: bytearray, chance: random.Random) -> None:
    at = _place(content, chance)
    n = min(len(content) - at, chance.choice((4, 64, 4096)))
    content[at : at + n] = bytes([chance.choice((0, 255))]) * n


def _lie(content: bytearray, chance: random.Random) -> None:
    """Another number where one may be: nothing, a little less or more, far more than there is."""
    width = chance.choice((1, 2, 3, 4, 4, 4, 8))
    order: Any = chance.choice(("big", "little"))
    at = min(_place(content, chance), max(0, len(content) - width))
    was = int.from_bytes(content[at : at + width], order)
    top = 1 << 8 * width
    claim = chance.choice(
        (
            0,
            1,
            was + 1,
            was - 1,
            was * 2,
            top - 1,
            top // 2,
            top // 2 - 1,
            top - 8,
            1 << 30,
            1 << 24,
        )
    )
    content[at : at + width] = (claim % top).to_bytes(width, order)


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(_flip, _overwrite, _truncate, _cut_out, _repeat, _splice, _empty, _lie, _lie, _lie),
)


# ---------------------------------------------------------------- the process that scans


class Ears(FakeEar):
    name, digest, front_end, tags, thresholds = "fuzz", "fuzz", {}, ("rock",), {"Rock": 0.4}


def scanned(cases: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Each case and how it ended: a word, and what was said."""
    from musictag import metadata  # noqa: PLC0415
    from musictag.config import Settings  # noqa: PLC0415
    from musictag.errors import FileError  # noqa: PLC0415
    from musictag.scan import pipeline  # noqa: PLC0415
    from musictag.stores.cache import Cache  # noqa: PLC0415
    from musictag.stores.journal import Journal  # noqa: PLC0415

    settings = Settings(
        device="cpu",
        jobs=1,
        existing={"GENRE": "replace"},
        comment="[{mood}; {genre}]",
        grouping="[{genre}]",
        provenance=True,
    )
    with (
        tempfile.TemporaryDirectory(prefix="fuzz") as elsewhere,
        tempfile.TemporaryDirectory(prefix="fuzz") as folder,
        Journal(Path(elsewhere, "journal")) as journal,
    ):
        before = {}
        for n, case in enumerate(cases):
            path = Path(folder, f"{n:03}" + suffix_of(case.rpartition(":")[0]))
            before[path] = case, damaged(case)
            path.write_bytes(before[path][1])
        ears: Any = Ears()
        outcomes = pipeline.scan(
            list(before), ears, settings, cache=Cache(None), journal=journal, write=["fuzz"]
        )
        for outcome in outcomes:
            case, content = before[outcome.path]
            word: str = outcome.status
            said = "" if outcome.error is None else f"{outcome.error.code}: {outcome.error.message}"
            if outcome.status == "failed":
                word = said.partition(":")[0]
            if outcome.status == "written":
                try:
                    if metadata.read(outcome.path)["GENRE"] != outcome.fields["GENRE"].new:
                        word = "UNTRUE"
                except FileError as error:
                    word, said = "UNTRUE", str(error)
            elif outcome.path.read_bytes() != content:
                word = "CHANGED"
            if strange := set(Path(folder).iterdir()) - set(before):
                word, said = "LEFT", str(strange)
                for path in strange:
                    path.unlink()
            yield case, word, said


def work() -> None:
    """Cases come on standard input, a JSON list a line; how each ended goes to standard output."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with contextlib.suppress(ImportError):  # where there are no such limits
        import resource  # noqa: PLC0415

        if sys.platform == "linux":
            resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    for line in sys.stdin:
        for result in scanned(json.loads(line)):
            print(json.dumps(result), file=answers, flush=True)
        print(json.dumps(_peak_mb()), file=answers, flush=True)


def _peak_mb() -> int:
    """The most that this process or one of its decoders has held."""
    try:
        import resource  # noqa: PLC0415
    except ImportError:
        return 0
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(one).ru_maxrss for one in who) >> 10


# ---------------------------------------------------------------- who watches them


@dataclass
class Result:
    case: str
    word: str
    said: str
    took_s: float


class Watched:
    """A process that scans, replaced by a new one when it dies or hangs."""

    def __init__(self, command: Sequence[str] = (sys.executable, __file__, "--work")) -> None:
        self.peak_mb = 0
        self._command = command
        self._process: subprocess.Popen[str] | None = None

    def run(self, cases: list[str]) -> Iterator[Result]:
        """Of a batch that dies the rest is run one by one, so that it is known who did it."""
        results = list(self._attempt(cases))
        if len(cases) == 1 or results[-1].word not in ("CRASHED", "HUNG"):
            yield from results
            return
        yield from results[:-1]
        for case in cases[len(results) - 1 :]:
            yield from self._attempt([case])

    def _attempt(self, cases: list[str]) -> Iterator[Result]:
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(cases) + "\n")
            process.stdin.flush()
        for n in range(len(cases) + 1):
            start_s = time.monotonic()
            alarm = threading.Timer(TIME_S, process.kill)
            alarm.start()
            line = process.stdout.readline()
            alarm.cancel()
            took_s = time.monotonic() - start_s
            if not line:
                word = "HUNG" if took_s >= TIME_S else "CRASHED"
                case = cases[min(n, len(cases) - 1)]
                yield Result(case, word, self._last_words(), took_s)
                return
            if n == len(cases):
                self.peak_mb = max(self.peak_mb, json.loads(line))
            else:
                yield Result(*json.loads(line), took_s)

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._errors = tempfile.TemporaryFile(  # noqa: SIM115  # until close
                "w+", encoding="utf-8", errors="replace"
            )
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                encoding="utf-8",
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(sys.path),
                    "OMP_NUM_THREADS": "1",
                },
            )
        return self._process

    def _last_words(self) -> str:
        self._errors.seek(0)
        words = self._errors.read().strip().splitlines()
        self.close()
        return " / ".join(words[-4:]) or "without a word"

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, self._errors):
                if stream is not None:
                    with contextlib.suppress(BrokenPipeError):
                        stream.close()


def cases(n: int, only: str = "") -> list[str]:
    """So many, of all containers alike."""
    chosen = [name for name in CONTAINERS if only in name]
    numbered = ((name, number) for number in itertools.count() for name in chosen)
    return [f"{name}:{number}" for name, number in itertools.islice(numbered, n)]


def run(
    chosen: list[str], *, jobs: int = 2, tell: Callable[[Result], None] = lambda result: None
) -> tuple[list[Result], int]:
    """All results, and the most memory in MB that one process held."""
    batches: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
    for start in range(0, len(chosen), BATCH):
        batches.put(chosen[start : start + BATCH])
    results: list[Result] = []
    watched = [Watched() for _ in range(jobs)]

    def work_off(one: Watched) -> None:
        with contextlib.closing(one), contextlib.suppress(queue.Empty):
            while True:
                for result in one.run(batches.get_nowait()):
                    results.append(result)
                    tell(result)

    threads = [threading.Thread(target=work_off, args=(one,)) for one in watched]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results, max(one.peak_mb for one in watched)


def table(results: Iterable[Result]) -> str:
    """Container × outcome."""
    counts = Counter((result.case.rpartition(":")[0], result.word) for result in results)
    first = ("written", "unchanged", "planned", "skipped")
    found = {word for _, word in counts}
    words = [*(w for w in first if w in found), *sorted(found - {*first, *FORBIDDEN})]
    words += FORBIDDEN
    rows = [("", *words, "all")]
    for name in (*CONTAINERS, "all"):
        row = [
            sum(n for (c, w), n in counts.items() if name in (c, "all") and w == word)
            for word in words
        ]
        if sum(row):
            rows.append((name, *(str(n or "·") for n in row), str(sum(row))))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("n", type=int, nargs="?", default=1000)
    parser.add_argument("--only", default="", help="containers with this in their name")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--case", help="one case, with what was said of it")
    parser.add_argument("--keep", type=Path, help="write the file of --case here")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work()
        return 0
    if options.keep:
        options.keep.write_bytes(damaged(options.case))
        return 0
    if options.case:
        for result in scanned([options.case]):
            print(*result)
        return 0

    def tell(result: Result) -> None:
        if result.word in FORBIDDEN or result.took_s > 30:
            print(f"{result.case}: {result.word} {result.said} ({result.took_s:.0f} s)", flush=True)

    start_s = time.monotonic()
    results, peak_mb = run(cases(options.n, options.only), jobs=options.jobs, tell=tell)
    print(table(results))
    print(f"{len(results):,} files in {time.monotonic() - start_s:.0f} s, at most {peak_mb} MB")
    return any(result.word in FORBIDDEN for result in results)


if __name__ == "__main__":
    sys.exit(main())
