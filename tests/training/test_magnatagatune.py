"""MagnaTagATune: read as published, fetched over broken connections, trained on and judged."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import socket
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mtat
import numpy as np
import pytest

from musictag import vocabulary
from musictag.cli import datasets as datasets_told
from musictag.errors import DataSetError
from musictag.hearing import checkpoint
from musictag.hearing.network.architecture import Architecture
from musictag.report.progress import Progress
from musictag.training import archive, download, magnatagatune
from musictag.training.archive import PARTS
from musictag.training.dataset import DataSet
from musictag.training.datasets import most_frequent, open_dataset
from musictag.training.evaluate import evaluate
from musictag.training.magnatagatune import ANNOTATIONS, BROKEN, CLIP_INFO, TAGS, read_split
from musictag.training.settings import TrainSettings
from musictag.training.train import train

# -- reading ---------------------------------------------------------------------------------------


@pytest.fixture
def mini(tmp_path: Path) -> DataSet:
    """No audio: the tables say all."""
    return open_dataset(mtat.write_tables(tmp_path / "mtat"))


def name(dataset: DataSet, row: int) -> str:
    return dataset.examples[row].path.relative_to(dataset.directory).as_posix()


def test_the_fifty_tags_are_those_that_values_are_made_of() -> None:
    assert len(TAGS) == len(set(TAGS)) == 50
    assert set(TAGS) == vocabulary.magnatagatune().tags


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
    song = 'artist / album_0 / 1 / A "quoted" song' if clip_info else "artist-album_0-01-song"
    assert track_of[mtat.plain(0)] == track_of[mtat.SECOND] == song
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


def test_more_tags_than_fifty_count_where_they_are_asked_for(tmp_path: Path) -> None:
    directory = mtat.write_tables(tmp_path)
    assert set(most_frequent(directory, 50)) == set(TAGS)
    assert most_frequent(directory, 1) == ("rock",)  # four odd clips carry it as well
    with pytest.raises(DataSetError, match=r"has 52 tags, not 53"):
        most_frequent(directory, 53)
    more = open_dataset(directory, tags=most_frequent(directory, 52))
    assert set(more.tags) == {*TAGS, "singer", "duet"}
    unloved = next(row for row in range(len(more.examples)) if name(more, row) == mtat.UNTAGGED)
    assert more.labels[unloved].sum() == 1  # it carries duet alone
    assert more.untagged["train"] == 0
    assert open_dataset(directory, tags=("rock", "polka")).tags == TAGS


LISTS: dict[str, Callable[[list[str]], bytes]] = {
    "lines": lambda clips: "\n".join(f"{clip}.mp3" for clip in clips).encode(),
    "numbered": lambda clips: "\n".join(f"7\t{clip}.mp3" for clip in clips).encode(),
    "pickled, as published": lambda clips: pickle.dumps(
        [f"{clip}.npy" for clip in clips], protocol=0
    ),
}


@pytest.mark.parametrize("form", LISTS)
def test_a_published_split_is_that_of_its_lists(form: str, tmp_path: Path) -> None:
    directory = mtat.write_tables(tmp_path / "mtat")
    lists = tmp_path / "lists"
    lists.mkdir()
    named = {"train": [mtat.plain(0), mtat.plain(15)], "valid": [mtat.plain(3)]}
    named["test"] = [mtat.plain(1), mtat.UNTAGGED]
    for split, clips in named.items():
        content = LISTS[form]([clip.removesuffix(".mp3") for clip in clips])
        (lists / f"{split}_list_pub.cP").write_bytes(content)
    found = open_dataset(directory, split=lists)
    assert {name(found, row): one.split for row, one in enumerate(found.examples)} == {
        **dict.fromkeys(named["train"], "train"),
        mtat.plain(3): "validation",
        mtat.plain(1): "test",
    }
    assert found.untagged["test"] == 1


def test_lists_of_a_split_that_cannot_be_are_named(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        (tmp_path / f"{split}.txt").write_text("0/a-b-0-29.mp3\n")
    with pytest.raises(DataSetError, match="0/a-b-0-29 is in both train and validation"):
        read_split(tmp_path)
    (tmp_path / "valid.txt").write_text("c/a-b-0-29.mp3\n")
    with pytest.raises(DataSetError, match="no file test…"):
        read_split(tmp_path)


def test_an_array_of_clips_is_a_list_too(tmp_path: Path) -> None:
    for folder, split in enumerate(("train", "valid", "test")):
        np.save(tmp_path / f"{split}.npy", np.array([f"{folder}\t{folder}/a-0-29.mp3"]))
    assert read_split(tmp_path) == {
        "0/a-0-29": "train",
        "1/a-0-29": "validation",
        "2/a-0-29": "test",
    }


# -- fetching --------------------------------------------------------------------------------------

ARCHIVE = tuple(PARTS)
CONNECT, RESOLVE = socket.socket.connect, socket.getaddrinfo
News = archive.Beginning | archive.Fetched | archive.Unpacked


@pytest.fixture
def this_machine(no_network: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections to 127.0.0.1 and to nowhere else; a cut one is tried again at once."""

    def connect(self: socket.socket, address: Any) -> None:
        assert address[0] == "127.0.0.1"
        CONNECT(self, address)

    def resolve(host: str, *more: Any, **options: Any) -> Any:
        if host != "127.0.0.1":
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return RESOLVE(host, *more, **options)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(urllib.request, "getproxies", dict)
    monkeypatch.setattr(download, "WAIT_S", 0.0)


@pytest.fixture
def server(this_machine: None, tmp_path: Path) -> Iterator[mtat.Server]:
    tables = mtat.write_tables(tmp_path / "published")
    files = {name: (tables / name).read_bytes() for name in (ANNOTATIONS, CLIP_INFO)}
    with mtat.serving({**files, **mtat.archive()}) as server:
        yield server


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "data" / "mtat"


def fetch(place: Path, server: mtat.Server) -> list[News]:
    news: list[News] = []
    archive.fetch(place, source=server.url, tell=news.append)
    return news


def clips_in(place: Path) -> dict[str, bytes]:
    """Whole ones: what a kill left behind begins with a dot."""
    return {
        path.relative_to(place).as_posix(): path.read_bytes()
        for path in place.glob("?/*")
        if not path.name.startswith(".")
    }


EXPECTED = {path: content for path, content in mtat.audio().items() if path not in BROKEN}


def test_what_is_not_there_is_fetched_and_unpacked(server: mtat.Server, place: Path) -> None:
    news = fetch(place, server)
    assert clips_in(place) == EXPECTED
    assert {path.name for path in place.glob("*.*")} >= {ANNOTATIONS, CLIP_INFO, *PARTS}
    assert not list(place.rglob(".*"))
    beginning, *progress = news
    assert isinstance(beginning, archive.Beginning)
    assert (beginning.directory, "CC BY-NC-SA" in beginning.licence) == (place, True)
    last = len(server.files[ARCHIVE[2]])
    assert archive.Fetched(ARCHIVE[2], last, last) in progress
    assert progress[-1] == archive.Unpacked(len(EXPECTED), len(EXPECTED))


def test_what_is_all_there_is_not_asked_for(server: mtat.Server, place: Path) -> None:
    fetch(place, server)
    for name in ARCHIVE:
        (place / name).unlink()  # needed no more
    server.asked.clear()
    assert fetch(place, server) == []
    assert server.asked == []


def test_a_cut_download_goes_on_where_it_was(server: mtat.Server, place: Path) -> None:
    first = ARCHIVE[0]
    half = len(server.files[first]) // 2
    whole = 10**9
    server.cuts = [whole, whole, half, 100, *[0] * 3, *[1] * 5]  # the tables, then the first part
    fetch(place, server)
    ranges = [wanted for how, name, wanted in server.asked if (how, name) == ("GET", first)]
    assert ranges == [
        "",
        f"bytes={half}-",
        *(f"bytes={half + 100 + n}-" for n in (0, 0, 0, 0, 1, 2, 3, 4, 5)),
    ]
    assert clips_in(place) == EXPECTED


def test_the_next_run_goes_on_where_a_killed_one_was(server: mtat.Server, place: Path) -> None:
    def die(news: News) -> None:
        if isinstance(news, archive.Fetched) and news.name == ARCHIVE[1]:
            raise KeyboardInterrupt

    server.cuts = [10**9, 10**9, 10**9, 1000]
    with pytest.raises(KeyboardInterrupt):
        archive.fetch(place, source=server.url, tell=die)
    server.asked.clear()
    fetch(place, server)
    asked = [(name, wanted) for how, name, wanted in server.asked if how == "GET"]
    assert asked == [(ARCHIVE[1], "bytes=1000-"), (ARCHIVE[2], "")]
    assert clips_in(place) == EXPECTED


def test_a_server_without_ranges_is_heard_from_the_beginning(
    server: mtat.Server, place: Path
) -> None:
    server.knows_ranges = False
    server.cuts = [10**9, 10**9, 1000]
    fetch(place, server)
    assert clips_in(place) == EXPECTED


def test_more_than_there_is_to_have_is_thrown_away(server: mtat.Server, place: Path) -> None:
    place.mkdir(parents=True)
    download.partial(place / CLIP_INFO).write_bytes(b"of another time " * 10_000)
    fetch(place, server)
    asked = [wanted for how, name, wanted in server.asked if name == CLIP_INFO]
    assert asked == ["bytes=160000-", ""]
    assert (place / CLIP_INFO).read_bytes() == server.files[CLIP_INFO]


def test_a_part_that_was_whole_when_the_run_was_killed_is_taken(
    server: mtat.Server, place: Path
) -> None:
    place.mkdir(parents=True)
    download.partial(place / CLIP_INFO).write_bytes(server.files[CLIP_INFO])
    fetch(place, server)
    assert [name for _, name, _ in server.asked].count(CLIP_INFO) == 1
    assert (place / CLIP_INFO).read_bytes() == server.files[CLIP_INFO]


def test_a_busy_server_is_asked_again_one_that_refuses_is_not(
    server: mtat.Server, place: Path
) -> None:
    server.refusals = [503, 429]
    fetch(place, server)
    assert clips_in(place) == EXPECTED
    shutil.rmtree(place)
    server.asked.clear()
    server.refusals = [403]
    with pytest.raises(DataSetError, match=r"clip_info_final.csv: the server says 403 Forbidden"):
        fetch(place, server)
    assert len(server.asked) == 1


def test_a_server_that_brings_nothing_is_given_up(server: mtat.Server, place: Path) -> None:
    server.cuts = [0] * 100
    with pytest.raises(DataSetError, match=r"the connection ended at 0 of [\d,]+ bytes"):
        fetch(place, server)
    assert len(server.asked) == download.ATTEMPTS


def test_without_a_network_that_is_said(this_machine: None, place: Path) -> None:
    with pytest.raises(DataSetError, match=r"is there a network\? .*name resolution"):
        archive.fetch(place, source=archive.SOURCE, tell=lambda _: None)


def test_without_room_nothing_is_downloaded(
    server: mtat.Server, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(place.parent.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10_000))
    with pytest.raises(DataSetError, match=r"no room: 0.0 GB are needed"):
        fetch(place, server)
    assert not [name for how, name, _ in server.asked if how == "GET" and name in PARTS]


def test_unpacking_goes_on_and_no_clip_is_ever_half_there(
    server: mtat.Server, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(packed: Any, file: Any) -> None:
        if len(clips_in(place)) > 4:
            file.write(packed.read(100))
            raise KeyboardInterrupt
        file.write(packed.read())

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shutil, "copyfileobj", die)
        fetch(place, server)
    whole = clips_in(place)
    assert 0 < len(whole) < len(EXPECTED)
    assert whole.items() <= EXPECTED.items()
    news = fetch(place, server)
    n_left = len(EXPECTED) - len(whole)
    assert news[-1] == archive.Unpacked(n_left, n_left)
    assert clips_in(place) == EXPECTED


def test_only_annotated_clips_leave_the_archive(server: mtat.Server, place: Path) -> None:
    evil = dict.fromkeys(("../evil.mp3", "0/../../evil.mp3", "/evil.mp3", "0/new.mp3"), b"x")
    server.files.update(mtat.archive(**evil))
    fetch(place, server)
    assert clips_in(place) == EXPECTED
    assert not list(place.parent.parent.rglob("evil*"))


def test_clips_that_the_archive_does_not_hold_are_not_asked_for_again(
    server: mtat.Server, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mtat, "audio", lambda: {p: c for p, c in EXPECTED.items() if p[0] != "f"})
    server.files.update(mtat.archive())
    fetch(place, server)
    assert {path[0] for path in EXPECTED} - {path[0] for path in clips_in(place)} == {"f"}
    assert fetch(place, server) == []


@pytest.mark.parametrize("damage", ["cut", "flipped", "no zip"])
def test_a_damaged_archive_says_what_to_do(server: mtat.Server, place: Path, damage: str) -> None:
    name = ARCHIVE[2 if damage == "cut" else 1]
    content = bytearray(server.files[name])
    if damage == "cut":
        del content[-200:]
    elif damage == "flipped":
        content[len(content) // 2] ^= 0xFF
    else:
        server.files.update(dict.fromkeys(PARTS, b"<html>moved</html>"))
        content = bytearray(b"<html>moved</html>")
    server.files[name] = bytes(content)
    with pytest.raises(
        DataSetError, match=r"mp3.zip.001 to .003: the archive is damaged .* delete"
    ):
        fetch(place, server)
    assert clips_in(place).items() <= EXPECTED.items()


def test_names_of_the_data_set(nobodys_home: Path) -> None:
    assert magnatagatune.directory_of("mtat") == nobodys_home / "data" / "musictag" / "mtat"
    assert magnatagatune.directory_of("mtat:/big/disk") == Path("/big/disk")
    for other in ("./mtat", "folder", "mtat:"):
        assert magnatagatune.directory_of(other) is None


# -- the whole of it -------------------------------------------------------------------------------


def test_what_is_fetched_is_announced_with_its_licence_and_counted(
    server: mtat.Server,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(archive, "SOURCE", server.url)
    with Progress(sys.stderr) as progress:
        assert datasets_told.fetch(f"mtat:{place}", progress) == place
        datasets_told.say_contents(open_dataset(place), progress)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines[0] == (
        f"MagnaTagATune goes to {place}: 3.0 GB to download from {server.url}, 5.9 GB on the disk."
    )
    assert "CC BY-NC-SA 3.0" in lines[1]
    assert sum("you may delete mp3.zip.001" in line for line in lines) == 1
    assert lines[-4:] == [
        "train: 14 examples (1 more carry none of the tags)",
        "validation: 1 example",
        "test: 5 examples",
        f"musictag: left out: {mtat.KNOWN_BROKEN}: a clip that came without sound",
    ]
    with Progress(sys.stderr) as progress:
        assert datasets_told.fetch(os.fspath(place), progress) == place  # the folder by its name
    assert capsys.readouterr().err == ""


def test_a_model_is_trained_on_it_and_judged(tmp_path: Path) -> None:
    directory = mtat.write_audio(mtat.write_tables(tmp_path / "mtat"))
    settings = TrainSettings(
        dataset=directory,
        output=tmp_path / "run",
        epochs=1,
        n_variants=1,
        architecture=Architecture(n_units=8, n_layers=1),
    )
    made = checkpoint.read(train(settings))
    assert made.tags == TAGS
    record = json.loads((settings.output / "run.json").read_text())
    dataset = open_dataset(directory)
    found = evaluate(made, dataset, n_resamples=5)
    paths = {e.id: e.path.relative_to(directory).as_posix() for e in dataset.examples}
    assert {paths[id_] for id_ in record["data"]["broken"]} == {
        mtat.GARBAGE,
        mtat.EMPTY,
        mtat.SHORT,
    }
    assert {paths[id_] for id_ in found.left_out} == {mtat.EMPTY, mtat.SHORT}
    assert (found.n, found.split) == (3, "test")
    assert "correlation" not in found.macro
    assert 0 <= found.macro["roc_auc"].value <= 1
