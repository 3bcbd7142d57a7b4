"""MagnaTagATune: read as published, fetched over broken connections, trained on and judged."""

from __future__ import annotations

import re
from pathlib import Path

import mtat
import numpy as np
import pytest

from musictag.decision import FIELD_TAGS
from musictag.errors import DataSetError
from musictag.training.dataset import DataSet, open_dataset
from musictag.training.magnatagatune import ANNOTATIONS, TAGS

# -- reading ---------------------------------------------------------------------------------------


@pytest.fixture
def mini(tmp_path: Path) -> DataSet:
    """No audio: the tables say all."""
    return open_dataset(mtat.write_tables(tmp_path / "mtat"))


def name(dataset: DataSet, row: int) -> str:
    return dataset.examples[row].path.relative_to(dataset.directory).as_posix()


def test_the_fifty_tags_are_those_that_values_are_made_of() -> None:
    assert len(TAGS) == len(set(TAGS)) == 50
    assert set(TAGS) == {tag for v in FIELD_TAGS.values() for tags in v.values() for tag in tags}


def test_clips_are_split_by_folder_and_carry_their_tags(mini: DataSet) -> None:
    assert mini.tags == TAGS
    folders = {
        split: {name(mini, row)[0] for row in mini.rows(split)}
        for split in ("train", "validation", "test")
    }
    assert folders == {"train": set("0123456789ab"), "validation": {"c"}, "test": set("def")}
    carried = mtat.tags_of()
    for row, labels in enumerate(mini.labels):
        expected = [tag in carried[name(mini, row)] for tag in TAGS]
        assert labels.tolist() == [float(yes) for yes in expected]


def test_clips_without_a_tag_are_dropped_and_counted_broken_ones_named(mini: DataSet) -> None:
    there = {name(mini, row) for row in range(len(mini.examples))}
    assert there == set(mtat.tags_of()) - {mtat.UNTAGGED, mtat.KNOWN_BROKEN}
    assert mini.untagged == {"train": 1, "validation": 0, "test": 0}
    (reason,) = mini.broken.values()
    assert mtat.KNOWN_BROKEN in reason


@pytest.mark.parametrize("clip_info", [True, False])
def test_clips_of_one_song_are_one_track(tmp_path: Path, clip_info: bool) -> None:
    dataset = open_dataset(mtat.write_tables(tmp_path, clip_info=clip_info))
    track_of = {name(dataset, row): e.track for row, e in enumerate(dataset.examples)}
    assert track_of[mtat.plain(0)] == track_of[mtat.SECOND]
    assert len(set(track_of.values())) == len(track_of) - 1


def test_how_common_a_tag_is_the_training_clips_say(mini: DataSet) -> None:
    rows = mini.rows("train")
    assert mini.shares["guitar"] == pytest.approx(float(np.mean(mini.labels[rows, 0])))
    assert list(mini.shares) == list(TAGS)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("clip_id", "id"), "the columns are not"),
        (('"guitar"', '"gitarre"'), "no column guitar"),
        (('"1"\t"0/x-y', '"2"\t"0/x-y'), ":19: a tag is neither 0 nor 1"),
        (('"0/x-y', '"../x-y'), "is not a clip in a folder 0 to f"),
        (('"0/x-y', '"0/../../x-y'), "is not a clip in a folder 0 to f"),
        (('\t"0/x-y', '\t"0"\t"0/x-y'), ":19: 55 columns, not 54"),
    ],
)
def test_a_wrong_table_is_named(tmp_path: Path, change: tuple[str, str], complaint: str) -> None:
    path = mtat.write_tables(tmp_path) / ANNOTATIONS
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(DataSetError, match=complaint):
        open_dataset(tmp_path)


def test_another_list_of_frequent_tags_is_not_magnatagatune(tmp_path: Path) -> None:
    path = mtat.write_tables(tmp_path) / ANNOTATIONS
    everywhere = re.sub(r'"0"(\t"[0-9a-f]/)', r'"1"\1', path.read_text())  # the last tag, duet
    path.write_text(everywhere)
    with pytest.raises(DataSetError, match="not MagnaTagATune as published: 'duet'"):
        open_dataset(tmp_path)
