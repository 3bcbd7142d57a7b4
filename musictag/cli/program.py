"""The program: what happens around a command, whichever it is."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys

import typer

from musictag import process
from musictag.cli import signals, streams
from musictag.cli.app import app
from musictag.cli.logs import Line


def main() -> None:
    """Run `musictag` with the arguments of the command line."""
    process.for_a_program()
    streams.prepare()
    if logging.lastResort is not None:  # for records logged while no command listens
        logging.lastResort.setFormatter(Line("musictag: %(message)s"))
    signals.interrupt_on_all()
    try:
        try:
            app(prog_name="musictag")
        except SystemExit as end:
            _exit_at_once_after_hearing(end.code)
            raise
    except streams.StdoutError as error:
        streams.give_up_stdout()
        typer.echo(f"musictag: standard output: {error}", err=True)
        sys.exit(1)


def _exit_at_once_after_hearing(code: object) -> None:
    """End the process without unloading torch or oneMKL, which would take a tenth of a second.

    Exit functions are run first. Threads that still hear are not waited for.
    """
    if not {"torch", "musictag.hearing.kernels.mkl"} & set(sys.modules) or not isinstance(
        code, int
    ):
        return
    with contextlib.suppress(BrokenPipeError):  # Python's own way out reports that one
        sys.stdout.flush()
        sys.stderr.flush()
        atexit._run_exitfuncs()
        os._exit(code)
