"""A listener's own words: which can be learned, from whom, and how well they can be told."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from learned import N_SUMMARY, own_model, tracks

from musictag.errors import DataSetError, UsageError
from musictag.hearing import checkpoint
from musictag.hearing.scattering.plan import FrontEnd
from musictag.training import start
from musictag.training.evaluate import Score
from musictag.training.own import groups as grouping
from musictag.training.own import head, judging, learning
from musictag.training.own.groups import Origin
from musictag.training.own.words import Reading, key_of, labels

# ---------------------------------------------------------------- words


def test_spellings_of_a_word_are_one_called_by_the_commonest() -> None:
    found = labels(
        [["Hip-Hop"], ["Hip Hop"], ["hip hop"], ["Hip Hop", "R&B"], ["r and b"], ["R & B"]],
        "GENRE",
        min_count=3,
    )
    assert found.names == ("Hip Hop", "R & B")
    assert found.table.sum(axis=0).tolist() == [4, 3]
    assert key_of("Drum'n'Bass") == key_of("Drum & Bass") == key_of("drum and bass")


def test_values_are_split_and_mapped_as_the_user_says() -> None:
    reading = Reading("/", {"hip-hop/rap": "Hip Hop", "Other": "", "alt": "Alternative"})
    assert reading.words(["Hip-Hop/Rap", "Rock/Pop", "other", "Alt/ Jazz"]) == [
        *("Hip Hop", "Rock", "Pop", "Alternative", "Jazz")
    ]
    assert Reading().words(["Rock/Pop"]) == ["Rock/Pop"]


def test_what_cannot_be_a_word_is_left_out_with_the_reason() -> None:
    rows = [["Rock"], ["Jazz"]] * 3 + [["a/b"], ["this is what I like to hear"], ["Unknown"]] * 3
    found = labels([*rows, ["Zydeco"]], "GENRE", min_count=3)
    assert sorted(found.names) == ["Jazz", "Rock"]
    assert found.left_out["a/b"].startswith("holds '/': say --split-at")
    assert found.left_out["this is what I like to hear"] == "a sentence, not a word"
    assert found.left_out["Unknown"] == "says nothing"
    assert found.left_out["Zydeco"] == "1 track, 3 are needed (--min-count)"


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([[], []], "no file has a genre"),
        ([["Rock"], ["rock"], []], "all 2 tagged files have the genre 'R?rock'"),
        ([[f"Genre {n}"] for n in range(300)], "300 tagged files have 300 different values"),
        ([["all that I like to hear"], ["something nice for a rainy Sunday"]], "are sentences"),
        ([["Rock"], ["Jazz"]], "no genre has 3 tracks .the commonest, '.*', has 1."),
        ([["Rock"]] * 3 + [["Jazz"]], "only one genre can be learned: 'Jazz' 1 track"),
    ],
)
def test_a_field_without_words_to_learn_is_refused_in_a_sentence(
    rows: list[list[str]], reason: str
) -> None:
    with pytest.raises(DataSetError, match=f"(?i){reason}"):
        labels(rows, "GENRE", min_count=3)


# ---------------------------------------------------------------- groups


def test_tracks_that_share_an_album_or_an_artist_are_one_group() -> None:
    origins = [
        Origin("One", ("Abba",)),
        Origin("One", ("Björn",)),
        Origin("Two", ("björn",)),
        Origin("Three", ("Cher",)),
        Origin(sound=b"x", folder="/a"),
        Origin("Three", ("Cher",), sound=b"x"),
    ]
    group, album = grouping.groups(origins)
    assert group.tolist() == [0, 0, 0, 1, 1, 1]
    assert len(set(album.tolist())) == 4


def test_a_greatest_hits_does_not_tie_everybody() -> None:
    group, _ = grouping.groups([Origin("Greatest Hits", (a,), a) for a in ("Abba", "Cher")])
    assert group.tolist() == [0, 1]


def test_a_compilation_does_not_tie_its_artists() -> None:
    artists = [f"Artist {n}" for n in range(grouping.COMPILATION)]
    tied, _ = grouping.groups([Origin("Sampler", (a,), "Various Artists") for a in artists[:-1]])
    apart, _ = grouping.groups([Origin("Sampler", (a,), "Various Artists") for a in artists])
    assert len(set(tied.tolist())) == 1
    assert len(set(apart.tolist())) == len(artists)


def test_files_without_album_and_artist_are_grouped_by_folder() -> None:
    group, _ = grouping.groups([Origin(folder="/a"), Origin(folder="/b"), Origin(folder="/a")])
    assert group.tolist() == [0, 1, 0]


def test_no_group_is_in_two_parts_and_words_are_spread_over_parts() -> None:
    some = tracks()
    group, _ = grouping.groups([track.origin for track in some])
    found = labels([track.words for track in some], "GENRE", min_count=1)
    part = grouping.folds(group, found.table, 5)
    for one in range(group.max() + 1):
        assert len(set(part[group == one].tolist())) == 1
    for k in range(3):
        assert set(part[found.table[:, k]].tolist()) == set(range(5))


# ---------------------------------------------------------------- head


def test_a_fit_is_where_the_gradient_vanishes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "TINY", 1e-12)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 5)).astype(np.float32)
    truth = rows @ rng.normal(size=(5, 2)) + rng.logistic(size=(200, 2)) > 0.5
    weights = head.fit(rows, truth, np.ones(5, np.float32), 2.0, head.beginning(truth, 5))
    error = 1 / (1 + np.exp(-head.logits(rows, weights))) - truth
    gradient = error.T @ rows + 2.0 * weights[:, 1:]
    assert np.abs(gradient).max() < 0.05
    assert np.abs(error.sum(axis=0)).max() < 0.05


def test_a_head_says_of_summaries_what_the_fit_says_in_its_space() -> None:
    some = tracks()
    means, spreads = np.stack([t.mean for t in some]), np.stack([t.spread for t in some])
    spreads[:7] = 0  # of one segment
    space = head.Space.of(means, spreads)
    weights = np.random.default_rng(1).normal(size=(2, 1 + space.rows.shape[1]))
    weights = weights.astype(np.float32)
    expected = 1 / (1 + np.exp(-head.logits(space.rows, weights)))
    assert space.head(weights)(means, spreads) == pytest.approx(expected, abs=1e-4)


def test_numbers_that_never_vary_weigh_nothing() -> None:
    some = tracks()
    means = np.stack([t.mean for t in some])
    means[:, 4] = 0.25
    space = head.Space.of(means, np.zeros_like(means))
    weights = np.ones((1, 1 + space.rows.shape[1]), np.float32)
    found = space.head(weights)
    assert found.of_mean[0, 4] == 0
    assert not found.of_spread.any()


# ---------------------------------------------------------------- judgement


def test_thresholds_are_the_lowest_that_are_precise() -> None:
    probabilities = np.array([0.9] * 80 + [0.605] * 100 + [0.1] * 100)[:, None]
    right = np.array([1] * 78 + [0, 0] + [1, 0] * 50 + [0] * 100, dtype=bool)[:, None]
    (threshold,) = judging._thresholds(probabilities, right, 0.8)
    assert threshold == pytest.approx(0.61)
    assert judging._thresholds(probabilities, ~right, 0.8).tolist() == [np.inf]


def test_the_strongest_words_are_written_up_to_the_limit() -> None:
    probabilities = np.array([[0.9, 0.8, 0.7], [0.4, 0.9, 0.1]])
    written = judging.chosen(probabilities, np.array([0.5, 0.3, 0.69]), 2)
    assert written.tolist() == [[True, True, False], [False, True, False]]


@pytest.mark.parametrize(
    ("auc", "precision", "n_written", "verdict"),
    [
        (Score(0.9, 0.8, 0.95), Score(0.83, 0.6, 0.9), 5, judging.WRITTEN),
        (Score(0.9, 0.8, 0.95), Score(0.83, 0.4, 1.0), 5, judging.SUGGESTED),  # or right by chance
        (Score(0.9, 0.8, 0.95), Score(0.74, 0.6, 0.9), 5, judging.SUGGESTED),
        (Score(0.9, 0.8, 0.95), Score(1.0, 1.0, 1.0), 4, judging.SUGGESTED),
        (Score(0.9, 0.5, 0.95), Score(0.83, 0.6, 0.9), 5, judging.INAUDIBLE),
        (Score(0.69, 0.6, 0.8), Score(0.83, 0.6, 0.9), 5, judging.INAUDIBLE),
    ],
)
def test_a_word_is_written_where_it_is_surely_precise(
    auc: Score, precision: Score, n_written: int, verdict: str
) -> None:
    assert judging._verdict((auc, precision, Score(0.3)), 0.5, n_written, 0.8) == verdict


def test_what_can_be_heard_is_written_and_what_cannot_is_not() -> None:
    some = tracks()
    rng = np.random.default_rng(3)
    chance = [rng.permutation(["Monday", "Tuesday", "Wednesday", "Thursday"])[0] for _ in some]
    some = [
        dataclasses.replace(track, words=(*track.words, day))
        for track, day in zip(some, chance, strict=True)
    ]
    learned = learning.learn(some, "GENRE")
    verdicts = {word.name: word.verdict for word in learned.judgement.words}
    assert {verdicts[name] for name in ("Rock", "Jazz", "Dub")} == {judging.WRITTEN}
    assert {verdicts[day] for day in chance} == {judging.INAUDIBLE}
    assert sorted(learned.vocabulary().by_name) == ["Dub", "Jazz", "Rock"]
    assert learned.head.bias.shape == (3,)
    rock = next(word for word in learned.judgement.words if word.name == "Rock")
    assert rock.precision.value > 0.8
    assert rock.precision.low <= rock.precision.value <= rock.precision.high
    assert (rock.n_tracks, rock.n_albums, rock.n_groups) == (70, 14, 14)


def test_an_album_does_not_vouch_for_itself() -> None:
    """Albums that are told by their own sound, and words that come with albums by chance."""
    rng = np.random.default_rng(0)
    some = []
    for album in range(60):
        sound = rng.normal(size=N_SUMMARY) * 3
        for _ in range(5):
            mean = (sound + rng.normal(size=N_SUMMARY) * 0.1).astype(np.float32)
            origin = Origin(f"{album}", (f"{album}",))
            some.append(learning.Track(("Odd" if album % 2 else "Even",), mean, mean * 0, origin))
    rng.shuffle(some)  # type: ignore[arg-type]
    with_groups = learning.learn(some, "GENRE").judgement.macro_roc_auc.value
    alone = [
        dataclasses.replace(track, origin=Origin(f"{n}", (f"{n}",))) for n, track in enumerate(some)
    ]
    without = learning.learn(alone, "GENRE").judgement.macro_roc_auc.value
    assert with_groups < 0.65
    assert without > with_groups + 0.1


def test_learning_twice_gives_the_same() -> None:
    one, two = (learning.learn(tracks(), "GENRE") for _ in range(2))
    assert one.digest == two.digest
    assert one.head.of_mean.tobytes() == two.head.of_mean.tobytes()
    assert one.judgement.words == two.judgement.words


def test_words_of_too_few_albums_are_named_and_left_out() -> None:
    some = [*tracks(), *(dataclasses.replace(t, words=("Polka",)) for t in tracks(3)[:5] * 4)]
    some[-20:] = [
        dataclasses.replace(t, origin=Origin("The only one", ("Frankie",))) for t in some[-20:]
    ]
    learned = learning.learn(some, "GENRE")
    assert "Polka" not in learned.labels.names
    assert learned.labels.left_out["Polka"] == "20 tracks of only 1 album or artist, 5 are needed"


def test_all_of_one_album_is_refused_in_a_sentence() -> None:
    same = [dataclasses.replace(t, origin=Origin("One", ("Abba",))) for t in tracks()]
    with pytest.raises(DataSetError, match="all 200 tagged files belong to one album"):
        learning.learn(same, "GENRE")


def test_the_same_sound_counts_once_and_contradictions_are_left_out() -> None:
    some = tracks()
    sounds = [dataclasses.replace(t.origin, sound=bytes([n])) for n, t in enumerate(some)]
    some = [dataclasses.replace(t, origin=o) for t, o in zip(some, sounds, strict=True)]
    agrees = dataclasses.replace(some[0], words=("rock", "Jazz"))
    contradicts = dataclasses.replace(some[7], words=("Polka",))
    learned = learning.learn([*some, agrees, contradicts], "GENRE")
    assert learned.contradictory == (7, 201)
    assert learned.rows == (*range(7), *range(8, 200))


def test_files_with_the_wrong_word_are_doubted_first() -> None:
    some = tracks()
    wrong = [3, 77, 150]
    for row in wrong:
        some[row] = dataclasses.replace(
            some[row], words=("Jazz" if some[row].words != ("Jazz",) else "Dub",)
        )
    doubts = learning.doubts(learning.learn(some, "GENRE"))
    assert sorted(doubt.row for doubt in doubts[:3]) == wrong
    assert doubts[0].word == some[doubts[0].row].words[0]
    assert doubts[0].rather == tracks()[doubts[0].row].words[0]
    assert doubts[0].probability < 0.2
    assert doubts[0].probability_of_that > 0.8
    assert len(doubts) == len(some)


def test_what_is_saved_names_nobody(tmp_path: Path, tiny: Path) -> None:
    base = checkpoint.read(tiny)
    n = base.sizes().n_summary
    some = [dataclasses.replace(t, mean=t.mean[:n], spread=t.spread[:n]) for t in tracks()]
    some += [dataclasses.replace(t, words=("Rare",)) for t in some[:2]]
    learned = learning.learn(some, "MOOD")
    model = learning.save(learned, tmp_path / "mine", base=base, name="my-words")
    assert model.own_tags == ("Rock", "Jazz", "Dub")
    assert {model.vocabulary.by_name[name].field for name in model.own_tags} == {"MOOD"}
    assert "techno" in model.tags  # a genre of the base, beside moods of one's own
    assert "rock" not in model.tags  # whose name is taken
    text = (tmp_path / "mine" / "config.json").read_text()
    for secret in ("Album", "Artist", "Rare", str(tmp_path)):
        assert secret not in text
    config = json.loads(text)
    assert config["training"]["learned_from_sha256"] == learned.digest
    assert config["training"]["n_tracks"] == 202
    means = np.stack([track.mean for track in some[:200]])
    spreads = np.stack([track.spread for track in some[:200]])
    words = model.own_words()
    assert words is not None
    said = words(np.zeros((200, len(base.tags)), np.float32), means, spreads)[:, :3]
    assert (said.argmax(axis=1) == np.arange(200) // 5 % 3).mean() > 0.9


def test_nothing_is_saved_of_what_cannot_be_told(tmp_path: Path, tiny: Path) -> None:
    rng = np.random.default_rng(0)
    some = [dataclasses.replace(t, words=(rng.choice(["Odd", "Even"]),)) for t in tracks()]
    learned = learning.learn(some, "GENRE")
    with pytest.raises(DataSetError, match="none of the 2 genres can be told by ear"):
        learning.save(learned, tmp_path / "mine", base=checkpoint.read(tiny), name="my-words")
    assert not (tmp_path / "mine").exists()


def test_training_does_not_begin_with_a_model_that_has_no_network(
    tmp_path: Path, tiny: Path
) -> None:
    model = own_model(tmp_path / "mine", tiny)
    with pytest.raises(UsageError, match="my-words has no network of its own: start from tiny"):
        start.read(model.directory, FrontEnd())
