"""Scores done by hand, evaluations of made-up probabilities, and what people see of them."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sounds
from labelled import TAGS, clip, data_set, write_folder

from musictag.errors import DataSetError, UsageError
from musictag.hearing.checkpoint import Checkpoint
from musictag.hearing.ear import Hearing
from musictag.training import scorecard, scores
from musictag.training.dataset import DataSet, Example
from musictag.training.evaluate import evaluate, judge
from musictag.training.folder import read_folder
from musictag.training.scores import binarise, correlation, pr_auc, roc_auc
from musictag.vocabulary import Calibration, Vocabulary, magnatagatune


def at(thresholds: Mapping[str, float]) -> Vocabulary:
    return magnatagatune().with_thresholds(thresholds)


# -- scores, by hand -------------------------------------------------------------------------------

POSITIVE = [True, False, True, False]


@pytest.mark.parametrize(
    ("probabilities", "positive", "roc", "pr"),
    [
        ([0.9, 0.1, 0.8, 0.2], POSITIVE, 1.0, 1.0),
        ([0.1, 0.9, 0.2, 0.8], POSITIVE, 0.0, (1 / 3 + 2 / 4) / 2),
        # ranked + − + −: of the 4 pairs 3 are right; precision 1 at the first, 2/3 at the second
        ([0.9, 0.8, 0.7, 0.6], POSITIVE, 3 / 4, (1 + 2 / 3) / 2),
        # all tied: every pair counts half; one threshold, half of it right
        ([0.5, 0.5, 0.5, 0.5], POSITIVE, 1 / 2, 1 / 2),
        # + and − tied on top: pairs 1/2, 1, 1/2, 1 … of +0.9 −0.9 +0.5 −0.1
        ([0.9, 0.9, 0.5, 0.1], POSITIVE, (0.5 + 1 + 0 + 1) / 4, (1 / 2 + 2 / 3) / 2),
        ([0.3, 0.2, 0.1], [True, True, True], math.nan, 1.0),
        ([0.3, 0.2, 0.1], [False, False, False], math.nan, math.nan),
    ],
)
def test_roc_and_pr_auc_by_hand(
    probabilities: list[float], positive: list[bool], roc: float, pr: float
) -> None:
    p, y = np.array(probabilities), np.array(positive)
    assert roc_auc(p, y) == pytest.approx(roc, nan_ok=True)
    assert pr_auc(p, y) == pytest.approx(pr, nan_ok=True)


def test_correlation_by_hand() -> None:
    a = np.array([1.0, 2.0, 3.0])
    assert correlation(a, 2 * a + 5) == pytest.approx(1)
    assert correlation(a, np.array([1.0, 0.0, 2.0])) == pytest.approx(1 / 2)
    assert math.isnan(correlation(a, np.ones(3)))


@pytest.mark.parametrize("score", [scores.roc_aucs, scores.pr_aucs])
def test_a_row_that_weighs_two_is_two_rows(score: Callable[..., Any]) -> None:
    random = np.random.default_rng(3)
    p, y = random.integers(0, 9, 40) / 10, random.random(40) < 0.3
    weights = random.integers(0, 4, (6, 40)).astype(float)
    expected = [
        score(np.repeat(p, w), np.repeat(y, w), np.ones((1, w.sum())))[0]
        for w in weights.astype(int)
    ]
    np.testing.assert_allclose(score(p, y, weights), expected)
    assert math.isnan(score(p, y, (~y * 1.0)[None])[0])


def test_correlation_knows_weights_and_what_is_constant_by_weight() -> None:
    random = np.random.default_rng(3)
    a, b = random.random((2, 40))
    b[:20] = 0.7
    weights = np.array([random.integers(0, 4, 40), np.arange(40) < 20], dtype=float)
    found = scores.correlations(a, b, weights)
    w = weights[0].astype(int)
    assert found[0] == pytest.approx(np.corrcoef(np.repeat(a, w), np.repeat(b, w))[0, 1])
    assert math.isnan(found[1])


def test_calibration_by_hand() -> None:
    p = np.array([0.05, 0.15, 0.15, 1.0])
    y = np.array([0.0, 0.0, 1.0, 1.0])
    # bins: 0.05 against 0; 0.15 against 1/2, twice; 1 against 1
    assert scores.calibration_error(p, y) == pytest.approx((0.05 + 2 * 0.35 + 0) / 4)
    assert scores.brier(p, y) == pytest.approx((0.05**2 + 0.15**2 + 0.85**2) / 4)
    assert scores.calibration_error(y, y) == scores.brier(y, y) == 0


def test_hard_labels_are_yes_and_no_whatever_the_prevalence() -> None:
    hard = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    assert binarise(hard, [0.25, 0.5]).tolist() == (hard == 1).tolist()


def test_labels_are_binarised_at_prevalence() -> None:
    soft = np.array([[0.9, 0.1, 0.2], [0.2, 0.3, 0.2], [0.4, 0.2, 0.2], [0.1, 0.05, 0.2]])
    positive = binarise(soft, [0.5, 0.25, 0.01])
    assert positive[:, 0].tolist() == [True, False, True, False]
    assert positive[:, 1].tolist() == [False, True, False, False]
    assert positive[:, 2].tolist() == [True, False, False, False]  # one at least, the first


def test_track_level_is_the_mean_over_a_tracks_examples() -> None:
    table, names = scores.by_track(np.array([[0.2, 0.0], [0.5, 0.5], [0.4, 1.0]]), ["x", "y", "x"])
    assert names == ["x", "y"]
    np.testing.assert_allclose(table, [[0.3, 0.5], [0.5, 0.5]])


def test_an_evaluation_is_plain_json_with_nothing_that_is_not_json() -> None:
    dataset = data_set([[0.9, 0.1, 0], [0.8, 0.2, 0], [0.1, 0.9, 0], [0.2, 0.7, 0]], tracks="aabc")
    heard = np.array([[0.7, 0.2, 0.1], [0.8, 0.1, 0.1], [0.1, 0.9, 0.1], [0.2, 0.8, 0.1]])
    found = judge(heard, dataset, range(4), vocabulary=at({"Rock": 0.5}), model="m", n_resamples=20)
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert (plain["n"], plain["n_tracks"], plain["level"]) == (4, 3, "segment")
    assert plain["tags"]["rock"]["roc_auc"] == 1.0
    assert plain["tags"]["rock"]["pr_auc"] == 1.0
    assert plain["tags"]["no vocals"]["correlation"] is None
    assert plain["macro"]["roc_auc"] <= 1
    low, high = plain["macro"]["roc_auc_95"]
    assert low <= high
    assert plain["values"]["Rock"] == {
        "threshold": 0.5,
        "n_chosen": 2,
        "n_positive": 2,
        "precision": 1.0,
        "recall": 1.0,
        "f1": 1.0,
    }
    track = judge(heard, dataset, range(4), vocabulary=at({}), level="track", n_resamples=0)
    assert (track.n, track.n_tracks) == (3, 3)
    with pytest.raises(UsageError, match="segment or track"):
        judge(heard, dataset, range(4), vocabulary=at({}), level="album")


def test_a_value_is_chosen_by_its_calibrated_probability() -> None:
    dataset = data_set([[0.9, 0.1, 0], [0.8, 0.2, 0], [0.1, 0.9, 0], [0.2, 0.7, 0]], tracks="aabc")
    heard = np.array([[0.35, 0.2, 0.1], [0.3, 0.1, 0.1], [0.1, 0.9, 0.1], [0.2, 0.8, 0.1]])
    calibrated = at({"Rock": 0.5}).with_calibration({"Rock": Calibration(1, 1)})  # from 0.27 on
    found = judge(heard, dataset, range(4), vocabulary=calibrated, n_resamples=0)
    assert found.values["Rock"] == {
        "threshold": 0.5,
        "n_chosen": 2,
        "n_positive": 2,
        "precision": 1.0,
        "recall": 1.0,
        "f1": 1.0,
    }


# -- evaluations -----------------------------------------------------------------------------------


def test_hard_labels_have_no_correlation_and_a_track_goes_with_half_of_its_clips() -> None:
    dataset = data_set([[1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]], tracks="aabbb")
    heard = np.array([[0.9, 0.1, 0.1]] * 2 + [[0.2, 0.8, 0.1]] * 3)
    clips = judge(heard, dataset, range(5), vocabulary=at({"Rock": 0.5}), n_resamples=5)
    assert "correlation" not in clips.macro
    assert clips.values["Rock"] | {} == {
        "threshold": 0.5,
        "n_chosen": 2,
        "n_positive": 1,
        "precision": 0.5,
        "recall": 1.0,
        "f1": pytest.approx(2 / 3),
    }
    assert "label" not in clips.reliability[0]
    assert "brier_soft" not in clips.tags["rock"]
    whole = judge(
        heard, dataset, range(5), vocabulary=at({"Rock": 0.5}), level="track", n_resamples=0
    )
    share = {tag: found["share"].value for tag, found in whole.tags.items()}
    assert share == {"rock": 0.5, "classical": 0.5, "no vocals": 0}  # one of three is not half


def test_calibration_is_against_yes_and_no_and_against_soft_labels() -> None:
    labels = [[0.5, 0.2, 0.3]] * 2 + [[0.4, 0.1, 0.1]] * 2
    dataset = data_set(labels, shares=(0.5, 0.25, 0.25))
    found = judge(np.array(labels), dataset, range(4), vocabulary=at({}), n_resamples=0)
    rock = {name: score.value for name, score in found.tags["rock"].items()}
    assert (rock["brier_soft"], rock["ece_soft"]) == pytest.approx((0, 0), abs=1e-6)
    assert rock["brier"] == pytest.approx((2 * 0.5**2 + 2 * 0.4**2) / 4)
    assert rock["ece"] == pytest.approx((0.5 + 0.4) / 2)
    bins = {round(row["from"], 1): row for row in found.reliability}
    assert bins[0.5] == {
        "from": 0.5,
        "to": 0.6,
        "n": 2,
        "heard": pytest.approx(0.5),
        "positive": 1.0,
        "label": pytest.approx(0.5),
    }
    assert sum(row["n"] for row in found.reliability) == 12


def test_intervals_are_over_tracks_and_hold_the_value() -> None:
    """The same clip forty times over is one witness: every draw of it says the same."""
    random = np.random.default_rng(2)
    labels = random.random((40, 3))
    heard = np.clip(labels + random.normal(0, 0.3, (40, 3)), 0, 1)
    shares = (0.3, 0.3, 0.3)
    many = judge(
        heard,
        data_set(labels.tolist(), tracks="".join(chr(100 + i) for i in range(40)), shares=shares),
        range(40),
        vocabulary=at({}),
    ).macro["roc_auc"]
    assert many.low < many.value < many.high
    one = judge(
        heard,
        data_set(labels.tolist(), tracks="a" * 40, shares=shares),
        range(40),
        vocabulary=at({}),
    ).macro["roc_auc"]
    assert one.low == pytest.approx(many.value) == one.high


def checkpoint_of(tags: tuple[str, ...]) -> Checkpoint:
    class Ear:
        """Hears probabilities that say which column they are."""

        def hear(self, segments: Any) -> Hearing:
            rows = np.tile(np.arange(len(tags), dtype=np.float32) / 10, (len(segments), 1))
            return Hearing(rows, np.zeros((len(segments), 2), np.float32))

    @dataclasses.dataclass(frozen=True)
    class Fake(Checkpoint):
        def load(self, device: object = "cpu", *, batch_size: int | None = None) -> Any:
            return Ear()

    return Fake("fake", Path(), {}, {}, tags, at({"Rock": 0.05}), "", {})


@pytest.fixture
def two_clips(tmp_path: Path) -> Path:
    """One that can be heard and one that cannot."""
    sounds.write(tmp_path / "a.wav", "wav", sounds.tone(440, 2), 44_100)
    (tmp_path / "b.wav").write_bytes(b"no sound in this")
    rows = [clip("a", "test", duration=2), clip("b", "test", duration=2)]
    return write_folder(tmp_path, rows, [[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]])


def test_sound_that_cannot_be_read_is_left_out_and_counted(two_clips: Path) -> None:
    told: list[tuple[int, int]] = []
    found = evaluate(
        checkpoint_of(TAGS),
        read_folder(two_clips),
        n_resamples=0,
        tell=lambda done, total: told.append((done, total)),
    )
    assert (found.n, list(found.left_out)) == (1, ["b"])
    assert "b.wav" in found.left_out["b"]
    assert found.to_json()["left_out"] == 1
    assert "1 examples were left out" in scorecard.text(found)
    assert told == [(2, 2)]


def test_no_sound_at_all_is_an_error(two_clips: Path) -> None:
    (two_clips / "a.wav").unlink()
    with pytest.raises(DataSetError, match=r"no audio could be read, first: .*a\.wav"):
        evaluate(checkpoint_of(TAGS), read_folder(two_clips))


def test_tags_are_matched_by_name_whatever_their_order(two_clips: Path) -> None:
    found = evaluate(
        checkpoint_of(("no vocals", "rock", "classical")), read_folder(two_clips), n_resamples=0
    )
    labels = {"rock": 0.1, "classical": 0.2, "no vocals": 0.3}
    for tag, heard in (("no vocals", 0.0), ("rock", 0.1), ("classical", 0.2)):
        assert found.tags[tag]["brier_soft"].value == pytest.approx((heard - labels[tag]) ** 2)


def test_a_data_set_may_have_more_tags_than_the_model(two_clips: Path) -> None:
    found = evaluate(checkpoint_of(("no vocals", "rock")), read_folder(two_clips), n_resamples=0)
    assert list(found.tags) == ["rock", "no vocals"]


def test_other_tags_are_named(two_clips: Path) -> None:
    with pytest.raises(UsageError, match=r"polka only in the model; rock only in the data set"):
        evaluate(checkpoint_of(("polka", "classical", "no vocals")), read_folder(two_clips))


def test_one_s_own_words_are_judged_as_far_as_the_data_set_has_them(
    two_clips: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = dataclasses.replace(
        checkpoint_of(("Polka", "Rock", "no vocals")), own_tags=("Polka", "Rock")
    )
    found = evaluate(own, read_folder(two_clips), n_resamples=0)
    assert found.tags["Rock"]["brier_soft"].value == pytest.approx(0)
    assert sorted(found.tags) == ["Rock", "no vocals"]
    assert caplog.messages == ["not judged, because the data set has no such tags: Polka"]
    nothing = dataclasses.replace(own, own_tags=("Polka",))
    with pytest.raises(UsageError, match=r"Polka only in the model"):
        evaluate(nothing, read_folder(two_clips))


def test_what_people_said_is_called_by_one_s_own_words() -> None:
    example = Example("a", Path(), 0, 29, "a", "test", "jazz", (frozenset({"jazz", "dub"}),))
    labels = np.zeros((1, 2), np.float32)
    data = DataSet(Path(), ("jazz", "dub"), (example,), labels, {"jazz": 0.1, "dub": 0.2})
    found = data.called({"jazz": "Jazz"})
    assert found.tags == ("Jazz", "dub")
    assert found.shares == {"Jazz": 0.1, "dub": 0.2}
    assert found.examples[0].people == (frozenset({"Jazz", "dub"}),)
    assert found.examples[0].genre == "Jazz"


# -- for people ------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["segment", "track"])
@pytest.mark.parametrize("soft", [True, False])
def test_the_scorecard_fits_a_terminal_and_shows_who_was_taken_for_what(
    level: str, soft: bool
) -> None:
    tags = tuple(magnatagatune().shown)
    random = np.random.default_rng(1)
    heard = random.random((60, 50))
    heard[::7] = 0
    labels = (random.random((60, 50)) if soft else random.random((60, 50)) < 0.2) * 1.0
    genres = ["ambient", "classical", "country", "dance", "electronic", "metal", "pop", "rock"]
    examples = tuple(
        Example(
            f"{i}", Path(), 0, 29, f"{i}", "test", people=(frozenset({genres[i % len(genres)]}),)
        )
        for i in range(60)
    )
    dataset = DataSet(Path(), tags, examples, labels.astype(np.float32), dict.fromkeys(tags, 0.1))
    vocabulary = at(dict.fromkeys(magnatagatune().by_name, 0.6))
    found = judge(
        heard, dataset, range(60), vocabulary=vocabulary, level=level, model="m" * 20, n_resamples=9
    )
    lines = scorecard.text(found).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("macro average") for line in lines) == 1
    (header,) = [line for line in lines if line.startswith("said")]
    assert header.split()[-1] == "none"
    (rock,) = [line.split()[2:] for line in lines if line.startswith("rock ") and "·" in line]
    counts = found.people["confusion"]["rock"]
    assert sum(int(cell) for cell in rock if cell != "·") == sum(counts.values())
    assert int(rock[-1]) == counts[""]
