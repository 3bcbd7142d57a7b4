"""What the suite promises itself: interrupts reach the programs that tests start, and hangs end."""

from __future__ import annotations

import subprocess
import sys

import pytest
from waits import WAIT_S


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_programs_that_tests_start_can_be_interrupted() -> None:
    """Also where pytest itself was started with these signals ignored."""
    script = """
        import signal
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    """
    lines = "\n".join(line.strip() for line in script.splitlines())
    subprocess.run([sys.executable, "-c", lines], check=True, timeout=WAIT_S)


def test_a_test_that_hangs_fails(request: pytest.FixtureRequest) -> None:
    assert WAIT_S < float(request.config.getini("timeout")) <= 600
