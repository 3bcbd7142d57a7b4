"""A run at work is told from one that was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from waits import WAIT_S

from musictag.stores import at_work
from musictag.stores.journal import Journal

HOLDING = """
import sys
from pathlib import Path
from musictag.stores.journal import Journal
with Journal(Path(sys.argv[1])) as journal, journal.run(["scan"]) as run:
    run.intend(Path("a.mp3"), before="", after="")
    print("writing", flush=True)
    sys.stdin.readline()
"""


def start(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


@pytest.mark.parametrize("killed", [False, True])
def test_a_run_is_at_work_until_its_process_ends_or_is_killed(tmp_path: Path, killed: bool) -> None:
    path = tmp_path / "journal.sqlite"
    with start(path) as first, start(path) as second, Journal(path) as journal:
        assert [journal.is_at_work(run) for run in journal.runs()] == [True, True]
        if killed:
            first.kill()
            first.wait(WAIT_S)
        else:
            first.communicate("\n", timeout=WAIT_S)
        assert [journal.is_at_work(run) for run in journal.runs()] == [True, False]
        assert [run.ending for run in journal.runs()] == ["", "" if killed else "complete"]
        second.communicate("\n", timeout=WAIT_S)
        assert [journal.is_at_work(run) for run in journal.runs()] == [False, False]


def test_without_a_lock_file_no_run_is_at_work(tmp_path: Path) -> None:
    assert not at_work.is_at_work(tmp_path / "journal.lock", 1)
    lock = at_work.Lock(tmp_path / "no such folder" / "journal.lock")
    lock.take(1)  # it cannot, and that is no reason not to write
    lock.release()
