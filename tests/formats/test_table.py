"""The table of formats: every row is recognised, and the rows of one demuxer agree."""

from __future__ import annotations

import io
from pathlib import Path

import containers
import mutagen
import pytest
import sounds

from musictag.formats import table
from musictag.formats.table import FORMATS, recognised
from musictag.metadata.containers import FAMILIES

NAMES = {
    "mp3": "MPEG audio",
    "mp3-no-xing": "MPEG audio",
    "mp3-libsndfile": "MPEG audio",
    "flac": "FLAC",
    "flac-libsndfile": "FLAC",
    "ogg": "Ogg Vorbis",
    "opus": "Opus",
    "ogg-flac": "Ogg FLAC",
    "speex": "Speex",
    "wav": "WAV",
    "wav-float": "WAV",
    "wav-24": "WAV",
    "aiff": "AIFF",
    "m4a": "MP4",
    "m4a-alac": "MP4",
    "aac": "AAC without a container",
    "wma": "ASF",
    "wavpack": "WavPack",
    "ape": "Monkey's Audio",
    "tta": "True Audio",
    "caf": "CAF",
    "au": "AU",
    "mka": "Matroska",
    "mpc": "Musepack",
    "tak": "TAK",
    "ofr": "OptimFROG",
    "dsf": "DSF",
    "dff": "DSDIFF",
}
"""Row of sounds.CONTAINERS or containers.HEADERS → what we call it."""


def content(container: str) -> bytes:
    if container in containers.HEADERS:
        return containers.HEADERS[container][1]()
    rate_hz = max(rate for rate in sounds.CONTAINERS[container].rates_hz if rate <= 48_000)
    return sounds.encode(container, sounds.chord(0.5, rate_hz=rate_hz), rate_hz)


def test_every_container_of_the_tests_has_a_name() -> None:
    assert set(NAMES) == set(sounds.CONTAINERS) | set(containers.HEADERS)


@pytest.mark.parametrize(("container", "name"), NAMES.items())
@pytest.mark.parametrize("tags", [b"", b"ID3\x03\0\0\0\0\0\x0a" + bytes(10)])
def test_a_format_is_told_by_its_content(container: str, name: str, tags: bytes) -> None:
    found = recognised(io.BytesIO(tags + content(container)))
    assert found.format is not None
    assert found.format.name == name
    assert found.start >= len(tags)
    assert found.format.begins(found.head)


@pytest.mark.parametrize("data", [b"", b"ID3", b"some words", bytes(5000), b"RIFF\0\0\0\0AVI "])
def test_what_is_no_audio_has_no_format(data: bytes) -> None:
    assert recognised(io.BytesIO(data)).format is None


def test_rows_of_one_demuxer_agree() -> None:
    for name in table.DEMUXERS:
        rows = [row for row in FORMATS if name in row.demuxers]
        assert len({(row.seeks_exactly, row.states_duration) for row in rows}) == 1
        assert table.of_demuxer(f"other,{name}") in rows
    assert table.of_demuxer("hls") is None


def test_no_demuxer_opens_other_files() -> None:
    """Playlists, scripts and lists of pictures name files, and ffmpeg would open them."""
    linking = {"hls", "concat", "dash", "applehttp", "image2", "lavfi", "sdp", "rtsp", "webm_dash"}
    assert not linking & set(table.DEMUXERS)


def test_every_row_can_be_named_and_tagged_as_it_says(tmp_path: Path) -> None:
    names = [row.name for row in FORMATS]
    assert len(names) == len(set(names))
    for row in FORMATS:
        assert row.suffix.startswith(".")
        assert row.suffix == row.suffix.lower()
        assert row.family is not None or not row.mutagen
        assert row.family is None or row.family in FAMILIES
        module, _, kind = row.mutagen.partition(".")
        assert not row.mutagen or hasattr(__import__(f"mutagen.{module}", fromlist=[kind]), kind), (
            f"mutagen {mutagen.version} has no {row.mutagen}"
        )
