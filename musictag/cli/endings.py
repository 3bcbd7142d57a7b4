"""How a command ends early: one line on standard error and the right exit code."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn

import typer

from musictag.cli import streams
from musictag.errors import (
    CheckpointError,
    DataSetError,
    DeviceError,
    MusictagError,
    OutOfMemoryError,
    UsageError,
)


@contextlib.contextmanager
def endings() -> Iterator[None]:
    """Turn our errors, an interrupt and a closed pipe into exit codes."""
    try:
        yield
    except (UsageError, CheckpointError, DataSetError, DeviceError) as error:
        complain(str(error))
        raise typer.Exit(2) from None
    except MusictagError as error:
        complain(str(error))
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except BrokenPipeError:
        streams.give_up_stdout()  # the reader has seen enough
        raise typer.Exit(128 + 13) from None
    except (MemoryError, ImportError, OSError, RuntimeError) as error:
        shortage = OutOfMemoryError.of(error)
        if shortage is None:
            raise
        complain(str(shortage))
        raise typer.Exit(1) from None


def complain(message: str) -> None:
    """Write one line to standard error."""
    from musictag.report.terminal import fitted  # noqa: PLC0415
    from musictag.report.text import visible  # noqa: PLC0415

    typer.echo(fitted(f"musictag: {visible(message)}", sys.stderr), err=True)


def nothing_to_do(message: str, *, code: int = 0) -> NoReturn:
    """Say why there is nothing to do and exit with this code."""
    complain(message)
    raise typer.Exit(code)


def check_word(option: str, word: str, words: Sequence[str]) -> None:
    """Raise UsageError if an option's value is not one of these words."""
    if word not in words:
        raise UsageError(f"{option} {word}: expected one of {', '.join(words)}")
