"""Scans on a real cluster of this machine, whose processes are killed in the middle."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sounds
from program import Run
from waits import WAIT_S

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is missing")
needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


def below(parent: int) -> Iterator[tuple[int, str]]:
    """The descendants of a process, with their titles."""
    parents, titles = {}, {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            number = int(entry.name)
            parents[number] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            titles[number] = (entry / "cmdline").read_text().replace("\0", " ")
    for number, title in titles.items():
        above = number
        while above in parents and above != parent:
            above = parents[above]
        if above == parent != number:
            yield number, title


def kill_one(program: subprocess.Popen[bytes], title: str) -> None:
    """Kill a process with this title, in the middle of what the title says."""
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s and program.poll() is None:
        for number, _ in [found for found in below(program.pid) if found[1].startswith(title)]:
            os.kill(number, signal.SIGSTOP)
            if (number, title) in {(n, t[: len(title)]) for n, t in below(program.pid)}:
                os.kill(number, signal.SIGKILL)
                return
            os.kill(number, signal.SIGCONT)
        time.sleep(0.01)
    running = list(below(program.pid))
    program.kill()
    raise AssertionError(f"no {title} among {running}: {program.communicate(timeout=WAIT_S)}")


def made_library(folder: Path) -> list[str]:
    """Make tracks of two minutes, no two alike; returns their names."""
    folder.mkdir()
    music = sounds.chord(30, rate_hz=16_000, channels=1)
    names = [f"{n}.flac" for n in range(8)]
    for n, name in enumerate(names):
        sounds.write(folder / name, "flac", np.roll(np.tile(music, (4, 1)), n, 0), 16_000)
    return names


def scan_on(address: str, *arguments: object) -> subprocess.Popen[bytes]:
    words = ("scan", "--ray", address, "--write", "--format", "jsonl", *arguments)
    return subprocess.Popen(
        [sys.executable, "-m", "musictag", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@needs_ray
@needs_proc
def test_a_worker_and_an_ear_are_killed_and_every_file_is_tagged_exactly_once(
    musictag: Run, tmp_path: Path
) -> None:
    library = tmp_path / os.fsdecode(b"caf\xe9")
    names = made_library(library)
    # Two at once, however many cores there are, so that enough is left to do after a death.
    program = scan_on("local", library, "--jobs", "2")
    try:
        assert program.stdout is not None
        lines = [program.stdout.readline()]
        kill_one(program, "ray::work")
        lines.append(program.stdout.readline())
        kill_one(program, "ray::EarActor")
        rest, stderr = program.communicate(timeout=300)
    finally:
        program.kill()
    records = [json.loads(line) for line in (*lines, *rest.splitlines())]
    assert [Path(record["path"]).name for record in records] == names
    assert {record["status"] for record in records} == {"written"}, stderr
    assert program.returncode == 0
    assert b"the worker was lost" in stderr
    assert b"the ear was lost" in stderr
    written = musictag("history", "1", "--json").records
    assert sorted(Path(record["path"]).name for record in written) == names
    again = musictag("scan", "--format", "jsonl", library).records
    assert {record["status"] for record in again} == {"unchanged"}


CLUSTER = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
machine = cluster.add_node(num_cpus=1)
print(cluster.address, flush=True)
sys.stdin.readline()
cluster.remove_node(machine, allow_graceful=False)
cluster.add_node(num_cpus=1)
sys.stdin.readline()
cluster.shutdown()
"""
"""A head without work and a machine that works, which a line on standard input replaces."""


@needs_ray
@pytest.mark.slow
def test_a_machine_that_joins_takes_the_place_of_one_that_went(tmp_path: Path) -> None:
    names = made_library(tmp_path / "music")
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as machines:
        assert machines.stdout is not None and machines.stdin is not None
        program = scan_on(machines.stdout.readline().strip(), tmp_path / "music")
        try:
            assert program.stdout is not None
            first = program.stdout.readline()
            machines.stdin.write("\n")
            machines.stdin.flush()
            rest, stderr = program.communicate(timeout=300)
        finally:
            program.kill()
            machines.communicate("\n", timeout=WAIT_S)
    records = [json.loads(line) for line in (first, *rest.splitlines())]
    assert [Path(record["path"]).name for record in records] == names
    assert {record["status"] for record in records} == {"written"}, stderr
    assert b"was lost" in stderr
