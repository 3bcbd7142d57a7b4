"""All that is known of each track at once: for a page that shows a whole collection."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from musictag import decision
from musictag.library.collection import Track
from musictag.library.doubts import Doubt, Doubting
from musictag.outcome import Change, Discarded, Outcome
from musictag.vocabulary import NOT_MUSIC, Vocabulary


@dataclass(frozen=True)
class Row:
    """A track: what is in its file, what is heard, what would change."""

    path: Path
    duration_s: float
    about: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values of TITLE, ARTIST, ALBUM and ALBUMARTIST."""
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values that our four fields have in the file."""
    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Field → values heard, in the user's words."""
    changes: Mapping[str, Change] = field(default_factory=dict)
    """Field → old and new values, for what a scan would change."""
    agreement: Mapping[str, float] = field(default_factory=dict)
    """Value → share of listeners who would agree."""
    discarded: tuple[Discarded, ...] = ()
    doubt: Doubt | None = None


@dataclass(frozen=True)
class Trouble:
    """A file or folder that is not among the tracks, or that cannot be tagged."""

    path: Path
    code: str
    message: str


class Passing:
    """Pairs remembered tracks with the outcomes of a scan over their paths, one by one."""

    def __init__(self, tracks: Iterable[Track]) -> None:
        self._tracks = tracks
        self._on_the_way: deque[Track] = deque()

    def paths(self) -> Iterator[Path]:
        """The paths to scan; any thread may take them."""
        for track in self._tracks:
            self._on_the_way.append(track)
            yield track.path

    def pairs(self, outcomes: Iterable[Outcome]) -> Iterator[tuple[Track, Outcome]]:
        """Each outcome with its track. A scan keeps the order, and may leave some out."""
        for outcome in outcomes:
            track = self._on_the_way.popleft()
            while track.path != outcome.path:
                track = self._on_the_way.popleft()
            yield track, outcome


class Overview:
    """Turns tracks and what a scan would make of them into rows."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        """The vocabulary is the model's in the user's words."""
        self._vocabulary = vocabulary
        self._doubting = Doubting(vocabulary)

    def said(self, track: Track | None, outcome: Outcome) -> Iterator[Row | Trouble]:
        """A track's row, if it is music; the trouble, if the scan has any."""
        if outcome.error is not None:
            yield Trouble(outcome.path, outcome.error.code, outcome.error.message)
        is_music = outcome.error is None or outcome.error.code not in NOT_MUSIC
        if track is not None and outcome.probabilities and is_music:
            yield self._row(track, outcome)

    def _row(self, track: Track, outcome: Outcome) -> Row:
        agreement = decision.agreement(outcome.probabilities, self._vocabulary)
        old = {name: change.old for name, change in outcome.fields.items()}
        fields = {**old, **track.fields}
        return Row(
            track.path,
            track.duration_s,
            track.about,
            fields,
            outcome.chosen,
            {name: change for name, change in outcome.fields.items() if change.changed},
            agreement,
            outcome.discarded,
            self._doubting.doubt(fields.get("GENRE", ()), agreement),
        )


def unheard(path: Path) -> Trouble:
    """What to say of a file that nobody has heard as it is now."""
    return Trouble(
        path, "unheard", "not heard as it is now: musictag scan hears it, or says why not"
    )
