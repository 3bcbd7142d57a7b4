"""What `scan` and `undo` share: Ctrl-C, the report, the log, what is remembered and written down.

with Session(output, settings) as session:
    report = session.report(fields, summary=…)
    session.tell(scan(…, cache=session.cache(), journal=session.journal(write=True)))
raise typer.Exit(session.exit_code)
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from musictag import process
from musictag.cli import logs, manners, streams
from musictag.cli.endings import check_word
from musictag.cli.signals import Interruption

if TYPE_CHECKING:
    from musictag.config import Settings
    from musictag.outcome import Outcome
    from musictag.report.scan import Report
    from musictag.scan.listening import Progress
    from musictag.stores.cache import Cache
    from musictag.stores.journal import Journal

_Thing = TypeVar("_Thing")


@dataclass(frozen=True)
class Output:
    """What the options say about printing."""

    form: str = "table"
    quiet: bool = False
    verbose: bool = False
    log_file: Path | None = None

    def prepare(self) -> None:
        """Check the format's name and make standard output ready for it."""
        from musictag.report import FORMATS  # noqa: PLC0415

        check_word("--format", self.form, FORMATS)
        streams.prepare_stdout(self.form)


class Session:
    """One run of a command over many files. Leaving the `with` block closes what was opened."""

    def __init__(self, output: Output, settings: Settings) -> None:
        self._output = output
        self._settings = settings
        self._opened = contextlib.ExitStack()
        self._report: Report | None = None
        self.stopped = Interruption()
        """Whether somebody has asked the program to stop."""

    def __enter__(self) -> Session:
        self._opened.enter_context(self.stopped)
        self._n_cores = process.n_cores()
        self._opened.enter_context(manners.gently(self._settings.cpu))
        return self

    def __exit__(self, *reason: object) -> bool | None:
        return self._opened.__exit__(*reason)  # type: ignore[arg-type]

    @property
    def exit_code(self) -> int:
        """0, or 1 if a file failed."""
        return 1 if self._report is not None and self._report.n_failed else 0

    def enter(self, manager: contextlib.AbstractContextManager[_Thing]) -> _Thing:
        """Open something until the session ends."""
        return self._opened.enter_context(manager)

    def report(
        self,
        fields: Sequence[str],
        *,
        summary: Callable[..., list[str]],
        count: Callable[[], int] | None,
    ) -> Report:
        """Begin to tell of files, on both streams and in the log file."""
        from musictag.report.scan import Report  # noqa: PLC0415

        output = self._output
        self._report = self.enter(
            Report(
                output.form,
                fields,
                stdout=sys.stdout,
                stderr=sys.stderr,
                summary=summary,
                quiet=output.quiet,
                verbose=output.verbose,
                count=count,
            )
        )
        self.enter(
            logs.logging_to(
                self._report.say,
                quiet=output.quiet,
                verbose=output.verbose,
                log_file=output.log_file,
            )
        )
        return self._report

    def politely(self, progress: Progress) -> Progress:
        """The same, which also waits where the settings want that: it is told of every segment."""
        if self._settings.cpu is None and not self._settings.pause_on_battery:
            return progress
        assert self._report is not None
        kept = manners.Manners(
            self._settings.cpu,
            pause_on_battery=self._settings.pause_on_battery,
            stopped=self.stopped,
            say=self._report.say,
            n_cores=self._n_cores,
        )

        def progress_and_pause(path: Path, seconds: float, whole: bool) -> None:
            progress(path, seconds, whole)
            kept.pause()

        return progress_and_pause

    def cache(self) -> Cache:
        """What earlier scans heard, unless the settings turn it off."""
        from musictag.stores import cache as caches  # noqa: PLC0415

        return self.enter(caches.Cache(caches.default_path() if self._settings.cache else None))

    def journal(self, *, write: bool) -> Journal | None:
        """What earlier runs wrote; without `write` only if there is something to read."""
        return self.enter(opened_journal(write=write))

    def tell(self, outcomes: Generator[Outcome, None, None]) -> None:
        """Report every outcome; KeyboardInterrupt at the end if the run was interrupted."""
        assert self._report is not None
        with contextlib.closing(outcomes):
            for outcome in outcomes:
                self._report.add(outcome)
                logs.note(outcome)
        self.stopped.check()


def opened_journal(*, write: bool) -> contextlib.AbstractContextManager[Journal | None]:
    """The journal. To write, it is created and the entries of killed runs are settled."""
    from musictag.scan import writing  # noqa: PLC0415
    from musictag.stores import journal as journals  # noqa: PLC0415

    return writing.opened(journals.default_path(), write=write)
