"""Nobody loses a byte: processes killed at every call that changes something, and failing calls.

    python -m pytest tests/test_faults.py                  faults within one process, in a minute
    python -m pytest tests/test_faults.py -m slow -s       kills and failing system calls, by strace
    PYTHONPATH=. python tests/test_faults.py [mp3 flac …]  the same, for these containers; the table

A child writes one file while strace watches. First it records which system calls change something
in the folder; then the same child is run again for each of them, and killed, or given an error,
or told a lie about how much was written, just there. After a kill the file is the old or the new
one to the byte, and the next run leaves no trace; after an error, too, and the reason was told.
Where a file is overwritten in place, a kill may leave it half: the next run then puts it back.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from containers import FAMILIES, decorate, encoded
from waits import WAIT_S

from musictag import metadata
from musictag.errors import MetadataError
from musictag.metadata import replacement

FULL = {
    "GENRE": ("Rock", "Choral"),
    "MOOD": ("Slow",),
    "INSTRUMENT": ("Piano", "Harp", "Sitar"),
    "VOCALS": ("Female",),
}
LONG = {"GENRE": tuple(f"{word * 40}" for word in ("Rock", "Música", "Choral") for word in word)}
one_of_each_family = ["mp3", "flac", "ogg", "m4a", "wma", "ape", "wav"]


# ---------------------------------------------------------------- what is done to a file


@dataclass(frozen=True)
class Job:
    """What a child does, to what; `values` None: to take back what `FULL` wrote."""

    values: dict[str, tuple[str, ...]] | None
    tagged: bool = True
    """The file has tags, ours among them, an owner and extended attributes."""
    hardlinks: str = "refuse"
    with_sound: bool = False
    """The payload is compared too."""


JOBS = {
    "first tags": Job(FULL, tagged=False),
    "other tags": Job({"GENRE": ("Pop",), "MOOD": ()}),
    "many tags": Job(LONG),
    "undo": Job(None),
    "in place": Job(LONG, hardlinks="in-place"),
    "in place, longer": Job(LONG, tagged=False, hardlinks="in-place"),
}
SOUND = {"sound compared": Job(FULL, tagged=False, with_sound=True)}

CHILD = """
import json, sys
from pathlib import Path
from musictag import metadata
from musictag.errors import MetadataError
path, snapshot, values, options = Path(sys.argv[1]), *map(json.loads, sys.argv[2:])
if options.pop("with_sound"):
    from musictag.audio.digest import payload_digest
    options["payload_digest"] = payload_digest
try:
    if values is None:
        before = metadata.Snapshot.from_json(json.dumps(snapshot))
        metadata.restore(path, before, expected=None, **options)
    else:
        metadata.write(path, {key: tuple(texts) for key, texts in values.items()}, **options)
except MetadataError as error:
    print("refused:", error)
"""


class Bench:
    """One folder with one file in it, again and again as it was, and a child that does the job."""

    def __init__(self, folder: Path, container: str, job: Job) -> None:
        self.job = job
        for entry in folder.iterdir():
            entry.unlink()
        suffix, content = encoded(container)
        self.path = folder / f"track{suffix}"
        self.path.write_bytes(content)
        self.before: metadata.Snapshot | None = None
        if job.tagged:
            decorate(self.path)
            written = metadata.write(self.path, FULL)
            if job.values is None:
                assert written is not None
                self.before = written.before
        self.old = self.path.read_bytes()
        self.arrange()
        self.do()
        self.new = self.path.read_bytes()
        assert self.new != self.old

    def arrange(self) -> None:
        """The file as it was, alone in its folder, perhaps under two names."""
        for entry in self.path.parent.iterdir():
            entry.unlink()
        self.path.write_bytes(self.old)
        if self.job.tagged:
            self.path.chmod(0o640)
            if os.geteuid() == 0:
                os.chown(self.path, 1234, 4321)
            if hasattr(os, "setxattr"):
                try:
                    os.setxattr(self.path, "user.rating", b"5")
                except OSError as error:
                    assert error.errno == errno.ENOTSUP
        if self.job.hardlinks == "in-place":
            self.path.with_name(f"twin{self.path.suffix}").hardlink_to(self.path)
        self.names = self.found()
        replacement.clear_leftovers.cache_clear()

    def found(self) -> list[str]:
        return sorted(os.listdir(self.path.parent))  # noqa: PTH208 — names, not paths

    def do(self) -> None:
        """The job, in this process."""
        if self.job.values is None:
            assert self.before is not None
            metadata.restore(self.path, self.before, expected=None)
        else:
            metadata.write(self.path, self.job.values, hardlinks=self.job.hardlinks)

    def child(self, *tracer: str) -> subprocess.CompletedProcess[str]:
        """The job, in a process of its own, under a tracer."""
        options = {"hardlinks": self.job.hardlinks, "with_sound": self.job.with_sound}
        snapshot = None if self.before is None else json.loads(self.before.to_json())
        arguments = [json.dumps(argument) for argument in (snapshot, self.job.values, options)]
        return subprocess.run(
            [*tracer, sys.executable, "-c", CHILD, str(self.path), *arguments],
            cwd=Path(replacement.__file__).parents[2],
            env={"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=60,
        )

    def whole(self) -> str:
        """Which file this is; "half" is none."""
        content = self.path.read_bytes()
        return "old" if content == self.old else "new" if content == self.new else "half"

    def check_next_run(self) -> str:
        """It finds the old or the new file whole, leaves the new one, and no copy beside it."""
        replacement.clear_leftovers.cache_clear()
        replacement.clear_leftovers(self.path.parent)
        found = self.whole()
        assert found in ("old", "new"), f"{self.path}: neither the old nor the new file"
        self.do()
        assert self.whole() == "new"
        assert self.found() == self.names
        return found


# ---------------------------------------------------------------- faults within one process


def fails(code: int) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise OSError(code, os.strerror(code))

    return call


STEPS = {
    # step: where its call is looked up
    "create": (tempfile, "mkstemp"),
    "share": (replacement.fcntl, "ioctl"),
    "copy": (os, "copy_file_range"),
    "cut": (os, "truncate"),
    "attributes": (shutil, "copystat"),
    "owner": (os, "chown"),
    "times": (os, "utime"),
    "to disk": (os, "fsync"),
    "rename": (os, "replace"),
}
CODES = {
    # the error: what may be said of it
    errno.ENOSPC: {"no_space"},
    errno.EDQUOT: {"no_space"},
    errno.EIO: {"io"},
    errno.EACCES: {"permission"},
    errno.EROFS: {"read_only"},
    errno.EXDEV: {"cross_device"},
}
NOT_ASKED = "written"
"""The step does not occur for this file, or there was another way."""


@pytest.mark.parametrize("code", CODES, ids=errno.errorcode.get)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("container", ["mp3", "flac", "m4a", "ape"])
def test_a_step_that_fails_leaves_the_old_file_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, container: str, step: str, code: int
) -> None:
    bench = Bench(tmp_path, container, JOBS["other tags"])
    bench.arrange()
    monkeypatch.setattr(*STEPS[step], fails(code), raising=False)
    try:
        bench.do()
        said = NOT_ASKED
    except MetadataError as error:
        said = error.code
        assert error.path == bench.path
        assert error.reason
    monkeypatch.undo()
    assert bench.whole() == ("new" if said == NOT_ASKED else "old")
    assert said in CODES[code] | (
        {NOT_ASKED} if step in ("share", "copy", "cut", "owner") else set()
    )
    assert bench.found() == bench.names
    bench.check_next_run()


def writes_half(write: Callable[..., int], handle: int, block: Any) -> int:
    return write(handle, bytes(block)[: max(1, len(block) // 2)])


@pytest.mark.parametrize("hardlinks", ["replace", "in-place"])
def test_short_writes_are_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hardlinks: str
) -> None:
    bench = Bench(tmp_path, "mp3", Job(LONG, hardlinks=hardlinks))
    bench.arrange()
    monkeypatch.setattr(os, "write", partial(writes_half, os.write))
    monkeypatch.setattr(replacement.fcntl, "ioctl", fails(errno.EOPNOTSUPP))
    monkeypatch.setattr(os, "copy_file_range", fails(errno.EXDEV), raising=False)
    bench.do()
    monkeypatch.undo()
    assert bench.whole() == "new"
    assert bench.found() == bench.names


@pytest.mark.parametrize("container", one_of_each_family)
def test_a_copy_that_lost_its_end_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, container: str
) -> None:
    """A write that lied about its length."""
    bench = Bench(tmp_path, container, JOBS["other tags"])
    bench.arrange()
    save = metadata.Family.save

    def lossy(self: Any) -> None:
        save(self)
        os.truncate(self.path, self.path.stat().st_size - 7)

    monkeypatch.setattr(metadata.Family, "save", lossy)
    with pytest.raises(MetadataError):
        bench.do()
    assert bench.whole() == "old"
    assert bench.found() == bench.names


# ---------------------------------------------------------------- faults from outside, by strace


STRACE = shutil.which("strace")
CHANGES = (
    *("openat", "write", "pwrite64", "writev", "copy_file_range", "sendfile", "ioctl"),
    *("truncate", "ftruncate", "fallocate", "chmod", "fchmod", "fchmodat", "chown", "lchown"),
    *("fchown", "fchownat", "setxattr", "lsetxattr", "fsetxattr", "utimensat", "fsync"),
    *("fdatasync", "rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat"),
)
ERRORS = ("ENOSPC", "EIO", "EACCES", "EROFS", "EXDEV")
LIES = ("write", "pwrite64", "copy_file_range")
CALL = re.compile(r"\d+ +(\w+)\((.*)")


@dataclass(frozen=True)
class Call:
    """A system call that changes something: the Nth of its name in the process."""

    name: str
    number: int
    text: str


def changes(bench: Bench) -> list[Call]:
    """The calls of the job that change something in the file's folder."""
    bench.arrange()
    with tempfile.NamedTemporaryFile("r") as log:
        result = bench.child(
            *("strace", "-f", "-y", "-qq", "--seccomp-bpf", "-o", log.name),
            *("-e", "trace=" + ",".join(f"?{name}" for name in CHANGES)),
        )
        lines = log.read().splitlines()
    assert (result.returncode, bench.whole()) == (0, "new"), result.stderr
    counts: Counter[str] = Counter()
    calls = []
    for line in lines:
        if match := CALL.match(line):
            name, arguments = match.groups()
            counts[name] += 1
            opens = name == "openat" and not re.search("O_CREAT|O_TMPFILE", arguments)
            asks = name == "ioctl" and "FICLONE" not in arguments
            if str(bench.path.parent) in arguments and not opens and not asks:
                calls.append(Call(name, counts[name], arguments))
    return calls


def injected(bench: Bench, call: Call, fault: str) -> subprocess.CompletedProcess[str]:
    bench.arrange()
    return bench.child(
        *("strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={call.name}"),
        *("-e", f"inject={call.name}:{fault}:when={call.number}"),
    )


def killed_everywhere(bench: Bench) -> Counter[str]:
    """A kill at every change, each before the call is done; what was found then."""
    outcomes: Counter[str] = Counter()
    for call in changes(bench):
        result = injected(bench, call, "signal=KILL")
        assert result.returncode in (-9, 137), f"{call}: not killed: {result}"
        there, left = bench.whole(), len(bench.found()) - len(bench.names)
        if bench.job.hardlinks != "in-place":
            assert there != "half", f"{call}: a kill left neither the old nor the new file"
        found = bench.check_next_run()
        outcomes["kills"] += 1
        outcomes[f"killed: {there if there == found else 'half, put back'}"] += 1
        outcomes["copies left, removed"] += left
    return outcomes


def failing_everywhere(bench: Bench) -> Counter[str]:
    """Every error and every lie at every change; what came of it."""
    outcomes: Counter[str] = Counter()
    for call in changes(bench):
        faults = [f"error={error}" for error in ERRORS]
        faults += ["retval=1"] if call.name in LIES else []
        for fault in faults:
            result = injected(bench, call, fault)
            told = f"{call} {fault}: {result.stdout} {result.stderr}"
            assert result.returncode == 0, told
            refused = result.stdout.startswith("refused: ")
            assert bench.whole() == ("old" if refused else "new"), told
            left = set(bench.found()) - set(bench.names)
            # what cannot be removed stays for the next run
            assert not left or call.name in ("unlink", "rename", "renameat2"), told
            bench.check_next_run()
            outcomes["faults"] += 1
            outcomes["failed: " + ("old" if refused else "written all the same")] += 1
    return outcomes


FOUND: dict[str, Counter[str]] = {}
"""Container → outcomes of this session."""


def campaign(container: str) -> Counter[str]:
    """All jobs for one container, killed and failing everywhere."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for job in {**JOBS, **(SOUND if container in ("mp3", "flac") else {})}.values():
            found += killed_everywhere(Bench(Path(folder), container, job))
            print(f"{container}: {dict(found)}", file=sys.stderr, flush=True)
        for name in ("other tags", "in place") if container in one_of_each_family else ("undo",):
            found += failing_everywhere(Bench(Path(folder), container, JOBS[name]))
            print(f"{container}: {dict(found)}", file=sys.stderr, flush=True)
    FOUND[container] = found
    return found


def table(found: dict[str, Counter[str]]) -> Iterator[str]:
    columns = sorted({key for counts in found.values() for key in counts})
    widths = [max(len(column), 6) for column in columns]
    yield " | ".join(["container".ljust(12), *columns])
    total = sum(found.values(), Counter())
    for name, counts in [*found.items(), ("all", total)]:
        cells = [str(counts[c]).rjust(w) for c, w in zip(columns, widths, strict=True)]
        yield " | ".join([name.ljust(12), *cells])


needs_strace = pytest.mark.skipif(STRACE is None, reason="strace is not installed")


@pytest.mark.slow
@needs_strace
@pytest.mark.parametrize("container", FAMILIES)
def test_no_kill_and_no_failing_call_costs_a_byte(container: str) -> None:
    found = campaign(container)
    assert found["kills"] > 40
    assert found["faults"] > 40


@pytest.mark.slow
@needs_strace
def test_that_was_tried_a_thousand_times(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print("", *table(FOUND), sep="\n")
    if set(FOUND) < set(FAMILIES):
        pytest.skip("not for every container")
    assert sum(FOUND.values(), Counter())["kills"] >= 1000


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("container", FAMILIES)
def test_a_disk_that_is_full_indeed_costs_nothing(tmp_path: Path, container: str) -> None:
    bench = Bench(tmp_path, container, JOBS["many tags"])
    small = tmp_path / "small"
    small.mkdir()
    kilobytes = (len(bench.old) + len(bench.new)) // 1024 + 16
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", str(small)],
        check=False,
        timeout=WAIT_S,
    )
    if mounted.returncode:
        pytest.skip("no tmpfs here")
    try:
        path, ballast = small / bench.path.name, small / "ballast"
        seen = set()
        for room in range(0, kilobytes, 4):
            for entry in small.iterdir():
                entry.unlink()
            path.write_bytes(bench.old)
            ballast.touch()
            free = os.statvfs(small).f_bavail * os.statvfs(small).f_frsize
            ballast.write_bytes(bytes(max(0, free - 1024 * room)))
            try:
                metadata.write(path, LONG)
                seen.add("written")
                assert path.read_bytes() == bench.new
            except MetadataError as error:
                seen.add(error.code)
                assert path.read_bytes() == bench.old
            assert sorted(os.listdir(small)) == sorted(["ballast", path.name])  # noqa: PTH208
        assert seen == {"written", "no_space"}
    finally:
        subprocess.run(["umount", str(small)], check=True, timeout=WAIT_S)


if __name__ == "__main__":
    for chosen in sys.argv[1:] or FAMILIES:
        campaign(chosen)
    print(*table(FOUND), sep="\n")
