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

from musictag.training.by_people import judge_people
from musictag.training.folder import read_folder
from musictag.training.scores import by_track
from musictag.training.thresholds import fit
from musictag.vocabulary import for_tags


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", type=Path, required=True)
    dataset = read_folder(parser.parse_args().dataset)
    validation = dataset.rows("validation")
    vocabulary = fit(dataset.labels[validation], dataset, validation, for_tags(dataset.tags))
    print("split        tracks   written   right   ROC-AUC")
    for split in ("validation", "test"):
        rows = dataset.rows(split)
        labels = dataset.labels[rows].astype(np.float64)
        table, _ = by_track(labels, [dataset.examples[row].track for row in rows])
        found = judge_people(table, dataset, rows, vocabulary, n_resamples=1)
        print(
            f"{split:12} {found['n_tracks']:6} {found['coverage']:9.3f} {found['precision']:7.3f} "
            f"{found['macro_roc_auc']:9.3f}"
        )


if __name__ == "__main__":
    main()
