"""One file from close up, as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from rich.cells import cell_len

from musictag.report.taggram import draw_rows
from musictag.report.terminal import console, is_ascii, marks, shortened, wrapped
from musictag.report.text import clock_text, visible

if TYPE_CHECKING:
    from musictag.scan.showing import Shown, Verdict

HEARD = "Heard (share of listeners who would agree, | is the share needed)"
LEAST = {"GENRE": 5, "MOOD": 6, "INSTRUMENT": 6, "VOCALS": 4}
"""Field → number of its values that are shown, at least."""
LONGEST_BAR = 40
"""Columns of a bar, at most."""
REASONS = {
    "chosen": "chosen",
    "never": "never written",
    "below": "{threshold:.0%} needed",
    "opposite": "opposite of {other}",
    "family": "family of {other}",
    "member": "is {other}",
    "dropped": "dropped",
    "unlisted": "not on the list",
    "over": "too many",
}
_WORD, _REASON = 17, 22
"""Columns of a value and of what becomes of it."""


def reason(verdict: Verdict) -> str:
    """What becomes of a value, in a few words."""
    return REASONS[verdict.why].format(threshold=verdict.threshold or 0.0, other=verdict.other)


def worth_showing(verdicts: Sequence[Verdict], field: str) -> list[Verdict]:
    """The values of a field that are or could have been chosen, and the likeliest others."""
    found = [one for one in verdicts if one.field == field]
    first = [one for one in found if one.why not in ("below", "never")]
    others = [one for one in found if one.why in ("below", "never")]
    some = first + others[: max(0, LEAST[field] - len(first))]
    return sorted(some, key=lambda one: -one.probability)


def lines(shown: Shown, stdout: TextIO) -> Iterator[str]:
    """A file's fields, bars for what is heard, and the taggram."""
    width = console(stdout).width
    taggram = shown.taggram
    yield from wrapped(visible(str(taggram.path)), width, breaks=" /", indent=2)
    yield f"  {clock_text(taggram.duration_s)}, heard by {visible(taggram.model)}"
    if shown.not_music:
        yield f"  A scan writes nothing: {shown.not_music}."
    yield from ("", "In the file")
    yield from _fields(shown, width, stdout)
    yield ""
    yield from wrapped(HEARD, width, breaks=" ", indent=2)
    for field in LEAST:
        some = worth_showing(shown.verdicts, field)
        if some:
            yield f"  {field.lower()}"
            yield from (_bar(one, width, stdout) for one in some)
    yield from ("", "Over time")
    yield from draw_rows(taggram, stdout)


def _fields(shown: Shown, width: int, stdout: TextIO) -> Iterator[str]:
    if shown.unreadable is not None:
        yield from wrapped(f"  {visible(shown.unreadable.message)}", width, breaks=" ", indent=4)
        return
    _, none, _ = marks(stdout)
    for name, values in shown.values.items():
        if values or name in LEAST:
            text = f"  {name.lower():13}{visible(', '.join(values)) or none}"
            yield from wrapped(text, width, breaks=" ", indent=15)


def _bar(verdict: Verdict, width: int, stdout: TextIO) -> str:
    """The value, a bar with a mark at its threshold, its probability, what becomes of it."""
    full, empty = ("#", "-") if is_ascii(stdout) else ("█", "·")
    _, _, cut = marks(stdout)
    room = max(6, min(LONGEST_BAR, width - 4 - _WORD - 6 - 2 - _REASON))
    n_full = round(verdict.probability * room)
    bar = full * n_full + empty * (room - n_full)
    if verdict.threshold is not None:
        mark = min(room - 1, int(verdict.threshold * room))
        bar = f"{bar[:mark]}|{bar[mark + 1 :]}"
    word = shortened(visible(verdict.word), _WORD - 1, cut)
    word += " " * (_WORD - cell_len(word))
    left = max(4, width - 4 - _WORD - room - 5 - 2)
    why = shortened(visible(reason(verdict)), left, cut)
    return f"    {word}{bar} {verdict.probability:4.0%}  {why}"
