"""The program in its own process, with streams that only a shell can make."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from program import Result
from waits import WAIT_S


def start(*arguments: str | Path, script: str = "-m musictag") -> subprocess.Popen[bytes]:
    """Start the program with pipes for all three streams."""
    return subprocess.Popen(
        [sys.executable, *script.split(maxsplit=1), *map(os.fspath, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def shell(line: str, library: Path, unbuffered: str = "") -> Result:
    """Run a line in a shell that knows `musictag` and `$MUSIC`."""
    line = f'musictag() {{ {shlex.quote(sys.executable)} -m musictag "$@"; }}\n{line}'
    environment = {**os.environ, "MUSIC": os.fspath(library), "PYTHONUNBUFFERED": unbuffered}
    ended = subprocess.run(
        ["sh", "-c", line], capture_output=True, check=False, env=environment, timeout=WAIT_S
    )
    return Result(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
posix = pytest.mark.skipif(sys.platform == "win32", reason="no such shell")
FULL = "musictag: standard output: no space left on the disk\n"
CLOSED = "musictag: standard output is closed\n"
