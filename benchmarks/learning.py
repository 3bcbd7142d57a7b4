"""How well one's own words are learned, on music that people have tagged.

    python benchmarks/learning.py --dataset DIR [--folder DIR] [--plot docs/learning.svg]

The recordings of a data set to which people gave genres become a library (`people_library.py`). The
part that the bundled model was trained on is the tagged part: `musictag learn` learns from it. The
rest, by other artists, is judged: what a scan says of it with the learned model, with the bundled
model's own words, and with the same head on mean and deviation of each scattering coefficient
instead of summaries. People's lists are not complete, so that precision is a lower bound.

The bundled model was taught the genres of the tagged part, where its summaries are therefore better
than on other music, and so is what `learn` promises. What its promise is worth where both come from
the same music is seen within either part alone.

Neighbours are judged among the judged recordings alone, without those of the same artist.

`--folder` keeps the library and what was heard, so that a second run decodes nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import commands
import numpy as np
import people_library
from numpy.typing import NDArray

from musictag import decision
from musictag.audio.track import Track as Sound
from musictag.hearing import checkpoint, frontend
from musictag.hearing.checkpoint import Checkpoint
from musictag.library.collection import Collection, Track
from musictag.library.similar import Neighbours, without_relatives
from musictag.report.progress import Progress
from musictag.stores import cache as caches
from musictag.stores import summary
from musictag.stores.cache import Cache
from musictag.training import curves
from musictag.training.own import groups, head, judging, learning
from musictag.training.own.groups import Origin
from musictag.training.own.words import labels
from musictag.training.scores import Mask, interval, mean, resampled, roc_aucs

Table = NDArray[np.float64]

ENOUGH = 10
"""Judged recordings that a genre needs, to be shown."""
EXAMPLES = (5, 10, 20, 50, 100)
N_DRAWS = 5
"""Draws of so many examples per genre."""
NEIGHBOURS = 10
N_RESAMPLES = 400
WAYS = ("own words", "bundled words", "coefficients")


@dataclass(frozen=True)
class Judged:
    """What one way of naming genres said of the judged recordings."""

    said: Table
    """(n, K) probabilities, in any scale."""
    given: Mask
    """(n, K): the genres that a scan would write."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--folder", type=Path, help="where to keep the library")
    parser.add_argument("--plot", type=Path, help="an SVG: how many examples are enough")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        for kind in ("CACHE", "CONFIG", "DATA", "STATE"):
            os.environ[f"XDG_{kind}_HOME"] = os.fspath(folder / "home")
        _judge(options.dataset, folder, options.plot)


def _judge(dataset: Path, folder: Path, plot: Path | None) -> None:
    found = people_library.recordings(dataset)
    with Progress(sys.stderr) as progress:
        for n in people_library.make(found, folder / "library"):
            progress.step("made", n, len(found), "files")
    trained, fresh = folder / "library" / "trained", folder / "library" / "fresh"
    _musictag("scan", folder / "library", "--quiet")
    own = folder / "my-words"
    learned = _musictag("learn", trained, "-o", own, "--overwrite", "--format", "jsonl")
    print(commands.machine())
    print(f"{len(found)} recordings; learned, all remembered, in {learned.wall_s:.1f} s\n")
    with Cache(caches.default_path()) as cache:
        known, judged = (_tracks(cache, place) for place in (trained, fresh))
    names = _names(judged)
    truth = np.array([[name in genres(track) for name in names] for track in judged])
    coefficients = _coefficients([*known, *judged], folder / "coefficients.npy")
    ways = dict(
        zip(
            WAYS,
            (
                _scanned(fresh, judged, names, os.fspath(own)),
                _scanned(fresh, judged, names, checkpoint.DEFAULT),
                _by_coefficients(known, judged, coefficients, names),
            ),
            strict=True,
        )
    )
    of = [str(one) for one in groups.groups([origin(track) for track in judged])[0]]
    _print_genres(names, truth, ways, of, _promised(learned.output))
    _print_promise("tagged", known, learning.MIN_COUNT, 1)
    _print_promise("judged", judged, ENOUGH, 4)
    _print_neighbours(judged, coefficients)
    curve = _print_examples(known, judged, coefficients, names, truth)
    if plot:
        title = "mean ROC-AUC, by examples per genre"
        steps = {title: [str(n) for n in EXAMPLES]}
        plot.write_text(curves.svg({title: curve}, steps=steps), "utf-8")


def _musictag(*arguments: str | Path) -> commands.Run:
    words = [*commands.MUSICTAG, *(os.fspath(argument) for argument in arguments)]
    return commands.run(commands.Command(words, at_home=True))


# ---------------------------------------------------------------- what is known of recordings


def _tracks(cache: Cache, folder: Path) -> list[Track]:
    base = checkpoint.find()
    collection = Collection(cache, base.digest, base.tags)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return list(collection.tracks(paths, summaries=True))


def genres(track: Track) -> tuple[str, ...]:
    return track.fields.get("GENRE", ())


def origin(track: Track) -> Origin:
    return Origin(artists=track.about.get("ARTIST", ()), folder=os.fspath(track.path.parent))


def _names(judged: Sequence[Track]) -> list[str]:
    """The genres that enough of the judged recordings have, the commonest first."""
    table = labels([genres(track) for track in judged], "GENRE", min_count=ENOUGH)
    return list(table.names)


Coefficients = Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]]


def _coefficients(tracks: Sequence[Track], store: Path) -> Coefficients:
    """Name of each recording → mean and deviation of its scattering coefficients, (C,) each."""
    if not store.exists():
        front_end = frontend.on_core(frontend.settings(checkpoint.find().front_end))
        assert front_end is not None
        found = {}
        with Progress(sys.stderr) as progress:
            for n, track in enumerate(tracks, 1):
                x = np.concatenate([front_end(s) for s in Sound(track.path).segments()], axis=1)
                found[track.path.stem] = np.stack([x.mean(axis=1), x.std(axis=1)])
                progress.step("coefficients", n, len(tracks), "files")
        np.save(store, np.stack([found[track.path.stem] for track in tracks]))
    stored = np.load(store)  # (n, 2, C), in the order of the tracks
    return {track.path.stem: tuple(row) for track, row in zip(tracks, stored, strict=True)}


def _to_learn(track: Track, of: Coefficients | None = None) -> learning.Track:
    """By its summary, or by its coefficients."""
    if of is not None:
        return learning.Track(genres(track), *of[track.path.stem], origin(track))
    assert track.summary is not None
    return learning.Track(genres(track), *summary.unpacked(track.summary), origin(track))


# ---------------------------------------------------------------- three ways of naming genres


def _scanned(folder: Path, judged: Sequence[Track], names: Sequence[str], model: str) -> Judged:
    """What a scan with a model says."""
    output = _musictag("scan", folder, "--model", model, "--format", "jsonl").output
    records = {record["path"]: record for record in map(json.loads, output.splitlines())}
    found = [records[os.fspath(track.path)] for track in judged]
    return _named(
        checkpoint.find(model),
        [record["probabilities"] for record in found],
        [record["chosen"].get("GENRE", ()) for record in found],
        names,
    )


def _named(
    model: Checkpoint,
    probabilities: Sequence[Mapping[str, float]],
    chosen: Sequence[Sequence[str]],
    names: Sequence[str],
) -> Judged:
    values = [decision.merge_synonyms(row, model.vocabulary) for row in probabilities]
    said = np.array([[row.get(name, 0.0) for name in names] for row in values])
    return Judged(said, np.array([[name in row for name in names] for row in chosen]))


def _by_coefficients(
    known: Sequence[Track], judged: Sequence[Track], of: Coefficients, names: Sequence[str]
) -> Judged:
    """The same head, thresholds and all, on coefficients."""
    learned = learning.learn([_to_learn(track, of) for track in known], "GENRE")
    said, chosen = _chosen(learned, [_to_learn(track, of) for track in judged])
    table = np.array([[row.get(name, 0.0) for name in names] for row in said])
    return Judged(table, np.array([[name in row for name in names] for row in chosen]))


def _chosen(
    learned: learning.Learned, rows: Sequence[learning.Track]
) -> tuple[list[dict[str, float]], list[tuple[str, ...]]]:
    """Value → probability, and the values that a scan would write, for each track."""
    vocabulary = learned.vocabulary()
    heard = learned.head(np.stack([r.mean for r in rows]), np.stack([r.spread for r in rows]))
    said = [dict(zip((v.name for v in vocabulary.values), row, strict=True)) for row in heard]
    limits = decision.LIMITS
    return said, [decision.choose(row, vocabulary, limits=limits)["GENRE"] for row in said]


# ---------------------------------------------------------------- by genre


def _promised(output: str) -> Mapping[str, Any]:
    """What `learn` said of each value."""
    return {record["value"]: record for record in map(json.loads, output.splitlines())}


def _print_genres(
    names: Sequence[str],
    truth: Mask,
    ways: Mapping[str, Judged],
    of: Sequence[str],
    promised: Mapping[str, Any],
) -> None:
    weights = resampled(of, N_RESAMPLES)
    print(f"| genre | judged | {' | '.join(ways)} | `learn` promised |\n|---|---|---|---|---|---|")
    for k, name in enumerate(names):
        cells = [
            f"{auc(way.said[:, k], truth[:, k]):.2f}, {shares(way.given[:, k], truth[:, k])}"
            for way in ways.values()
        ]
        print(
            f"| {name} | {truth[:, k].sum()} | {' | '.join(cells)} | {_promise(promised, name)} |"
        )
    print()
    for name, way in ways.items():
        table = np.stack(
            [roc_aucs(s, t, weights) for s, t in zip(way.said.T, truth.T, strict=True)]
        )
        low, high = interval(np.array([mean(column) for column in table.T[1:]]))
        n_right, n_given = (
            weights @ (way.given & truth).sum(axis=1),
            weights @ way.given.sum(axis=1),
        )
        right = interval(n_right[1:] / np.maximum(n_given[1:], 1))
        n_covered = weights @ (way.given & truth).any(axis=1)
        covered = interval(n_covered[1:] / (weights[1:] @ truth.any(axis=1)))
        has = truth.any(axis=1).sum()
        print(
            f"{name}: mean ROC-AUC {mean(table[:, 0]):.3f} ({low:.3f}–{high:.3f}), precision "
            f"{n_right[0] / max(n_given[0], 1):.0%} ({right[0]:.0%}–{right[1]:.0%}), coverage "
            f"{n_covered[0] / has:.0%} ({covered[0]:.0%}–{covered[1]:.0%})"
        )
    print()


def auc(said: Table, truth: Mask) -> float:
    return float(roc_aucs(said, truth, np.ones((1, len(said))))[0])


def shares(given: Mask, truth: Mask) -> str:
    """Precision and coverage in per cent, with the number of recordings that were given it."""
    n, right = int(given.sum()), int((given & truth).sum())
    precision = f"{right / n:.0%}" if n else "–"
    return f"{precision} of {n}, {right / max(1, truth.sum()):.0%}"


def _promise(promised: Mapping[str, Any], name: str) -> str:
    found = promised.get(name)
    if found is None or found["verdict"] == "not learned":
        return "not learned"
    numbers = [found[what][0] if found[what] else float("nan") for what in ("roc_auc", "precision")]
    precision = "–" if np.isnan(numbers[1]) else f"{numbers[1]:.0%}"
    return f"{numbers[0]:.2f}, {precision}, {found['coverage'][0]:.0%} ({found['verdict']})"


def _print_promise(what: str, of: Sequence[Track], min_count: int, n_deals: int) -> None:
    """What `learn` promises of some recordings, and what becomes of it.

    They are dealt into parts by artist, some times; each part is named by what was learned from
    the others alone.
    """
    tracks = [_to_learn(track) for track in of]
    group = groups.groups([track.origin for track in tracks])[0]
    table = labels([track.words for track in tracks], "GENRE", min_count=1).table
    promised, kept = np.zeros(2), np.zeros(2)  # given, right
    for deal, fold in itertools.product(range(n_deals), range(judging.N_FOLDS)):
        part = groups.folds(group, table, judging.N_FOLDS, seed=deal)
        rows = np.flatnonzero(part != fold)
        learned = learning.learn([tracks[row] for row in rows], "GENRE", min_count=min_count)
        for word in learned.judgement.words:
            if word.verdict == judging.WRITTEN:
                n_right = word.coverage.value * word.n_tracks
                promised += n_right / word.precision.value, n_right
        here = [tracks[row] for row in np.flatnonzero(part == fold)]
        for track, words in zip(here, _chosen(learned, here)[1], strict=True):
            kept += len(words), len(set(words) & set(track.words))
    print(
        f"within the {what} recordings: promised a precision of {promised[1] / promised[0]:.0%}, "
        f"found {kept[1] / max(kept[0], 1):.0%} of {kept[0]:.0f}"
    )


# ---------------------------------------------------------------- neighbours


def _print_neighbours(judged: Sequence[Track], of: Coefficients) -> None:
    by_coefficients = [
        Track(t.path, t.duration_s, (), summary.pack(*of[t.path.stem]), t.fields, t.about)
        for t in judged
    ]
    for name, tracks in (("summaries", judged), ("coefficients", by_coefficients)):
        found = mean(right_neighbours(tracks))
        print(f"neighbours by {name}: {found:.0%} of {NEIGHBOURS} share a genre")
    print(f"by chance: {mean(right_neighbours(judged, most=len(judged))):.0%}\n")


def right_neighbours(tracks: Sequence[Track], most: int = NEIGHBOURS) -> list[float]:
    """For each track, the share of its nearest ones by other artists that have one of its
    genres."""
    neighbours = Neighbours(tracks)
    found = []
    for track in tracks:
        assert track.summary is not None
        nearest = neighbours.nearest([track.summary])
        others = [t for _, t in without_relatives(nearest, [track], same_artist=False)][:most]
        right = [bool(set(genres(other)) & set(genres(track))) for other in others]
        found.append(sum(right) / len(right))
    return found


# ---------------------------------------------------------------- how many examples are enough


def _print_examples(
    known: Sequence[Track],
    judged: Sequence[Track],
    of: Coefficients,
    names: Sequence[str],
    truth: Mask,
) -> Mapping[str, Sequence[float]]:
    curve: dict[str, list[float]] = {"summaries": [], "coefficients": []}
    print("| examples per genre | summaries | coefficients |\n|---|---|---|")
    for n in EXAMPLES:
        found: dict[str, list[float]] = {name: [] for name in curve}
        for seed in range(N_DRAWS):
            some = drawn([genres(track) for track in known], names, n, seed)
            for name, features in (("summaries", None), ("coefficients", of)):
                learned = [_to_learn(known[row], features) for row in some]
                rows = [_to_learn(track, features) for track in judged]
                said = _said(learned, rows, names)
                found[name].append(mean(auc(said[:, k], truth[:, k]) for k in range(len(names))))
        for name, values in found.items():
            curve[name].append(mean(values))
        cells = [f"{mean(v):.3f} ({min(v):.3f}–{max(v):.3f})" for v in found.values()]
        print(f"| {n} | {' | '.join(cells)} |", flush=True)
    return curve


def drawn(words: Sequence[Sequence[str]], names: Sequence[str], n: int, seed: int) -> list[int]:
    """Rows with n recordings of each genre, or all that there are, in a random order."""
    order = np.random.default_rng(seed).permutation(len(words)).tolist()
    taken: list[int] = []
    for name in names:
        have = sum(name in words[row] for row in taken)
        rest = [row for row in order if name in words[row] and row not in set(taken)]
        taken += rest[: max(0, n - have)]
    return taken


def _said(
    learned: Sequence[learning.Track], judged: Sequence[learning.Track], names: Sequence[str]
) -> Table:
    """Probabilities of these genres, (n, K), by a head that was learned from some recordings."""
    found = labels([track.words for track in learned], "GENRE", min_count=2)
    space = head.Space.of(
        np.stack([track.mean for track in learned]), np.stack([track.spread for track in learned])
    )
    group, album = groups.groups([track.origin for track in learned])
    penalty = judging.judge(space.rows, space.curvature, found, group, album, "GENRE").penalty
    start = head.beginning(found.table, space.rows.shape[1])
    weights = head.fit(space.rows, found.table, space.curvature, penalty, start)
    said = space.head(weights)(
        np.stack([track.mean for track in judged]), np.stack([track.spread for track in judged])
    )
    return np.stack([said[:, found.names.index(name)] for name in names], axis=1)


if __name__ == "__main__":
    main()
