"""Data sets in a folder: tables read row by row, and what is wrong in them named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from labelled import TAGS, clip, write_folder

from musictag.errors import DataSetError
from musictag.training import magnatagatune
from musictag.training.dataset import Example
from musictag.training.datasets import tags_of
from musictag.training.folder import read_folder


def test_a_folder_data_set_is_read_row_by_row(tmp_path: Path) -> None:
    rows = [clip("a", genre="rock", start=1.5), clip("b", "test", file="x/b.opus", duration=3)]
    folder = write_folder(tmp_path, rows, [[0.1, 0.2, 0.3], [1, 0, 0.5]])
    (folder / "tag_statistics.csv").write_text("tag,share\nclassical,0.2\nrock,0.1\nno vocals,.3\n")
    dataset = read_folder(folder)
    assert dataset.tags == TAGS
    assert dataset.examples == (
        Example("a", folder / "a.wav", 1.5, 29, "a", "train", "rock", (frozenset({"rock"}),)),
        Example("b", folder / "x/b.opus", 0, 3, "b", "test", ""),
    )
    np.testing.assert_allclose(dataset.labels, [[0.1, 0.2, 0.3], [1, 0, 0.5]])
    assert dataset.shares == {"rock": 0.1, "classical": 0.2, "no vocals": 0.3}
    assert dataset.rows("test") == [1]


def test_without_statistics_the_training_labels_say_how_common_a_tag_is(tmp_path: Path) -> None:
    rows = [clip("a"), clip("b"), clip("c", "test")]
    folder = write_folder(tmp_path, rows, [[0.25, 0, 0], [0.75, 0, 1], [1, 1, 1]])
    assert read_folder(folder).shares == {"rock": 0.5, "classical": 0.0, "no vocals": 0.5}


def test_a_tag_without_statistics_is_as_common_as_its_mean_training_label(tmp_path: Path) -> None:
    rows = [clip("a"), clip("b"), clip("c", "test")]
    folder = write_folder(tmp_path, rows, [[0.25, 0, 0], [0.75, 0.5, 1], [1, 1, 1]])
    (folder / "tag_statistics.csv").write_text("tag,share\nclassical,0.125\npolka,0.5\n")
    assert read_folder(folder).shares == {"rock": 0.5, "classical": 0.125, "no vocals": 0.5}


def test_peoples_words_are_read_where_there_are_columns_for_them(tmp_path: Path) -> None:
    rows = [
        clip("a", people="electronic;pop|rock", moods=" Sad;Calm/Peaceful ; ", kind="generated"),
        clip("b", quadrant="Q4", voice="yes", genre="vg", people=""),  # nobody was asked
        clip("c", voice="no"),
    ]
    a, b, c = read_folder(write_folder(tmp_path, rows, [[0, 0, 0]] * 3)).examples
    assert a.people == (frozenset({"electronic"}), frozenset({"pop", "rock"}))
    assert (a.moods, a.kind, a.quadrant, a.voice) == (
        ("Sad", "Calm/Peaceful"),
        "generated",
        "",
        None,
    )
    assert (b.people, b.moods, b.quadrant, b.voice) == ((), (), "Q4", True)
    assert c.voice is False


def test_some_tags_of_a_data_set_are_its_columns_in_the_order_asked_for(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, [clip("a"), clip("b")], [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    whole = read_folder(folder)
    some = whole.only(("no vocals", "rock"))
    assert some.tags == ("no vocals", "rock")
    np.testing.assert_allclose(some.labels, [[0.3, 0.1], [0.6, 0.4]])
    assert some.shares == {"no vocals": whole.shares["no vocals"], "rock": whole.shares["rock"]}
    assert some.examples == whole.examples
    assert some.digest() != whole.digest() == whole.only(whole.tags).digest()
    with pytest.raises(DataSetError, match="no labels for polka"):
        whole.only(("rock", "polka"))
    with pytest.raises(DataSetError, match="rock is asked for twice"):
        whole.only(("rock", "rock"))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"split": "dev"}, r"clips.csv:3: split is 'dev'"),
        ({"start": "soon"}, r"clips.csv:3: 'soon' is not a number"),
        ({"duration": 0}, r"clips.csv:3: starts at 0.0 s, lasts 0.0 s"),
        ({"quadrant": "Q5"}, r"clips.csv:3: quadrant is 'Q5', not Q1 to Q4"),
        ({"voice": "maybe"}, r"clips.csv:3: voice is 'maybe', not yes, no or empty"),
        ({"id": "a"}, r"clips.csv: a is there twice"),
        ({"track": "a"}, r"clips.csv: track a is in two splits"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, change: dict[str, object], complaint: str) -> None:
    folder = write_folder(tmp_path, [clip("a"), clip("b", "test") | change], [[0] * 3] * 2)
    with pytest.raises(DataSetError, match=complaint):
        read_folder(folder)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("soft_labels.csv", "id,rock\na,0.5\n", "no labels for b"),
        ("soft_labels.csv", "id,rock\na,0.5\nb,1.5\n", "soft_labels.csv:3: .* between 0 and 1"),
        ("soft_labels.csv", "id,rock\na,0.5\nb\n", "soft_labels.csv:3: wrong number of columns"),
        ("clips.csv", "id,file\na,a.wav\n", "no column start, duration, track, split"),
        ("clips.csv", "id,file,start,duration,track,split\n", "no examples"),
        (
            "tag_statistics.csv",
            "tag,share\nrock,many\n",
            "csv:2: 'many' is not a number",
        ),
        ("tag_statistics.csv", "tag\nrock\n", "no column share"),
    ],
)
def test_a_wrong_table_is_named(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    folder = write_folder(tmp_path, [clip("a"), clip("b")], [[0] * 3] * 2)
    (folder / name).write_text(text)
    with pytest.raises(DataSetError, match=complaint):
        read_folder(folder)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match=r"soft_labels.csv: there is no such file$"):
        read_folder(tmp_path)


def test_the_digest_is_that_of_labels_and_splits_not_of_the_place(tmp_path: Path) -> None:
    def digest(place: str, split: str, label: float) -> str:
        folder = write_folder(tmp_path / place, [clip("a", split)], [[label, 0, 0]])
        return read_folder(folder).digest()

    first = digest("x", "train", 0.5)
    assert digest("y", "train", 0.5) == first
    assert digest("y", "test", 0.5) != first
    assert digest("y", "train", 0.6) != first


def test_the_digest_is_also_that_of_peoples_words(tmp_path: Path) -> None:
    def digest(place: str, **words: str) -> str:
        return read_folder(write_folder(tmp_path / place, [clip("a", **words)], [[0] * 3])).digest()

    plain = digest("x")
    assert digest("y", people="") == plain  # an empty column says what a missing one does
    others = {"people": "rock", "quadrant": "Q1", "moods": "Sad", "kind": "tracker", "voice": "no"}
    found = {digest(name, **{name: word}) for name, word in others.items()}
    assert len(found | {plain}) == 6


def test_tags_are_named_by_a_file_or_by_a_word(tmp_path: Path) -> None:
    listed = tmp_path / "tags.txt"
    listed.write_text("# mine\nrock\n\n no vocals \n", encoding="utf-8")
    assert tags_of(str(listed)) == ("rock", "no vocals")
    assert tags_of("all") == ()
    assert tags_of("mtat50") == magnatagatune.TAGS
    for text, complaint in (("", "no tags"), ("caf\xe9", "not a text file in UTF-8")):
        listed.write_bytes(text.encode("latin-1"))
        with pytest.raises(DataSetError, match=f"tags.txt: {complaint}"):
            tags_of(str(listed))
    with pytest.raises(DataSetError, match="absent: there is no such file"):
        tags_of(str(tmp_path / "absent"))
