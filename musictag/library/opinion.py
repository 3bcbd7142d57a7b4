"""What a model says of tracks that are remembered, in the listener's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from musictag import decision
from musictag.library.collection import Track
from musictag.stores import summary
from musictag.vocabulary import Vocabulary


class OwnWords(Protocol):
    """The head of a model of one's own words."""

    def of_track(
        self, probabilities: tuple[float, ...], mean: summary.Real, spread: summary.Real
    ) -> tuple[float, ...]: ...


class Opinion:
    """A model's tags and vocabulary, applied to what it or its base has heard."""

    def __init__(
        self,
        tags: Sequence[str],
        vocabulary: Vocabulary,
        *,
        worded: Vocabulary | None = None,
        own_words: OwnWords | None = None,
    ) -> None:
        """`worded` is the vocabulary as the listener wants it, by default the model's.

        With `own_words` tracks need their summaries.
        """
        self.tags = tuple(tags)
        self._vocabulary = vocabulary
        self.vocabulary = vocabulary if worded is None else worded
        self._own_words = own_words

    @property
    def needs_summaries(self) -> bool:
        """Whether a track without its summary cannot be judged."""
        return self._own_words is not None

    def by_tag(self, track: Track) -> dict[str, float]:
        """Tag → probability."""
        probabilities = track.probabilities
        if self._own_words is not None:
            assert track.summary is not None
            mean, spread = summary.unpacked(track.summary)
            probabilities = self._own_words.of_track(probabilities, mean, spread)
        return dict(zip(self.tags, probabilities, strict=True))

    def is_music(self, by_tag: Mapping[str, float]) -> bool:
        """Whether it is music; speech is not."""
        return decision.not_music(by_tag, self._vocabulary) is None

    def agreement(self, by_tag: Mapping[str, float]) -> dict[str, float]:
        """Value → share of listeners who would agree."""
        return decision.agreement(by_tag, self.vocabulary)

    def chosen(
        self, by_tag: Mapping[str, float], limits: Mapping[str, int]
    ) -> dict[str, tuple[str, ...]]:
        """Field → the values that a scan would give the track; none for what is not music."""
        if not self.is_music(by_tag):
            return {}
        return decision.choose(by_tag, self.vocabulary, limits=limits)
