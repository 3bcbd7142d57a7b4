"""One file from close up, as text and as pictures."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.cells import cell_len

from musictag.decision import LIMITS
from musictag.outcome import Problem, Taggram
from musictag.report import show, svg
from musictag.scan.showing import Shown, verdicts_of
from musictag.vocabulary import listener

TAGS = tuple(tag for value in listener().values for tag in value.tags)
WORDS = listener().with_thresholds({value.name: 0.5 for value in listener().values})
PROBABILITIES = {tag: (n * 37 % 100) / 100 for n, tag in enumerate(TAGS)}
ROW = tuple(PROBABILITIES.values())
SHOWN = Shown(
    Taggram(
        *(Path("/m/a <b> & \udce9\u202e 日本.mp3"), "model", 61.0, TAGS, (0.0, 29.0, 32.0)),
        *((ROW, ROW, ROW), PROBABILITIES, {}, 29.0),
    ),
    {"TITLE": ("a <b> & c",), "GENRE": ("日本の音楽", "Rock"), "MOOD": ()},
    tuple(verdicts_of(PROBABILITIES, WORDS, LIMITS)),
)


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_it_fits_every_width_and_encoding(
    columns: int, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    stdout = io.TextIOWrapper(io.BytesIO(), encoding)
    lines = list(show.lines(SHOWN, stdout))
    assert max(map(cell_len, lines)) <= columns
    text = "\n".join(lines)
    assert text.isprintable() or set(text) - {"\n"} == {c for c in text if c.isprintable()}
    assert "\u202e" not in text
    if encoding == "ascii":
        assert not set("█·░→–…") & set(text)


def test_a_bar_is_as_long_as_its_probability_and_has_a_mark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    (one, *_) = verdicts_of({"jazz": 0.75}, listener().with_thresholds({"Jazz": 0.25}), LIMITS)
    shown = dataclasses.replace(SHOWN, verdicts=(one,))
    (line,) = [line for line in show.lines(shown, io.StringIO()) if "Jazz" in line]
    bar = line.split()[1]
    assert bar == "█" * 10 + "|" + "█" * 19 + "·" * 10
    assert line.split()[2:] == ["75%", "chosen"]


def test_a_file_without_readable_fields_says_why() -> None:
    shown = dataclasses.replace(
        SHOWN, values={}, unreadable=Problem("damaged", "its tag is damaged"), not_music="speech"
    )
    text = "\n".join(show.lines(shown, io.StringIO()))
    assert "its tag is damaged" in text
    assert "A scan writes nothing: speech." in text


def test_the_svg_is_xml_whatever_a_file_is_called() -> None:
    picture = ElementTree.fromstring(svg.svg(SHOWN))
    assert picture.tag.endswith("svg")
    texts = [node.text for node in picture.iter() if node.tag.endswith("text")]
    assert "a <b> & c" in texts
    untitled = dataclasses.replace(SHOWN, values={})
    texts = [node.text for node in ElementTree.fromstring(svg.svg(untitled)).iter()]
    assert "a <b> & \\xe9\\u202e 日本.mp3" in texts


def test_the_png_is_one(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from musictag.report import png  # noqa: PLC0415

    nasty = dataclasses.replace(SHOWN, values={"TITLE": ("$\\frac{ $ 1",)})
    png.write(nasty, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
