"""Standard input, output and error as a program meets them: closed, full, or in an odd encoding."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

import typer

from musictag.errors import system_trouble


class StdoutError(Exception):
    """Results cannot be written. This is neither a file's fault nor a bug."""


class _Stdout(io.TextIOWrapper):
    """Standard output whose failures are StdoutErrors, so that no file is blamed for them."""

    def write(self, text: str) -> int:
        with self._explained():
            return super().write(text)

    def flush(self) -> None:
        with self._explained():
            super().flush()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:  # the reader has seen enough
            raise
        except OSError as error:
            raise StdoutError(system_trouble(error).reason) from error


class _Stderr(io.TextIOWrapper):
    """Standard error whose failures are ignored: results and the exit code still matter."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()


def prepare() -> None:
    """Open the standard streams that are closed, and give their failures a name.

    A file opened later would take the descriptor of a closed stream, and a message that some
    library writes to descriptor 2 would end up in a music file.
    """
    for descriptor in (0, 1, 2):
        if not _is_open(descriptor):
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free descriptor, which is this one
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # never closed
    elif sys.stderr is sys.__stderr__:
        sys.stderr = _wrapped(sys.stderr, _Stderr)
    if sys.stdout is None:
        typer.echo("musictag: standard output is closed", err=True)
        sys.exit(1)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _wrapped(sys.stdout, _Stdout)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _wrapped(stream: TextIO | None, kind: type[io.TextIOWrapper]) -> io.TextIOWrapper:
    assert isinstance(stream, io.TextIOWrapper)
    return kind(
        stream.buffer,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def prepare_stdout(form: str) -> None:
    """Make standard output accept any file name, whatever the terminal's encoding."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        if form in ("csv", "tsv"):
            sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", newline="\n")
        else:
            sys.stdout.reconfigure(errors="backslashreplace")


def give_up_stdout() -> None:
    """Stop Python from writing at exit what could not be written before, and complaining again."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
