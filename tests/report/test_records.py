"""What programs read: JSON lines, CSV and TSV."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from outcomes import FAILED, NASTY, PLANNED, SKIPPED, UNCHANGED, told

from musictag.outcome import Discarded, Outcome
from musictag.report.records import COLUMNS, csv_line, json_line, tsv_line


def test_json_says_what_was_heard_and_not_chosen_if_it_was_asked_for() -> None:
    assert "discarded" not in json.loads(json_line(PLANNED))
    explained = replace(PLANNED, discarded=(Discarded("GENRE", "Dance", "below", 0.4, 0.5),))
    assert json.loads(json_line(explained))["discarded"] == [
        {
            "field": "GENRE",
            "value": "Dance",
            "why": "below",
            "probability": 0.4,
            "threshold": 0.5,
            "other": None,
        }
    ]


def test_a_json_line_says_everything() -> None:
    (line,) = told([PLANNED], "jsonl")[0].splitlines()
    assert json.loads(line) == {
        "path": "Purcell/Dido/01 Overture.flac",
        "status": "planned",
        "duration": 103.25,
        "probabilities": {"opera": 0.9, "slow": 0.333333},
        "chosen": {
            "GENRE": ["Opera", "Classical"],
            "MOOD": ["Slow"],
            "INSTRUMENT": [],
            "VOCALS": [],
        },
        "fields": {
            "GENRE": {"old": [], "new": ["Opera", "Classical"]},
            "MOOD": {"old": ["Sad"], "new": ["Sad"]},
        },
        "error": None,
        "model": "first",
    }


def test_a_failed_file_has_the_same_keys() -> None:
    (line,) = told([FAILED], "jsonl")[0].splitlines()
    assert json.loads(line) == {
        "path": "Purcell/broken.mp3",
        "status": "failed",
        "duration": None,
        "probabilities": {},
        "chosen": {},
        "fields": {},
        "error": {"code": "truncated", "message": "the file is cut short (copy it again)"},
        "model": "first",
    }


def test_a_json_line_has_probabilities_to_six_decimals_whatever_the_tags_are_called() -> None:
    tags = {"100 %": 1 / 3, '%s "quoted"\n': 1e-9, "é": 1.0}
    line = json_line(Outcome(Path("a"), "planned", probabilities=tags))
    assert json.loads(line)["probabilities"] == {tag: round(p, 6) for tag, p in tags.items()}
    assert line.isascii()


def test_a_json_line_is_one_line_of_ascii_whatever_the_name() -> None:
    text = told([Outcome(NASTY, "unchanged")], "jsonl")[0]
    assert text.isascii()
    assert text.count("\n") == 1
    assert Path(json.loads(text)["path"]) == NASTY


@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv"])
def test_programs_get_one_record_per_file(form: str) -> None:
    outcomes = [PLANNED, UNCHANGED, SKIPPED, FAILED]
    lines = told(outcomes, form)[0].splitlines()
    assert len(lines) == len(outcomes) + (form != "jsonl")


def test_a_csv_row_reads_back_by_its_column() -> None:
    (row,) = csv.DictReader(io.StringIO(told([PLANNED], "csv")[0]))
    assert row == dict.fromkeys(COLUMNS, "") | {
        "path": "Purcell/Dido/01 Overture.flac",
        "status": "planned",
        "duration": "103.25",
        "genre_chosen": "Opera; Classical",
        "genre_new": "Opera; Classical",
        "mood_chosen": "Slow",
        "mood_old": "Sad",
        "mood_new": "Sad",
        "model": "first",
    }


def test_an_error_has_its_columns() -> None:
    (row,) = csv.DictReader(io.StringIO(told([FAILED], "csv")[0]))
    assert (row["error"], row["message"]) == ("truncated", "the file is cut short (copy it again)")


@pytest.mark.parametrize(
    ("cell", "csv_cell", "tsv_cell"),
    [
        ("plain", "plain", "plain"),
        ("=HYPERLINK(1)", "'=HYPERLINK(1)", "=HYPERLINK(1)"),
        ("@sum", "'@sum", "@sum"),
        ("-1+1", "'-1+1", "-1+1"),
        ('say "a, b"', '"say ""a, b"""', 'say "a, b"'),
        ("two\nlines", '"two\nlines"', "two\\nlines"),
        ("one\rline", '"one\rline"', "one\\rline"),
        ("a\tb\\", "a\tb\\", "a\\tb\\\\"),
    ],
)
def test_csv_is_safe_in_spreadsheets_and_tsv_in_line_tools(
    cell: str, csv_cell: str, tsv_cell: str
) -> None:
    assert csv_line([cell]) == csv_cell
    assert tsv_line([cell]) == tsv_cell
