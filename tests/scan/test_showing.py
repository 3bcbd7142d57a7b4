"""What becomes of each value of a track, said as a scan decides it."""

from __future__ import annotations

from musictag.decision import LIMITS
from musictag.scan.showing import verdicts_of
from musictag.vocabulary import listener

WORDS = listener().with_thresholds(
    {"Rock": 0.5, "Metal": 0.5, "Jazz": 0.5, "Happy": 0.4, "Sad": 0.4, "Loud": 0.3, "Fast": 0.3}
)
TAGS = {"rock": 0.8, "metal": 0.7, "jazz": 0.2, "happy": 0.9, "sad": 0.5, "loud": 0.6, "fast": 0.4}


def test_every_value_has_its_reason_and_the_likeliest_comes_first() -> None:
    found = list(verdicts_of({**TAGS, "pop": 0.9}, WORDS, LIMITS))
    assert [(one.word, one.why, one.other) for one in found] == [
        ("Pop", "never", ""),
        ("Rock", "family", "Metal"),
        ("Metal", "chosen", ""),
        ("Jazz", "below", ""),
        ("Happy", "chosen", ""),
        ("Loud", "chosen", ""),
        ("Sad", "opposite", "Happy"),
        ("Fast", "over", ""),
    ]
    assert [one.probability for one in found[:4]] == [0.9, 0.8, 0.7, 0.2]
    assert found[1].threshold == 0.5
