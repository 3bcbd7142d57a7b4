"""What the README says is so; for its commands and links see cli/test_docs.py."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from musictag.hearing import checkpoint
from musictag.vocabulary import FIELDS

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("field", FIELDS)
def test_it_lists_the_values_that_there_are(field: str) -> None:
    (row,) = re.findall(rf"^\| {field.lower()} \| ([A-Z][^|]*) \|$", README, re.MULTILINE)
    assert row.split(", ") == [value.name for value in checkpoint.find().vocabulary.in_field(field)]


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md"])
def test_nothing_is_left_to_fill_in(name: str) -> None:
    assert "@@" not in (Path(__file__).parents[1] / name).read_text(encoding="utf-8")
