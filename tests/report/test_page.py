"""The page of a collection: its data, what browsers make of names, where it may be written."""

from __future__ import annotations

import base64
import dataclasses
import gc
import json
import math
import os
import re
import tracemalloc
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import portraits
import pytest

from musictag.errors import UsageError
from musictag.library.doubts import Doubt
from musictag.library.overview import Row, Trouble
from musictag.outcome import Change, Discarded
from musictag.report.page import building
from musictag.report.page import packing as packing_module
from musictag.report.page.axes import first_axes
from musictag.report.page.packing import Packing, byte
from musictag.vocabulary import Vocabulary, listener, magnatagatune

WORDS = listener().with_thresholds({"Rock": 0.5, "Metal": 0.5, "Loud": 0.3})
NASTY = (
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "a \"quoted\" 'name' & more",
    "caf\udce9",  # bytes that are no UTF-8
    "שלום \u202egnp.mp3",
    "line\nbreak\u2028",
    "𝄞 🎵",
)


class Reader(HTMLParser):
    """Finds the data as a browser would, and every tag."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.data = ""
        self._is_data = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._is_data = ("id", "data") in attrs

    def handle_data(self, data: str) -> None:
        if self._is_data:
            self.data += data

    def handle_endtag(self, tag: str) -> None:
        self._is_data = False


def packed(*things: Row | Trouble, vocabulary: Vocabulary = WORDS) -> Packing:
    packing = Packing(vocabulary)
    for thing in things:
        if isinstance(thing, Row):
            packing.add(thing)
        else:
            packing.add_trouble(thing)
    return packing


def read(text: str) -> tuple[dict[str, Any], list[str]]:
    reader = Reader()
    reader.feed(text)
    return json.loads(reader.data), reader.tags


def written(packing: Packing, folder: Path) -> str:
    building.write(folder / "page.html", packing.pieces({"model": "m"}))
    return (folder / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("probability", [0.0, 0.002, 0.01, 0.25, 0.5, 0.77, 0.99, 0.998, 1.0])
def test_a_byte_tells_a_probability_to_a_percent(probability: float) -> None:
    found = 1 / (1 + math.exp(-(byte(probability) - 128) / 20))
    assert found == pytest.approx(probability, abs=0.0071)


def test_even_odds_are_128_and_a_step_is_a_twentieth_of_a_logit() -> None:
    assert byte(0.5) == 128
    assert byte(1 / (1 + math.exp(-1))) == 148
    assert (byte(0.0), byte(1.0)) == (0, 255)


def test_the_page_holds_what_is_known_of_a_track(tmp_path: Path) -> None:
    row = Row(
        Path("/music/a/1.mp3"),
        61.4,
        {"TITLE": ("T",), "ARTIST": ("A", "B"), "ALBUM": ("L",)},
        {"GENRE": ("Rock",), "MOOD": ()},
        {"GENRE": ("Metal",), "MOOD": ("Loud",)},
        {"MOOD": Change((), ("Loud",)), "STYLE": Change(("x",), ("y",))},
        {"Rock": 0.25, "Metal": 0.9},
        (Discarded("GENRE", "Rock", "family", 0.25, 0.5, "Metal"),),
        Doubt(("Rock",), 0.25, "Metal", 0.9),
    )
    data, _ = read(written(packed(row, Trouble(Path("/x/y.mp3"), "silent", "no sound")), tmp_path))
    texts, place = data["texts"], WORDS.place

    def said(numbers: Iterable[int]) -> list[str]:
        return [texts[number] for number in numbers]

    (track,) = data["tracks"]
    folder, name, title, artist, album, seconds, chosen, tagged, changes, why, doubt = track
    assert (data["folders"][folder], name, title) == ("/music/a", "1.mp3", "T")
    assert (texts[artist], texts[album], seconds) == ("A, B", "L", 61)
    assert [said(values) for values in chosen] == [["Metal"], ["Loud"], [], []]
    assert [said(values) for values in tagged] == [["Rock"], [], [], []]
    assert [(field, said(old), said(new)) for field, old, new in changes] == [
        *((1, [], ["Loud"]), (4, ["x"], ["y"])),
    ]
    assert data["fields"] == ["GENRE", "MOOD", "INSTRUMENT", "VOCALS", "STYLE"]
    assert why == [[place["Rock"], "family", place["Metal"]]]
    assert (said(doubt[0]), doubt[1:]) == (["Rock"], [0.25, place["Metal"], 0.9])
    (trouble,) = data["troubles"]
    assert (data["folders"][trouble[0]], trouble[1], texts[trouble[2]], trouble[3]) == (
        *("/x", "y.mp3", "silent", "no sound"),
    )


def test_what_is_heard_stands_track_by_track_in_the_order_of_the_values(tmp_path: Path) -> None:
    rows = [Row(Path(f"/{name}"), 1.0, agreement={name: 0.5}) for name in ("Rock", "Loud")]
    data, _ = read(written(packed(*rows), tmp_path))
    heard = base64.b64decode(data["heard"])
    n = len(data["values"])
    names = [value[0] for value in data["values"]]
    assert len(heard) == 2 * n
    assert [place for place, level in enumerate(heard) if level == 128] == [
        *(names.index("Rock"), n + names.index("Loud")),
    ]


@pytest.mark.parametrize("name", NASTY)
def test_names_neither_end_the_script_nor_change(name: str, tmp_path: Path) -> None:
    about = dict.fromkeys(("TITLE", "ARTIST", "ALBUM"), (name,))
    row = Row(Path("/music") / name, 1.0, about, {"GENRE": (name,)})
    plain = written(packed(Row(Path("/music/a"), 1.0)), tmp_path)
    data, tags = read(written(packed(row, Trouble(Path(name), "c", name)), tmp_path))
    assert tags == read(plain)[1]
    (track,), (trouble,) = data["tracks"], data["troubles"]
    assert Path(data["folders"][track[0]], track[1]) == Path("/music") / name
    assert (track[2], trouble[3]) == (name, name)
    assert {data["texts"][n] for n in (*track[3:5], *track[7][0])} == {name}


def test_the_page_asks_for_nothing_else(tmp_path: Path) -> None:
    text = written(packed(), tmp_path)
    assert "default-src 'none'" in text
    assert not re.search(r"https?:|@import|url\(|src=|\bfetch\(|XMLHttpRequest|import\(", text)


def test_what_is_filled_in_is_filled_in_once(tmp_path: Path) -> None:
    text = written(packed(), tmp_path)
    assert not re.search(r"/\* (style|data|scripts) \*/", text)
    assert text.count("<script") == 2
    assert text.rstrip().endswith("</html>")


def test_a_track_takes_a_few_hundred_bytes(tmp_path: Path) -> None:
    some = list(portraits.rows(120, WORDS))
    sizes = [len(written(packed(*rows), tmp_path)) for rows in (some[:60], some)]
    assert (sizes[1] - sizes[0]) / 60 < 400


def test_memory_grows_by_what_the_page_holds_and_no_more() -> None:
    (one,) = portraits.rows(1, WORDS)
    packing = Packing(WORDS)
    holds: list[int] = []
    tracemalloc.start()
    try:
        for number in range(901):
            if number % 450 == 0:
                holds.append(held())
            packing.add(dataclasses.replace(one, path=Path(f"/music/{number}.mp3")))
    finally:
        tracemalloc.stop()
    assert (holds[2] - holds[1]) / 450 < 600


def held() -> int:
    """Bytes that the packing holds, and not other threads: its own, and JSON."""
    gc.collect()
    ours = [tracemalloc.Filter(True, name) for name in (packing_module.__file__, "*/json/*")]
    found = tracemalloc.take_snapshot().filter_traces(ours)
    return sum(trace.size for trace in found.traces)


# ---------------------------------------------------------------- axes


@pytest.mark.parametrize(
    ("vocabulary", "axes"),
    [
        (listener(), ((("Acoustic", "Electronic")), ("Quiet", "Loud"))),
        (magnatagatune(), (("Slow", "Fast"), ("Quiet", "Loud"))),
        (magnatagatune().of(["rock", "male", "slow", "fast"]), (("Slow", "Fast"), (None, "Rock"))),
        (magnatagatune().of(["rock", "male"]), ((None, "Rock"), (None, "Male"))),
        (magnatagatune().of(["rock"]), ((None, "Rock"),)),
        (magnatagatune().of([]), ()),
    ],
    ids=["listener", "magnatagatune", "one pair", "no pair", "one value", "nothing"],
)
def test_axes_are_words_of_the_model(
    vocabulary: Vocabulary, axes: tuple[tuple[str | None, str], ...]
) -> None:
    assert first_axes(vocabulary) == axes


# ---------------------------------------------------------------- where it may be written


def test_only_a_page_of_ours_is_replaced(tmp_path: Path) -> None:
    place = tmp_path / "page.html"
    assert building.check_place(place, force=False) == place
    written(packed(), tmp_path)
    assert building.check_place(place, force=False) == place
    place.write_text("<!doctype html><title>my own</title>")
    with pytest.raises(UsageError, match=r"page\.html: exists and is no report .*--force"):
        building.check_place(place, force=False)
    assert building.check_place(place, force=True) == place
    place.write_text("")
    assert building.check_place(place, force=False) == place


def test_places_that_cannot_be_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for place, words in {
        tmp_path: "folder",
        tmp_path / "none" / "page.html": "no folder",
        tmp_path / "file" / "page.html": "no such file",
        Path(os.devnull): "no regular file",
        tmp_path / ("n" * 300): "name is too long",
    }.items():
        with pytest.raises(UsageError, match=words):
            building.check_place(place, force=True)


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    real, link = tmp_path / "real.html", tmp_path / "link.html"
    real.touch()
    link.symlink_to(real)
    building.write(building.check_place(link, force=False), packed().pieces({}))
    assert link.is_symlink()
    assert building.MARK in real.read_bytes()


def test_a_page_that_cannot_be_completed_leaves_the_old_one(tmp_path: Path) -> None:
    old = written(packed(), tmp_path)

    def interrupted() -> Iterator[str]:
        yield "{"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        building.write(tmp_path / "page.html", interrupted())
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == old
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
