"""Ogg: pages, and how long the sound is by their granule positions.

A granule position counts samples up to the end of a page. It need not begin at 0: in a radio
recording or a cut file the stream's start is its first position less the samples of the packets
up to there. Files may hold several streams side by side (a film) and behind each other (chained).
"""

from __future__ import annotations

from typing import IO

from musictag.formats.ogg_codecs import Stream, stream_of
from musictag.formats.ogg_pages import LONGEST_PAGE, Page, page_at, pages
from musictag.formats.reading import read_at, size_of


def ends_inside_a_page(file: IO[bytes]) -> bool:
    """Whether the file's last page is incomplete."""
    size = size_of(file)
    tail_start = max(0, size - 2 * LONGEST_PAGE)
    tail = read_at(file, tail_start, 2 * LONGEST_PAGE)
    start = tail.rfind(b"OggS\0")
    if start < 0:
        return False
    rest = tail[start:]
    if len(rest) < 27 or len(rest) < 27 + rest[26]:
        return True
    return len(rest) < 27 + rest[26] + sum(rest[27 : 27 + rest[26]])


def duration_s(file: IO[bytes], start: int = 0, *, thorough: bool = False) -> float | None:
    """How long the sound lasts, by its pages' positions; None where they do not tell.

    Of a single stream the first pages and the last one are read, of a chained file all headers;
    `thorough` reads all headers anyway, since `cat` makes chained files that look like one stream.
    """
    if not (links := _links(file, start, thorough=thorough)):
        return None
    durations = [link.duration_s for link in links]
    return sum(duration for duration in durations if duration is not None) or None


def _links(file: IO[bytes], start: int, *, thorough: bool) -> list[Stream]:
    """The streams of sound, behind each other."""
    first = _beginning(file, start)
    if first.stream is None:
        return []
    last = _last_positions(file, first.serials)
    if not thorough and last is not None and (position := last.get(first.stream.serial)):
        first.stream.position = position
        return [first.stream]
    return _all_links(file, start)


class _Link:
    """Streams that begin together, and the one of sound among them."""

    def __init__(self) -> None:
        self.serials: set[int] = set()
        self.stream: Stream | None = None

    def begin(self, file: IO[bytes], page: Page) -> None:
        self.serials.add(page.serial)
        if self.stream is None:
            self.stream = stream_of(page.serial, read_at(file, page.start, sum(page.lacing)))


def _beginning(file: IO[bytes], start: int) -> _Link:
    """The first link, read until its stream's start is known."""
    link = _Link()
    for page in pages(file, start):
        if page.is_first:
            link.begin(file, page)
        elif link.stream is None or (
            page.serial == link.stream.serial and link.stream.add(file, page)
        ):
            break
    return link


def _last_positions(file: IO[bytes], serials: set[int]) -> dict[int, int] | None:
    """Of each stream the last position near the file's end; None where other streams end it."""
    size = size_of(file)
    start = max(0, size - 2 * LONGEST_PAGE)
    tail = read_at(file, start, size - start)
    found: dict[int, int] = {}
    place = tail.find(b"OggS\0")
    while place >= 0:
        if (here := page_at(file, start + place)) is None:
            break
        if here.serial not in serials:
            return None
        if here.granule > 0:
            found[here.serial] = here.granule
        place = tail.find(b"OggS\0", here.end - start)
    return found


def _all_links(file: IO[bytes], start: int) -> list[Stream]:
    """Every link of a chained file: all page headers are read."""
    links: list[_Link] = []
    beginning = False
    for page in pages(file, start):
        if page.is_first and not beginning:
            links.append(_Link())
        beginning = page.is_first
        if not links:
            break
        if page.is_first:
            links[-1].begin(file, page)
        elif (stream := links[-1].stream) is not None and page.serial == stream.serial:
            stream.add(file, page)
    return [link.stream for link in links if link.stream is not None]
