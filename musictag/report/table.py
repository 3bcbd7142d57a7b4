"""Outcomes → the table of what changes, for people."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.text import Text

from musictag.report.terminal import marks, shortened, width_of
from musictag.report.text import visible

if TYPE_CHECKING:
    from musictag.outcome import Change, Outcome


class Table:
    """What changes, one track per row, under the name of its folder.

    Rows come as the scan goes, so the widths are those of the terminal and not
    of the content: long names are cut, values wrapped.
    """

    GAP = 2
    MIN_TRACK = 8
    MIN_FIELD = 14
    """Wide enough for the longest value and the comma after it; less only where there is no room,
    and then long values are cut."""

    def __init__(self, fields: Sequence[str], stdout: TextIO, *, verbose: bool = False) -> None:
        self._fields = fields
        self._verbose = verbose
        self._console = Console(file=stdout, width=width_of(stdout), highlight=False)
        self._arrow, self._none, self._cut = marks(stdout)
        self._folder: str | None = None

    def lines(self, outcome: Outcome) -> list[str]:
        """Headings if they are due, and the row; nothing for a track that stays as it is."""
        shown = {"written", "restored", "planned"} | ({"unchanged"} if self._verbose else set())
        if outcome.status not in shown:
            return []
        widths = self._widths()
        rows: list[list[Text]] = []
        if self._folder is None:
            names = zip(("Track", *map(str.title, self._fields)), widths, strict=True)
            rows.append([Text(self._shortened(name, width), "bold") for name, width in names])
        if self._folder != os.fspath(outcome.path.parent):
            self._folder = os.fspath(outcome.path.parent)
            rows.append([Text(visible(self._folder) + os.sep, "dim")])
        name = Text("  " + self._shortened(visible(outcome.path.name), widths[0] - 2))
        changes = (outcome.fields.get(field) for field in self._fields)
        rows.append([name, *map(self._change, changes, widths[1:])])
        return [line for row in rows for line in self._laid_out(row, widths)]

    def _widths(self) -> list[int]:
        """Of the columns: the track takes what the fields leave, at least a quarter."""
        n = len(self._fields)
        room = self._console.width - self.GAP * n
        track = max(room // 4, min(room * 2 // 5, room - self.MIN_FIELD * n))
        each = max(self.MIN_FIELD, (room - track) // n)
        each = max(self.MIN_TRACK // 2, min(each, (room - self.MIN_TRACK) // n))
        return [max(self.MIN_TRACK, room - each * n), *[each] * n]

    def _change(self, change: Change | None, width: int) -> Text:
        """Wrapped, a cell is to break between words only: so a word that is wider is cut."""
        if change is None:
            return Text()
        old, new = (
            " ".join(self._shortened(word, width) for word in visible(", ".join(values)).split(" "))
            for values in (change.old, change.new)
        )
        if not change.changed:
            return Text(old or self._none, "dim")
        return Text.assemble(
            (old or self._none, "dim"), (f" {self._arrow} ", "dim"), (new or self._none, "green")
        )

    def _laid_out(self, row: list[Text], widths: list[int]) -> list[str]:
        """The row's cells side by side, wrapped to their widths; a row of one cell is a heading."""
        if len(row) == 1:
            return [self._rendered(row[0])]
        wrapped = [
            [cell] if cell.cell_len <= width else cell.wrap(self._console, width)
            for cell, width in zip(row, widths, strict=True)
        ]
        lines = []
        for cells in zip_longest(*wrapped, fillvalue=Text()):
            line = Text()
            for cell, width in zip(cells, widths, strict=True):
                cell.rstrip()
                line.append_text(cell)
                line.append(" " * (width + self.GAP - cell.cell_len))
            line.rstrip()
            lines.append(self._rendered(line))
        return lines

    def _shortened(self, name: str, width: int) -> str:
        return shortened(name, width, self._cut)

    def _rendered(self, text: Text) -> str:
        if self._console.color_system is None:
            return text.plain  # what rich would come to as well, in fifty times as long
        with self._console.capture() as captured:
            self._console.print(text, soft_wrap=True, end="")
        return captured.get()
