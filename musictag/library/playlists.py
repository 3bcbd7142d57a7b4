"""Playlists as players read them: M3U in UTF-8, XSPF, and Navidrome's smart playlists.

M3U and XSPF name tracks. A smart playlist has rules over the fields in files, which Navidrome
applies itself: https://www.navidrome.org/docs/usage/smartplaylists/
"""

from __future__ import annotations

import json
import os
import re
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from musictag.errors import UsageError
from musictag.library.choosing import Choice
from musictag.library.collection import Track
from musictag.vocabulary import Value

FORMS = ("m3u8", "xspf", "nsp")
"""Names of the formats, which are also suffixes."""

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML document may hold, escaped or not."""


def paths(tracks: Sequence[Track], folder: Path | None) -> list[str]:
    """The names of tracks: absolute, or as seen from a folder."""
    if folder is None:
        return [os.path.abspath(track.path) for track in tracks]  # noqa: PTH100
    real = os.path.realpath(folder)  # so that `..` leads where the system takes it
    found = []
    for track in tracks:
        name = os.path.abspath(track.path)  # noqa: PTH100  # Path has no such thing
        try:
            found.append(os.path.relpath(name, real))
        except ValueError:  # on another drive of Windows
            found.append(name)
    return found


def can_be_listed(track: Track) -> bool:
    """Whether a line can hold the track's name."""
    return set(os.fspath(track.path)).isdisjoint("\n\r")


def m3u8(tracks: Sequence[Track], folder: Path | None = None) -> Iterator[str]:
    """The lines of an extended M3U; names that are not UTF-8 keep their bytes.

    Names are absolute, or as seen from `folder`. Every track must be one that `can_be_listed`.
    """
    yield "#EXTM3U"
    for track, path in zip(tracks, paths(tracks, folder), strict=True):
        artist, title = _line(", ".join(_artist(track))), _line(_title(track))
        yield (
            f"#EXTINF:{round(track.duration_s)},{artist} - {title}"
            if artist
            else (f"#EXTINF:{round(track.duration_s)},{title}")
        )
        # a remark, an address or a space that players strip it must not be taken for
        odd = path[:1] in ("#", " ", "\t") or re.match(r"[A-Za-z][\w+.-]*:", path)
        yield f"./{path}" if odd and not os.path.isabs(path) else path  # noqa: PTH117


def xspf(tracks: Sequence[Track], folder: Path | None = None) -> Iterator[str]:
    """The lines of an XSPF document in ASCII, whose locations are file URIs or, with `folder`,
    relative to it."""
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield '<playlist version="1" xmlns="http://xspf.org/ns/0/">'
    yield "  <trackList>"
    for track, path in zip(tracks, paths(tracks, folder), strict=True):
        yield "    <track>"
        yield f"      <location>{_uri(path)}</location>"
        for name, text in (
            ("title", _title(track)),
            ("creator", ", ".join(_artist(track))),
            ("album", ", ".join(track.about.get("ALBUM", ()))),
        ):
            if text:
                yield f"      <{name}>{_in_xml(text)}</{name}>"
        yield f"      <duration>{round(track.duration_s * 1000)}</duration>"
        yield "    </track>"
    yield "  </trackList>"
    yield "</playlist>"


def smart(choice: Choice, *, limit: int | None = None, shuffle: bool = False) -> Iterator[str]:
    """The lines of a smart playlist whose rules find the files in which a scan writes these values.

    UsageError where no file can have them.
    """
    rules: list[dict[str, Any]] = []
    for group in choice.wanted:
        some = [{"is": {value.field.lower(): value.word}} for value in _written(group)]
        rules += some if len(some) == 1 else [{"any": some}]
    if choice.unwanted:
        rules += [{"isNot": {v.field.lower(): v.word}} for v in _written(choice.unwanted)]
    if not rules:
        raise UsageError("a smart playlist needs a rule: --genre, --mood or another word")
    document: dict[str, Any] = {"all": rules}
    if shuffle:
        document["sort"] = "random"
    if limit is not None:
        document["limit"] = limit
    yield json.dumps(document, indent=1, ensure_ascii=False)


def _written(values: Sequence[Value]) -> list[Value]:
    """Those that a scan writes, one for each word."""
    found = {
        (value.field, value.word): value
        for value in values
        if value.threshold is not None and not value.unwanted
    }
    if not found:
        raise UsageError(f"no scan writes {values[0].word}, so no rule finds it in files")
    return list(found.values())


def _title(track: Track) -> str:
    return ", ".join(track.about.get("TITLE", ())) or track.path.stem


def _artist(track: Track) -> tuple[str, ...]:
    return track.about.get("ARTIST") or track.about.get("ALBUMARTIST", ())


def _line(text: str) -> str:
    return " ".join(text.split())


def _uri(path: str) -> str:
    if not os.path.isabs(path):  # noqa: PTH117
        return urllib.parse.quote(os.fsencode(path.replace(os.sep, "/")))
    if os.name == "nt":
        return Path(path).as_uri()
    return "file://" + urllib.parse.quote(os.fsencode(path))


def _in_xml(text: str) -> str:
    """Text for a document in ASCII, without what XML cannot hold."""
    clean = escape(_NOT_IN_XML.sub("\ufffd", text))
    return clean.encode("ascii", "xmlcharrefreplace").decode()
