"""Outcomes → the table of what changes, for people."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, TextIO

from rich.text import Text

from musictag.report.terminal import console, marks, room, shortened, wrapped
from musictag.report.text import counted, visible

if TYPE_CHECKING:
    from musictag.outcome import Album, Change, Discarded, Outcome


WHY_NOT = {
    "below": "{value} ({probability:.0%} sure, {threshold:.0%} needed)",
    "unsure": "{value} ({probability:.0%} sure, a suggestion)",
    "opposite": "{value} (opposite of {other})",
    "family": "{value} (family of {other})",
    "member": "{value} (is {other})",
    "dropped": "{value} (dropped)",
    "unlisted": "{value} (not on the list)",
    "over": "{value} (too many)",
}


def why_not(found: Discarded) -> str:
    """A value that is not written, and the reason in a few words."""
    words = WHY_NOT["member" if found.why == "unlisted" and found.other else found.why]
    return visible(words.format(**vars(found)))


def album_line(album: Album) -> str:
    """An album, of how many tracks it is the mean, and its genre."""
    genres = ", ".join(album.genres) or "no genre that it is sure of"
    how = f"as its other tracks have it: {genres}" if album.is_kept else f"together: {genres}"
    who = f" by {album.artist}" if album.artist else ""
    return visible(f"[{album.title}{who}, {counted(album.n_tracks, 'track')} {how}]")


class Table:
    """What changes, one track per row, under the name of its folder.

    Rows come as the scan goes, so widths depend on the terminal and not on the content: long names
    are cut and values wrapped.
    """

    GAP = 2
    """Columns between cells."""
    LEAST_TRACK = 8
    LEAST_NAME = 26
    """Columns of a track, 2 of them indentation; fewer only in less than 80 columns."""
    NARROW_FIELD = 11
    """Columns of a field that hold most values."""
    FIELD = 14
    """Columns of a field that hold the longest value and the comma after it."""

    def __init__(self, fields: Sequence[str], stdout: TextIO, *, verbose: bool = False) -> None:
        self._fields = fields
        self._verbose = verbose
        self._console = console(stdout)
        self._wraps_folders = room(stdout) is not None
        self._arrow, self._none, self._cut = marks(stdout)
        self._folder: str | None = None
        self._album: Album | None = None

    def lines(self, outcome: Outcome) -> list[str]:
        """Headings where they are due, and the row; nothing for a track that stays as it is."""
        shown = {"written", "restored", "planned"} | ({"unchanged"} if self._verbose else set())
        if outcome.status not in shown:
            return []
        widths = self._widths()
        lines: list[str] = []
        if self._folder is None:
            names = zip(("Track", *map(str.title, self._fields)), widths, strict=True)
            heading = [Text(self._shortened(name, width), "bold") for name, width in names]
            lines += self._laid_out(heading, widths)
        if self._folder != os.fspath(outcome.path.parent):
            self._folder = os.fspath(outcome.path.parent)
            lines += self._heading(visible(self._folder) + os.sep)
        if outcome.album is not None and outcome.album != self._album:
            lines += self._dimmed("  " + album_line(outcome.album), indent=4)
        self._album = outcome.album
        name = Text("  " + self._shortened(visible(outcome.path.name), widths[0] - 2))
        changes = (outcome.fields.get(field) for field in self._fields)
        lines += self._laid_out([name, *map(self._change, changes, widths[1:])], widths)
        return lines + self._discarded(outcome)

    def _discarded(self, outcome: Outcome) -> list[str]:
        """What was heard and is not written, for the fields in the table."""
        found = [why_not(one) for one in outcome.discarded if one.field in self._fields]
        if not found:
            return []
        return self._dimmed("    not: " + ", ".join(found), indent=9)

    def _dimmed(self, text: str, *, indent: int) -> list[str]:
        """A line beside the rows, wrapped between words if the output has a width."""
        parts = [text]
        if self._wraps_folders:
            parts = wrapped(text, self._console.width, breaks=" ", indent=indent)
        return [self._rendered(Text(part, "dim")) for part in parts]

    def _heading(self, folder: str) -> list[str]:
        """A folder, wrapped between words and names if the output has a width."""
        parts = [folder]
        if self._wraps_folders:
            parts = wrapped(folder, self._console.width, breaks=f" {os.sep}", indent=4)
        return [self._rendered(Text(part, "dim")) for part in parts]

    def _widths(self) -> list[int]:
        """Columns of the track and of each field.

        Names keep LEAST_NAME columns before values get theirs; in a terminal of less than 80
        columns both shrink.
        """
        n, width = len(self._fields), self._console.width
        shared = width - self.GAP * n
        ample = min(shared * 2 // 5, shared - self.FIELD * n)
        least = self.LEAST_NAME
        if width < 80:
            least = min(least * width // 80, shared - self.NARROW_FIELD * n)
        track = max(shared // 4, least, ample)
        each = (shared - track) // n
        each = max(self.LEAST_TRACK // 2, min(each, (shared - self.LEAST_TRACK) // n))
        return [max(self.LEAST_TRACK, shared - each * n), *[each] * n]

    def _change(self, change: Change | None, width: int) -> Text:
        """A field's old and new values. Words wider than the cell are cut: it is wrapped between
        words."""
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
        """A row's cells side by side, each wrapped to its width."""
        columns = [
            [cell] if cell.cell_len <= width else cell.wrap(self._console, width)
            for cell, width in zip(row, widths, strict=True)
        ]
        lines = []
        for cells in zip_longest(*columns, fillvalue=Text()):
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
            return text.plain  # the same as rich's result, in a fiftieth of the time
        with self._console.capture() as captured:
            self._console.print(text, soft_wrap=True, end="")
        return captured.get()
