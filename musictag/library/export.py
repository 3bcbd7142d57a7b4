"""All that is known of a remembered track, as one row of a table."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from musictag.library.collection import Track
from musictag.library.opinion import Opinion
from musictag.stores import summary
from musictag.vocabulary import FIELDS

ABOUT = ("TITLE", "ARTIST", "ALBUM", "ALBUMARTIST")

Cell = str | float | None | tuple[str, ...] | Sequence[float]


def columns(opinion: Opinion, *, n_summary: int = 0) -> dict[str, str]:
    """Name of a column → its kind: text, number, list (of texts) or a vector's length.

    With `n_summary`, the numbers of a summary's mean, the two vectors of the summary are columns.
    """
    found = {"path": "text", "duration": "number", "model": "text"}
    found |= {name.lower(): "list" for name in (*ABOUT, *FIELDS)}
    found |= {f"{name.lower()}_chosen": "list" for name in FIELDS}
    found |= {f"value_{value.name}": "number" for value in opinion.vocabulary.values}
    found |= {f"tag_{tag}": "number" for tag in opinion.tags}
    if n_summary:
        found |= {"mean": str(n_summary), "spread": str(n_summary)}
    return found


def row(
    track: Track, opinion: Opinion, limits: Mapping[str, int], model: str, *, n_summary: int = 0
) -> list[Cell]:
    """A track's cells, in the order of `columns`. Values are shares of listeners who would agree,
    tags the model's own probabilities."""
    by_tag = opinion.by_tag(track)
    shares, chosen = opinion.agreement(by_tag), opinion.chosen(by_tag, limits)
    cells: list[Cell] = [os.fspath(track.path), round(track.duration_s, 3), model]
    cells += [tuple(track.about.get(name, ())) for name in ABOUT]
    cells += [tuple(track.fields.get(name, ())) for name in FIELDS]
    cells += [tuple(chosen.get(name, ())) for name in FIELDS]
    cells += [round(shares.get(value.name, 0.0), 6) for value in opinion.vocabulary.values]
    cells += [round(by_tag[tag], 6) for tag in opinion.tags]
    if n_summary:
        assert track.summary is not None
        for vector in summary.unpacked(track.summary):
            # what another version's network made has another length: none rather than a wrong one
            cells.append(vector.tolist() if len(vector) == n_summary else None)
    return cells
