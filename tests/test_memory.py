"""Too little memory is a sentence and exit code 1, wherever it runs out."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sounds
import typer
from waits import WAIT_S

from musictag import process
from musictag.cli import endings
from musictag.errors import OutOfMemoryError


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (MemoryError(), ""),
        (MemoryError("Unable to allocate 3.75 MiB for an array with shape (491520,)"), "3.75 MiB"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "libtorch_cpu"),
        (ImportError("\n\nIMPORTANT: advice\nliba-1.so.0: failed to map segment"), "liba-1.so.0"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), ""),
        (RuntimeError("can't start new thread"), ""),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), ""),
        (RuntimeError("std::bad_alloc"), ""),
    ],
)
def test_what_libraries_say_of_memory_ends_with_one_line_and_exit_code_1(
    capsys: pytest.CaptureFixture[str], error: Exception, what: str
) -> None:
    with pytest.raises(typer.Exit) as ended, endings.endings():
        raise error
    assert ended.value.exit_code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("musictag: there is not enough memory")
    assert what in line
    assert "--jobs 1" in line


@pytest.mark.parametrize(
    "error", [ImportError("No module named x"), OSError(28, "No space"), RuntimeError("a bug")]
)
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    assert OutOfMemoryError.of(error) is None
    with pytest.raises(type(error)), endings.endings():
        raise error


def test_room_is_asked_for_and_given_back() -> None:
    process.check_room(16)
    with pytest.raises(OutOfMemoryError, match="another 1073741824 MB"):
        process.check_room(2**30)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
@pytest.mark.parametrize("megabytes", [150, 250, 350, 450, 650])
def test_a_scan_in_a_small_address_space_is_explained(
    tiny: Path, tmp_path: Path, megabytes: int
) -> None:
    """As with `ulimit -v`, and in some containers; where it suffices, all is well."""
    song = sounds.make(tmp_path, "flac")
    words = ["scan", os.fspath(song), "--no-cache", "--model", os.fspath(tiny), "--jobs", "1"]
    script = (
        f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({megabytes << 20},) * 2);"
        "from musictag.cli.program import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )
    assert "Traceback" not in ended.stderr
    if ended.returncode:
        assert ended.returncode == 1
        (line,) = ended.stderr.splitlines()
        assert "not enough memory" in line
