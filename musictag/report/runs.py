"""Runs of the journal, as people read them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TextIO

from musictag.report.terminal import console, marks, shortened
from musictag.report.text import visible

if TYPE_CHECKING:
    from musictag.stores.journal import Run

LONGEST_COMMAND = 200
"""Characters of a command in a title; a shell may have put a thousand names into it."""

MOST_NUMBERS = 8
"""Runs that are named one by one."""


def title(run: Run) -> str:
    """run 3 of 2026-07-01 14:02 (scan /home/me/Music --write)"""
    command = shortened(_command(run), LONGEST_COMMAND, "...")
    return f"run {run.id} of {_local(run.started_s)} ({command})"


def titles(runs: Sequence[Run]) -> str:
    """One run by its title, several by their numbers: runs 7, 5 and 3 as one"""
    if len(runs) == 1:
        return title(runs[0])
    numbers = [str(run.id) for run in runs]
    if len(numbers) > MOST_NUMBERS:
        return f"{len(numbers)} runs from {numbers[-1]} to {numbers[0]} as one"
    return f"runs {', '.join(numbers[:-1])} and {numbers[-1]} as one"


def ended(run: Run, *, at_work: bool) -> str:
    """How a run ended. One that cannot say so any more was interrupted."""
    return run.ending or ("running" if at_work else "interrupted")


def _command(run: Run) -> str:
    return visible(shlex.join(run.command))


def _local(time_s: float) -> str:
    return datetime.fromtimestamp(time_s).strftime("%Y-%m-%d %H:%M")


class RunTable:
    """The journal's runs, one per line, cut to the width of the terminal."""

    def __init__(self, stdout: TextIO) -> None:
        self._width = console(stdout).width
        self._cut = marks(stdout)[2]
        self.heading = self._row("Run", "When", "Files", "Undone", "Ended", "Command")

    def line(self, run: Run, *, at_work: bool) -> str:
        n_undone = run.n_files - run.n_standing
        undone = "all" if n_undone == run.n_files else f"{n_undone:,}"
        return self._row(
            *(str(run.id), _local(run.started_s), f"{run.n_files:,}", undone if n_undone else ""),
            *(ended(run, at_work=at_work), _command(run)),
        )

    def _row(self, *cells: str) -> str:
        layout = "{:>4}  {:16}  {:>7}  {:>7}  {:11}  {}"
        return shortened(layout.format(*cells), self._width, self._cut)
