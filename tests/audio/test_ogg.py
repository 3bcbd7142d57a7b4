"""Whole Ogg files are heard whole: begun late, chained, or both."""

from __future__ import annotations

import io
from pathlib import Path

import mutagen.ogg
import numpy as np
import pytest
import sounds
from heard import error, heard, whole

from musictag.audio.samples import RATE_HZ, SEGMENT_LENGTH
from musictag.audio.track import Track
from musictag.formats import ogg

CODECS = {"opus": 48_000, "ogg": 44_100, "ogg-flac": 44_100}
"""Row of sounds.CONTAINERS → its rate, which is the unit of positions."""


def rewritten(data: bytes, *, later: int = 0, serial: int | None = None) -> bytes:
    """The same pages, their positions later by so many samples, their stream's number another."""
    file, pages = io.BytesIO(data), []
    while file.tell() < len(data):
        page = mutagen.ogg.OggPage(file)
        page.position += later if page.position > 0 else 0
        page.serial = page.serial if serial is None else serial
        pages.append(page.write())
    return b"".join(pages)


def encoded(container: str, seconds: float) -> bytes:
    rate_hz = CODECS[container]
    return sounds.encode(container, sounds.staircase(seconds, rate_hz=rate_hz), rate_hz)


def duration_s(data: bytes) -> float | None:
    return ogg.duration_s(io.BytesIO(data))


def heard_s(path: Path) -> float | None:
    track = Track(path)
    assert list(track.segments())
    return track.duration_s


@pytest.mark.parametrize("container", CODECS)
@pytest.mark.parametrize("later_s", [0, 0.25, 600])
def test_a_stream_lasts_from_its_first_position_to_its_last(
    container: str, later_s: float, tmp_path: Path
) -> None:
    """A radio recording or a cut begins at any position (RFC 7845, 4.5)."""
    data = rewritten(encoded(container, 6), later=round(later_s * CODECS[container]))
    assert duration_s(data) == pytest.approx(6, abs=0.001)
    path = tmp_path / "recorded.ogg"
    path.write_bytes(data)
    assert heard_s(path) == pytest.approx(6, abs=0.01)
    path.write_bytes(data[: len(data) // 2])
    assert error(path).code == "truncated"


@pytest.mark.parametrize("container", CODECS)
@pytest.mark.parametrize("numbers", [(1, 2, 3), (1, 1, 1)])
@pytest.mark.parametrize("later_s", [(0, 0, 0), (600, 0, 77), (0, 77, 600)])
def test_a_chained_file_lasts_as_long_as_its_links_together(
    container: str, numbers: tuple[int, ...], later_s: tuple[int, ...], tmp_path: Path
) -> None:
    """Numbers should differ, but `cat` makes such files too."""
    links = [
        rewritten(encoded(container, seconds), later=s * CODECS[container], serial=number)
        for seconds, s, number in zip((3, 2, 4), later_s, numbers, strict=True)
    ]
    data = io.BytesIO(b"".join(links))
    # of a link that is a single page, nobody can tell which of its ends was trimmed
    seconds = pytest.approx(9, abs=0.02 if any(later_s) else 0.001)
    assert ogg.duration_s(data, thorough=True) == seconds
    if len(set(numbers)) > 1:
        assert ogg.duration_s(data) == seconds
    path = tmp_path / "chained.ogg"
    path.write_bytes(b"".join(links))
    assert heard_s(path) == pytest.approx(9, abs=0.05)


@pytest.mark.parametrize("container", CODECS)
def test_segments_sought_in_a_stream_that_begins_late_are_those_of_the_track(
    container: str, tmp_path: Path
) -> None:
    path = tmp_path / "recorded.ogg"
    path.write_bytes(rewritten(encoded(container, 70), later=600 * CODECS[container]))
    (segment,) = heard(path, 1)
    start = 20 * RATE_HZ  # 70 s / 2 - 14.5 s
    expected = whole(path)[start : start + SEGMENT_LENGTH]
    assert np.abs(segment - expected).max() < 1e-3


@pytest.mark.parametrize("container", CODECS)
def test_segments_sought_in_a_chained_file_are_those_of_the_track(
    container: str, tmp_path: Path
) -> None:
    path = tmp_path / "chained.ogg"
    one, other = encoded(container, 50), encoded(container, 60)
    path.write_bytes(rewritten(one, serial=1) + rewritten(other, serial=2))
    first, second = heard(path, 2)
    everything = whole(path)
    for segment, start_s in ((first, 13), (second, 68)):  # 110 s / 4 - 14.5 s, 3/4 - 14.5 s
        near = everything[(start_s - 1) * RATE_HZ :][: SEGMENT_LENGTH + 2 * RATE_HZ]
        assert any(
            np.abs(segment[:8000] - near[at : at + 8000]).max() < 1e-3
            for at in range(RATE_HZ - 2000, RATE_HZ + 2000)
        )


def test_pages_of_other_streams_do_not_count() -> None:
    """A film's, or a skeleton's: here a codec that nobody knows, in front and behind."""
    page = mutagen.ogg.OggPage()
    page.packets, page.serial, page.first = [b"fishead\0"], 99, True
    front = page.write()
    page.packets, page.first, page.sequence, page.position = [b"x"], False, 1, 10**9
    data = encoded("opus", 3)
    assert duration_s(front + data + page.write()) == pytest.approx(3, abs=0.001)
    assert duration_s(front) is None


def speex(*, position: int, n_packets: int = 50) -> bytes:
    """Packets of 320 samples at 16 kHz, one second in 50 of them."""
    header = b"Speex   ".ljust(28, b"1") + (1).to_bytes(4, "little") + (80).to_bytes(4, "little")
    for number in (16_000, 1, 4, 1, 0, 320, 0, 1, 0, 0, 0):
        header += number.to_bytes(4, "little")
    pages = []
    for n, packets in enumerate(([header], [b"comments"], [b"music"] * n_packets, [b"x"] * 50)):
        page = mutagen.ogg.OggPage()
        page.packets, page.serial, page.sequence, page.first = packets, 7, n, n == 0
        page.position = {2: position, 3: position + 16_000}.get(n, 0)
        pages.append(page.write())
    return b"".join(pages)


@pytest.mark.parametrize(
    ("position", "seconds"),
    [
        (16_000, 2.0),
        (16_000 - 143, 2.0 - 143 / 16_000),  # the encoder's delay is cut off: begins before 0
        (16_000 + 9_600_000, 2.0),
    ],
)
def test_speex_by_hand(position: int, seconds: float) -> None:
    assert duration_s(speex(position=position)) == pytest.approx(seconds)


def test_bytes_between_pages_are_passed_over() -> None:
    data = encoded("ogg", 3)
    middle = data.index(b"OggS", len(data) // 2)
    junk = bytes(200_000) + b"Ogg" + bytes(10)
    file = io.BytesIO(data[:middle] + junk + data[middle:])
    assert ogg.duration_s(file, thorough=True) == pytest.approx(3, abs=0.001)


def test_a_damaged_file_is_no_endless_one() -> None:
    data = encoded("ogg", 3)
    for at in range(0, len(data), 997):
        assert duration_s(data[:at]) is None or duration_s(data[:at]) < 3.1
        damaged = bytearray(data)
        damaged[at : at + 40] = bytes(40)
        duration_s(bytes(damaged))
