"""How good the taggers are that made a data set's soft labels, against genres given by people.

    python benchmarks/teachers.py --dataset DIR

The soft labels are judged like a model's output: thresholds are chosen on the validation
split, genres are those that would be written. Compare a model that learned from
the labels with these figures.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from musictag.training.evaluate import judge_genres
from musictag.training.folder import read_folder
from musictag.training.scores import by_track
from musictag.training.settings import TrainSettings
from musictag.training.thresholds import choose_thresholds
from musictag.vocabulary import for_tags


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", type=Path, required=True)
    dataset = read_folder(parser.parse_args().dataset)
    validation = dataset.rows("validation")
    vocabulary = for_tags(dataset.tags)
    thresholds = choose_thresholds(
        dataset.labels[validation], dataset, validation, vocabulary, people=TrainSettings.people
    )
    decided = vocabulary.with_thresholds(thresholds)
    print("split        tracks   written   right   ROC-AUC")
    for split in ("validation", "test"):
        examples = [dataset.examples[row] for row in dataset.rows(split)]
        genres = {example.track: example.genre for example in examples}
        labels = dataset.labels[dataset.rows(split)].astype(np.float64)
        table, tracks = by_track(labels, [example.track for example in examples])
        found = judge_genres(table, dataset.tags, [genres[track] for track in tracks], decided)
        print(
            f"{split:12} {found['n_tracks']:6} {found['coverage']:9.3f} {found['precision']:7.3f} "
            f"{found['macro_roc_auc']:9.3f}"
        )


if __name__ == "__main__":
    main()
