"""The arithmetic behind the benchmarks' figures; how long things take is not tested."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import against
import album
import commands
import learning
import numpy as np
import people_library
import precision
import pytest
import scan
import training
from shared import sounds
from waits import WAIT_S  # type: ignore[import-not-found]

from musictag import metadata
from musictag.audio.digest import payload_digest
from musictag.audio.samples import RATE_HZ
from musictag.audio.track import Track
from musictag.hearing import checkpoint
from musictag.library.collection import Track as Remembered
from musictag.stores import summary
from musictag.training.dataset import DataSet, Example


def took(wall_s: float, *, output: str = "", first_line_s: float = 1.0) -> commands.Run:
    return commands.Run(wall_s, 2 * wall_s, output, first_line_s, memory_gb=1.0)


def python(code: str, *, code_wanted: int = 0) -> commands.Command:
    return commands.Command([sys.executable, "-c", code], code=code_wanted)


def test_the_made_album_has_tracks_of_the_length_asked_for_and_no_two_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(album, "PIECE_S", 0.5)
    monkeypatch.setattr(album, "N_PIECES", 3)
    album._pieces.cache_clear()
    one, other = album.make(tmp_path, n_tracks=2, seconds=4)
    album._pieces.cache_clear()
    assert payload_digest(one) != payload_digest(other)
    track = Track(one)
    (segment,) = track.segments()
    assert track.duration_s == pytest.approx(4, abs=0.06)  # a frame and the decoder's delay
    assert abs(segment[: 4 * RATE_HZ]).mean() > 0.01


def test_a_run_has_the_commands_output_and_its_childrens_processor_time() -> None:
    code = "import subprocess, sys; print('one'); print('two', flush=True); " + (
        "subprocess.run([sys.executable, '-c', 'sum(range(5_000_000))'])"
    )
    alone, with_child = commands.run(python("print('one')")), commands.run(python(code))
    assert with_child.output == "one\ntwo\n"
    assert with_child.cpu_s > alone.cpu_s
    assert with_child.first_line_s < with_child.wall_s


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(commands.Failed, match=r"exit code 3\n.*no models"):
        commands.run(python("import sys; print('no models'); sys.exit(3)"))
    commands.run(python("raise SystemExit(3)", code_wanted=3))


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_is_that_of_a_process_and_all_below_it() -> None:
    code = "input()"
    inner = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", inner], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        for _ in range(500):  # until the second has started
            if len(family := commands._family(process.pid)) == 2:
                break
            time.sleep(0.01)
        assert process.pid in family and len(family) == 2
        assert commands._memory_kb(process.pid) > 1000
        process.communicate(b"\n", timeout=WAIT_S)


def test_a_scan_is_held_against_decoding_alone_and_what_is_asked_for() -> None:
    record = '{"duration": 240.0}\n'
    runs = {
        "all": [took(1.0, output=record), took(2.0), took(9.0)],
        "floor": [took(1.0, output='{"work_s": 0.5}')],
        "three": [took(0.5)],
    }
    seconds = scan.music_s(runs)
    assert seconds == {"all": 240, "three": 240, "floor": 240}
    found = {bound.what: bound for bound in scan.bounds(runs, seconds, "cpu")}
    ratios = {what.partition(" /")[2]: bound.found for what, bound in found.items() if "/" in what}
    assert ratios == {
        " decoding alone, whole commands": 2.0,
        " decoding alone without its start": 4.0,
        " --segments 3": 4.0,
    }
    assert found["scan / decoding alone, whole commands"].reached
    assert not found["scan / decoding alone without its start"].reached
    assert found["all segments / --segments 3"].reached


def test_a_decision_counts_as_moved_where_other_values_would_be_written() -> None:
    found = checkpoint.find()
    found = replace(found, vocabulary=found.vocabulary.with_calibration({}))
    threshold = found.thresholds["Techno"]
    quiet = np.zeros((3, len(found.tags)))
    ours, wanted = quiet.copy(), quiet.copy()
    techno = found.tags.index("techno")
    ours[0, techno], wanted[0, techno] = threshold + 1e-6, threshold - 1e-6
    ours[1, techno], wanted[1, techno] = threshold - 1e-6, 0.0
    assert precision.n_changed(found, ours, wanted) == 1


def test_throughput_without_the_start_is_that_of_the_further_tracks() -> None:
    runs = {"musictag": [took(12.0)], "one": [took(3.0)]}
    assert against.further(runs, {"musictag": 2400, "one": 240}) == 240
    row = against.row([took(4.0, output='x\n{"load_s": 3.0, "work_s": 1.0}\n')], 240)
    assert (row["whole"], row["loaded"], row["per_cpu"]) == (60, 240, 30)


def test_what_people_said_is_scored_by_track_and_alternatives_are_left_out() -> None:
    tags = ("rock", "pop", "happy", "energetic", "sad", "instrumental")
    said = [("rock", "Q1"), ("rock", "Q2"), ("rock", "Q2"), ("rock", "Q3"), ("pop|rock", "Q1")]
    said += [("pop", "Q4"), ("", "")]
    examples = tuple(
        Example(
            f"{i}",
            Path(),
            *(0, 29, f"track {i}", "validation"),
            people=tuple(frozenset(word.split("|")) for word in words.split(";") if word),
            quadrant=quadrant,
        )
        for i, (words, quadrant) in enumerate(said)
    )
    heard = np.full((7, len(tags)), 0.5)
    heard[:4, 0] = 0.9  # rock is heard where people say rock
    heard[5, 0] = 0.1
    heard[[0, 4], 2] = 0.9  # happy in Q1
    heard[[1, 2], 3] = 0.9  # energetic in Q2, and not in Q1
    dataset = DataSet(Path(), tags, examples, heard.astype(np.float32), dict.fromkeys(tags, 0.5))
    found = training.scores_by_people(heard, dataset, range(7))
    assert found["genres"] == 1.0  # of rock alone: one track is too few for pop
    assert found["happy"] == 1.0
    assert found["energetic"] == pytest.approx(0.75)
    assert found["sad"] == 0.5
    assert math.isnan(found["voice"])


# ---------------------------------------------------------------- learning


def remembered(name: str, mean: float, genre: str, artist: str = "") -> Remembered:
    packed = summary.pack(np.array([mean, 1.0]), np.zeros(2))
    about = {"ARTIST": (artist,)} if artist else {}
    return Remembered(Path(name), 29.0, (), packed, {"GENRE": (genre,)}, about)


def test_neighbours_are_right_that_share_a_genre_and_not_the_artist() -> None:
    tracks = [
        remembered("a", 1.0, "Jazz", "Ella"),
        remembered("b", 1.1, "Jazz", "Ella"),
        remembered("c", 1.2, "Jazz"),
        remembered("d", -3.0, "Rock"),
    ]
    assert learning.right_neighbours(tracks, most=1) == [1, 1, 1, 0]
    assert learning.right_neighbours(tracks, most=4) == [1 / 2, 1 / 2, 2 / 3, 0]


def test_so_many_examples_of_each_genre_are_drawn_or_all_that_there_are() -> None:
    words = [("Jazz",), ("Rock",), ("Jazz", "Rock"), ("Jazz",), ("Dub",)]
    for seed in range(5):
        some = learning.drawn(words, ["Jazz", "Rock", "Dub"], 2, seed)
        assert len(set(some)) == len(some)
        counts = [sum(name in words[row] for row in some) for name in ("Jazz", "Rock", "Dub")]
        assert counts[0] >= 2
        assert counts[1:] == [2, 1]


def test_people_s_genres_become_files_of_several_containers(tmp_path: Path) -> None:
    sounds.make(tmp_path, "opus", name="one.opus", rate_hz=16_000)
    header = "track,file,artist,split,people\n"
    rows = (
        "r1,one.opus,Ella,test,jazz;r&b",
        "r2,one.opus,,train,pop|rock",
        "r3,one.opus,,train,80s",
    )
    (tmp_path / "clips.csv").write_text(header + "\n".join(rows))
    found = people_library.recordings(tmp_path)
    assert [(one.name, one.genres, one.is_fresh) for one in found] == [
        ("r1", ("Jazz", "R&B"), True),
        ("r3", ("80s",), False),
    ]
    assert list(people_library.make(found, tmp_path / "library")) == [1, 2]
    flac, mp3 = tmp_path / "library/fresh/Ella/r1.flac", tmp_path / "library/trained/r3/r3.mp3"
    read = metadata.read(flac, also=("ARTIST",))
    assert (read["GENRE"], read["ARTIST"]) == (("Jazz", "R&B"), ("Ella",))
    assert metadata.read(mp3)["GENRE"] == ("80s",)
