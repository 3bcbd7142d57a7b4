"""The fields, the key that each has in every kind of tag, and what a value is.

Four hold what was heard. MORE are written where they are asked for, and till then are other
people's. All others are only read: their names are those of Vorbis comments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

FIELDS = ("GENRE", "MOOD", "INSTRUMENT", "VOCALS")

PROVENANCE = ("MUSICTAG_MODEL", "MUSICTAG_DATE", "MUSICTAG_PROBABILITIES")
TEXTS = ("COMMENT", "GROUPING")
"""Fields whose text is somebody else's, too. Where two tags of a file differ in one, only the one
that is read is changed; the other is no second opinion, but another text."""

MORE = ("STYLE", *TEXTS, *PROVENANCE)
"""Fields that are written on request."""

WRITABLE = (*FIELDS, *MORE)

Values = Mapping[str, tuple[str, ...]]
"""Field → values, one per entry."""

_ITUNES = "----:com.apple.iTunes:"
KEYS: dict[str, dict[str, str]] = {
    kind: dict(zip(WRITABLE, keys, strict=True))
    for kind, keys in {
        "ID3v2.4": (
            *("TCON", "TMOO", "TXXX:INSTRUMENT", "TXXX:VOCALS", "TXXX:STYLE", "COMM", "TIT1"),
            *("TXXX:" + field for field in PROVENANCE),
        ),
        "ID3v2.3": (
            *("TCON", "TXXX:MOOD", "TXXX:INSTRUMENT", "TXXX:VOCALS", "TXXX:STYLE", "COMM", "TIT1"),
            *("TXXX:" + field for field in PROVENANCE),
        ),
        "ID3v2.2": (
            *("TCO", "TXX:MOOD", "TXX:INSTRUMENT", "TXX:VOCALS", "TXX:STYLE", "COM", "TT1"),
            *("TXX:" + field for field in PROVENANCE),
        ),
        "Vorbis": WRITABLE,
        "MP4": (
            *("\xa9gen", *(_ITUNES + field for field in (*FIELDS[1:], "STYLE"))),
            *("\xa9cmt", "\xa9grp", *(_ITUNES + field for field in PROVENANCE)),
        ),
        "ASF": (
            *("WM/Genre", "WM/Mood", "INSTRUMENT", "VOCALS", "STYLE"),
            *("Description", "WM/ContentGroupDescription", *PROVENANCE),
        ),
        "APEv2": (
            *("Genre", "Mood", "INSTRUMENT", "VOCALS", "Style", "Comment", "Grouping"),
            *PROVENANCE,
        ),
    }.items()
}
"""Kind of tag → field → key.

A comment in ID3 is one without a description, and GROUPING is in GRP1 where a tag has that (iTunes
then has something else in TIT1). ASF's Description stands in an object of its own.

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
