"""Files that a scan is not about cost nothing."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
from scans import ON_CPU, Listening, Song, scan, statuses

from musictag.stores.cache import Cache

FIELDS: dict[str, list[str]] = {"GENRE": ["Rock"], "ARTIST": ["Bach"]}


@pytest.mark.parametrize(
    "asked",
    [
        {"only_missing": ("GENRE",)},
        {"where": "genre = Pop"},
        {"where": "suffix = flac"},
        {"where": "artist != bach"},
        {"newer_than": "2026-01-01"},
    ],
)
def test_a_file_that_is_left_out_is_not_decoded_and_has_no_outcome(
    asked: dict[str, Any], listening: Listening, song: Song, cache: Cache
) -> None:
    path = song(metadata=FIELDS)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    left_out: list[Path] = []
    settings = dataclasses.replace(ON_CPU, **asked)
    assert scan([path], listening, settings, cache=cache, left_out=left_out.append) == []
    assert left_out == [path]
    assert (listening.decoded, listening.n_digested, listening.n_loaded) == ([], 0, 0)


@pytest.mark.parametrize("remembered", [False, True])
def test_the_others_come_in_order(
    remembered: bool, listening: Listening, song: Song, cache: Cache
) -> None:
    paths = [song(metadata=FIELDS if number % 2 else {}) for number in range(6)]
    if remembered:
        scan(paths, listening, cache=cache)
    settings = dataclasses.replace(ON_CPU, only_missing=("GENRE",))
    outcomes = scan(paths, listening, settings, cache=cache)
    assert [outcome.path for outcome in outcomes] == paths[::2]
    assert statuses(outcomes) == ["planned"] * 3


def test_what_is_remembered_needs_no_reading_to_be_left_out(
    listening: Listening, song: Song, cache: Cache
) -> None:
    path = song(metadata=FIELDS)
    scan([path], listening, cache=cache)
    listening.metadata.names_read.clear()
    settings = dataclasses.replace(ON_CPU, where="artist ~ mozart")
    assert scan([path], listening, settings, cache=cache) == []
    assert listening.metadata.names_read == []


def test_a_file_that_cannot_be_read_is_said_unless_its_name_leaves_it_out(
    listening: Listening, song: Song
) -> None:
    empty = song("empty.mp3")
    empty.write_bytes(b"")
    settings = dataclasses.replace(ON_CPU, where="genre = Pop")
    assert statuses(scan([empty], listening, settings)) == ["failed"]
    settings = dataclasses.replace(ON_CPU, where="suffix = flac")
    assert scan([empty], listening, settings) == []


def test_many_more_than_the_window_can_be_left_out(listening: Listening, song: Song) -> None:
    path = song(metadata=FIELDS)
    settings = dataclasses.replace(ON_CPU, where="genre = Pop")
    assert scan([path] * 3000, listening, settings) == []
