"""The four fields, the key that each has in every kind of tag, and what a value is.

Other fields are only read: their names are those of Vorbis comments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

FIELDS = ("GENRE", "MOOD", "INSTRUMENT", "VOCALS")

Values = Mapping[str, tuple[str, ...]]
"""Field → values, one per entry."""

_ITUNES = "----:com.apple.iTunes:"
KEYS: dict[str, dict[str, str]] = {
    kind: dict(zip(FIELDS, keys, strict=True))
    for kind, keys in {
        "ID3v2.4": ("TCON", "TMOO", "TXXX:INSTRUMENT", "TXXX:VOCALS"),
        "ID3v2.3": ("TCON", "TXXX:MOOD", "TXXX:INSTRUMENT", "TXXX:VOCALS"),
        "ID3v2.2": ("TCO", "TXX:MOOD", "TXX:INSTRUMENT", "TXX:VOCALS"),
        "Vorbis": FIELDS,
        "MP4": ("\xa9gen", *(_ITUNES + field for field in FIELDS[1:])),
        "ASF": ("WM/Genre", "WM/Mood", "INSTRUMENT", "VOCALS"),
        "APEv2": ("Genre", "Mood", "INSTRUMENT", "VOCALS"),
    }.items()
}
"""Kind of tag → field → key.

Windows Media defines no attribute for instruments or vocals, and TagLib's property map and Picard
show only names from a list of theirs, which has none either. In ASF these two fields therefore
have the plain names that Vorbis comments use, which readers that show every attribute call so.
"""


ABOUT = ("TITLE", "ARTIST", "ALBUM", "ALBUMARTIST")
"""Fields that say which music this is."""

LONGEST_OTHER = 1 << 16
"""Bytes of the longest entry that is looked into for a field that is only read."""

ID3_NAMES = {
    "TIT1": "GROUPING",
    "TIT2": "TITLE",
    "TPE1": "ARTIST",
    "TPE2": "ALBUMARTIST",
    "TALB": "ALBUM",
    "TCOM": "COMPOSER",
    "TLAN": "LANGUAGE",
}
"""Text frame → field; the one of a TXXX frame is its description."""

MP4_NAMES = {
    "\xa9ALB": "ALBUM",
    "\xa9ART": "ARTIST",
    "\xa9GRP": "GROUPING",
    "\xa9NAM": "TITLE",
    "\xa9WRT": "COMPOSER",
    "AART": "ALBUMARTIST",
}
"""Atom of the iTunes list, in capitals → field; the one of a free-form atom is its name."""

_OTHER_NAMES = {
    "ALBUM ARTIST": "ALBUMARTIST",
    "ALBUM_ARTIST": "ALBUMARTIST",
    "AUTHOR": "ARTIST",
    "WM/ALBUMTITLE": "ALBUM",
    "WM/CONTENTGROUPDESCRIPTION": "GROUPING",
}


def other_name(key: str) -> str:
    """The field that a key written out in words stands for: `Album Artist` is ALBUMARTIST."""
    name = key.strip().upper()
    return _OTHER_NAMES.get(name, name.removeprefix("WM/"))


def cleaned(texts: Iterable[str]) -> tuple[str, ...]:
    """Values as they are compared: stripped, none empty, none twice."""
    values = (value.strip() for text in texts for value in text.split("\0"))
    return tuple(dict.fromkeys(value for value in values if value))
