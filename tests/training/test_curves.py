"""A run's picture."""

from __future__ import annotations

import math
from xml.etree import ElementTree

from musictag.training import curves

SVG = "{http://www.w3.org/2000/svg}"


def drawn(values: list[float]) -> list[tuple[float, float]]:
    root = ElementTree.fromstring(curves.svg({"loss & more": {"a < b": values}}))
    line = root.find(f"{SVG}polyline")
    assert line is not None
    return [(float(x), float(y)) for x, y in (p.split(",") for p in line.attrib["points"].split())]


def test_a_curve_goes_from_edge_to_edge_and_higher_is_up() -> None:
    points = drawn([1.0, 0.5, 0.75])
    assert points == [
        (curves.LEFT, curves.TOP),
        (curves.LEFT + curves.WIDTH / 2, curves.TOP + curves.HEIGHT),
        (curves.LEFT + curves.WIDTH, curves.TOP + curves.HEIGHT / 2),
    ]


def test_steps_that_are_no_epochs_have_names_and_begin_at_zero() -> None:
    picture = curves.svg({"size": {"s": [2.0, 1.0, 2.0]}}, steps={"size": ["10", "100", "1,000"]})
    root = ElementTree.fromstring(picture)
    names = {text.text: text.attrib["x"] for text in root.findall(f"{SVG}text")}
    assert [float(names[name]) for name in ("10", "100", "1,000")] == [
        curves.LEFT,
        curves.LEFT + curves.WIDTH / 2,
        curves.LEFT + curves.WIDTH,
    ]
    line = root.find(f"{SVG}polyline")
    assert line is not None
    heights = [float(point.split(",")[1]) for point in line.attrib["points"].split()]
    assert heights == [curves.TOP, curves.TOP + curves.HEIGHT / 2, curves.TOP]


def test_what_cannot_be_drawn_is_left_out() -> None:
    assert len(drawn([1.0, math.nan, 2.0])) == 2
    assert drawn([math.nan]) == []
    assert len(drawn([0.5, 0.5])) == 2  # no height at all
