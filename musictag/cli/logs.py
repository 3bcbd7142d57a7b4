"""Log records: warnings go to standard error through the report, everything into --log-file."""

from __future__ import annotations

import codecs
import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from musictag.errors import UsageError, system_trouble

if TYPE_CHECKING:
    from musictag.outcome import Outcome

log = logging.getLogger("musictag")

_REPORTED = {"reported": True}
"""Extra of log records whose content the report has already shown."""


class Line(logging.Formatter):
    """A formatter that keeps every record on one line, whatever a file is called."""

    def format(self, record: logging.LogRecord) -> str:
        from musictag.report.text import visible  # noqa: PLC0415

        return visible(super().format(record))


def note(outcome: Outcome) -> None:
    """Log one file's outcome, for the log file only."""
    from musictag.report.records import log_line  # noqa: PLC0415

    level = logging.ERROR if outcome.status == "failed" else logging.INFO
    if log.isEnabledFor(level):
        log.log(level, "%s", log_line(outcome), extra=_REPORTED)


@contextlib.contextmanager
def logging_to(
    say: Callable[[str], None], *, quiet: bool, verbose: bool, log_file: Path | None
) -> Iterator[None]:
    """Send warnings to `say` (with `verbose` also notes, with `quiet` only errors) and everything
    into the log file."""
    teller = _Teller(say, logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING)
    handlers: list[logging.Handler] = [teller]
    if log_file is not None:
        handlers.append(_opened(log_file, say))
    log.setLevel(logging.DEBUG if log_file is not None else teller.level)
    for handler in handlers:
        log.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            log.removeHandler(handler)
            handler.close()


class _Teller(logging.Handler):
    """Passes records on to the report, except those that it has shown already."""

    def __init__(self, say: Callable[[str], None], level: int) -> None:
        super().__init__(level)
        self._say = say
        self.addFilter(lambda record: not hasattr(record, "reported"))

    def emit(self, record: logging.LogRecord) -> None:
        self._say(f"musictag: {record.getMessage()}")


class _LogFile(logging.FileHandler):
    """A log file that is given up, with one message, when it can no longer be written."""

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self._path = path
        self._say = say
        self._given_up = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self._given_up:
            super().emit(record)

    def handleError(self, _: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            raise  # noqa: PLE0704  # called from an except clause in emit
        self._given_up = True
        reason = system_trouble(error).reason
        self._say(f"musictag: --log-file {self._path}: {reason}; continuing without it")

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it tries again to write what it could not
            super().close()


def _opened(path: Path, say: Callable[[str], None]) -> _LogFile:
    if not path.parent.is_dir():
        raise UsageError(f"--log-file {path}: there is no folder {path.parent}")
    try:
        _check_text(path)
        handler = _LogFile(path, say)
    except OSError as error:
        raise UsageError(f"--log-file {path}: {system_trouble(error).reason}") from error
    handler.setFormatter(Line("%(asctime)s %(levelname)s %(message)s"))
    return handler


def _check_text(path: Path) -> None:
    """Refuse a file that is not text: without its name, --log-file takes a piece of music."""
    if path.is_file():
        with path.open("rb") as file:
            beginning = file.read(4096)
        try:
            text = codecs.getincrementaldecoder("utf-8")().decode(beginning)
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text:
            raise UsageError(f"--log-file {path}: exists and is not a text file; not touching it")
