"""Strangers' files, written and taken back: what three readers show, and the sound, must stay.

    python tests/peers.py DIR                  every file below DIR, on copies
    python tests/peers.py DIR --show failed    with every file of that outcome by name

Other projects' test suites hold the oddest files there are. Each is copied, its fields are forced
to values that no file has, whatever the model would say, and the write is undone. A table counts
how that ended, by format. What may not happen has a word in capitals: LOST (TagLib, ffprobe or
mutagen no longer show something), WRONG (one shows another value of ours), SOUND (the decoded
sound differs), UNDO (the file is not what it was), CRASHED (an exception that we did not foresee).
Nothing of these files goes into the repository.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path += map(os.fspath, (HERE / "support", HERE.parent))  # musictag too, unless installed

import readers

from musictag import metadata
from musictag.errors import MetadataError
from musictag.formats.table import FORMATS, recognised

FORCED = {"GENRE": ("Zydeco", "Polka"), "MOOD": ("Odd",)}
FORBIDDEN = ("LOST", "WRONG", "SOUND", "UNDO", "CRASHED")
SUFFIXES = {suffix for row in FORMATS for suffix in row.all_suffixes}


@dataclass
class Result:
    path: Path
    format: str
    word: str
    said: str


def tried(path: Path, folder: Path) -> Result:
    """One file: its copy written, compared, taken back and compared."""
    copy = folder / f"copy{path.suffix.lower()}"
    shutil.copyfile(path, copy)
    with copy.open("rb") as file:
        found = recognised(file).format
    name = found.name if found else "unknown"
    try:
        word, said = _outcome(copy)
    except MetadataError as error:
        word, said = error.code, error.reason
        if copy.read_bytes() != path.read_bytes():
            word = "UNDO"
    except Exception as error:  # that is what this is for
        word, said = "CRASHED", repr(error)
    return Result(path, name, word, said)


def _outcome(copy: Path) -> tuple[str, str]:
    original = copy.read_bytes()
    before, sound = readers.views(copy), _sound(copy)
    written = metadata.write(copy, FORCED)
    assert written is not None
    after = readers.views(copy)
    if gone := readers.lost(before, after):
        return "LOST", "; ".join(gone)
    unseen = [(reader, field) for reader in readers.READERS for field in FORCED]
    if other := readers.wrong(before, after, FORCED, unseen=unseen):
        return "WRONG", "; ".join(other)
    if _sound(copy) != sound:
        return "SOUND", "its decoded sound differs"
    metadata.restore(copy, written.before, expected=written.after)
    if copy.read_bytes() != original:
        return ("UNDO", f"{len(original)} bytes were {_difference(original, copy.read_bytes())}")
    missing = [
        reader
        for reader in readers.READERS
        if any(before.values()) and not readers.shown(after[reader], "GENRE")
    ]
    return "written", f"unseen by {', '.join(missing)}" if missing else ""


def _difference(one: bytes, other: bytes) -> str:
    first = next(
        (n for n, pair in enumerate(zip(one, other, strict=False)) if len(set(pair)) > 1), 0
    )
    return f"{len(other)}, different from {first} on"


def _sound(path: Path) -> str:
    """The md5 of what ffmpeg decodes of the first sound, damage and all."""
    command = ["ffmpeg", "-nostdin", "-v", "quiet", "-i", os.fspath(path), "-map", "0:a:0"]
    result = subprocess.run(
        [*command, "-f", "md5", "-"], capture_output=True, text=True, check=False, timeout=120
    )
    return result.stdout.strip()


def music_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix.lower() in SUFFIXES and path.stat().st_size:
            yield path


def table(results: list[Result]) -> str:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for result in results:
        counts[result.format][result.word] += 1
        counts["all"][result.word] += 1
    words = [word for word, _ in counts["all"].most_common()]
    width = max(map(len, counts), default=0)
    lines = [" " * width + "".join(f"{word:>14}" for word in words)]
    for name in [*sorted(set(counts) - {"all"}), "all"]:
        cells = (f"{counts[name][word] or '':>14}" for word in words)
        lines.append(f"{name:<{width}}" + "".join(cells))
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--show", default="", help="name the files of this outcome, too")
    parser.add_argument("--only", default="", help="names that match this regular expression")
    options = parser.parse_args()
    if readers.MISSING:
        parser.error(readers.MISSING)
    results = []
    for path in music_below(options.folder):
        if re.search(options.only, os.fspath(path)):
            with tempfile.TemporaryDirectory(prefix="peers") as folder:
                result = tried(path, Path(folder))
            results.append(result)
            if result.word in (*FORBIDDEN, options.show):
                print(f"{result.word}  {result.path}\n      {result.said}", flush=True)
    print(table(results))
    return 1 if any(result.word in FORBIDDEN for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
