"""What three independent readers show of a file: TagLib, ffprobe and mutagen.

`views` is what a listener's players see; `lost` and `wrong` say in words what a write has done to
that. TagLib (pytaglib) and ffprobe are used where they are installed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import av
import mutagen

try:
    import taglib
except ImportError:  # not everywhere: it is built from source where there is no wheel
    taglib = None

View = dict[str, tuple[str, ...]]
"""Key, as the reader shows it → values."""

READERS = ("TagLib", "ffprobe", "mutagen")
MISSING = "" if taglib and shutil.which("ffprobe") else "pytaglib or ffprobe is not installed"
"""Why the views cannot be compared here."""

NAMES = {
    "GENRE": {"GENRE", "TCON", "TCO", "©GEN", "WM/GENRE"},
    "MOOD": {"MOOD", "TMOO", "TXXX:MOOD", "WM/MOOD", "----:COM.APPLE.ITUNES:MOOD"},
    "INSTRUMENT": {"INSTRUMENT", "TXXX:INSTRUMENT", "----:COM.APPLE.ITUNES:INSTRUMENT"},
    "VOCALS": {"VOCALS", "TXXX:VOCALS", "----:COM.APPLE.ITUNES:VOCALS"},
}
"""Field → what readers call it, in capitals."""
_OURS = {name for names in NAMES.values() for name in names}


def views(path: Path, *, program: bool = True) -> dict[str, View]:
    """Reader → all that it shows; without `program`, libavformat in this process for ffprobe."""
    ffmpeg = _ffprobe(path) if program else _libavformat(path)
    return {"TagLib": _taglib(path), "ffprobe": ffmpeg, "mutagen": _mutagen(path)}


def _libavformat(path: Path) -> View:
    """What ffprobe shows, by the same library: fifty times as fast."""
    try:
        with av.open(path, metadata_errors="replace") as opened:
            sound = opened.streams.audio
            parts = [opened.metadata, *([sound[0].metadata] if sound else [])]
            return {key: (value,) for part in parts for key, value in part.items()}
    except (av.FFmpegError, ValueError):
        return {}


def _taglib(path: Path) -> View:
    if taglib is None:
        return {}
    try:
        with taglib.File(path) as file:
            return {key: tuple(values) for key, values in file.tags.items()}
    except OSError:  # a kind of file that it does not know
        return {}


def _ffprobe(path: Path) -> View:
    if shutil.which("ffprobe") is None:
        return {}
    command = ["ffprobe", "-v", "quiet", "-of", "json", "-show_format", "-show_streams"]
    result = subprocess.run([*command, os.fspath(path)], capture_output=True, check=False)
    try:
        found = json.loads(result.stdout or "{}")
    except ValueError:  # it died of the file
        return {}
    sound = [one for one in found.get("streams", ()) if one.get("codec_type") == "audio"]
    parts = [found.get("format", {}), *sound[:1]]
    shown: View = {}
    for part in parts:
        shown.update({key: (value,) for key, value in part.get("tags", {}).items()})
    return shown


def _mutagen(path: Path) -> View:
    try:
        file: Any = mutagen.File(path)
    except (mutagen.MutagenError, ValueError, LookupError):  # damage that it does not expect
        return {}
    if file is None or file.tags is None:
        return {}
    shown: dict[str, tuple[str, ...]] = {}
    for key in file.tags.keys():  # noqa: SIM118  # some kinds of tags are no mappings
        value = file.tags[key]
        entries = getattr(value, "text", value)
        several = entries if isinstance(entries, list) else [entries]
        if not key.startswith("\0"):  # a number, in a list whose names stand elsewhere
            shown[key] = tuple(_text(entry) for entry in several)
    return shown


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def lost(before: Mapping[str, View], after: Mapping[str, View]) -> list[str]:
    """Every field but ours that a reader showed and no longer shows with the same value."""
    return [
        f"{reader} showed {key}: {values}, now {after[reader].get(key)}"
        for reader, view in before.items()
        for key, values in view.items()
        if key.upper() not in _OURS and _same(reader, key, after[reader]) != values
    ]


def _same(reader: str, key: str, view: View) -> tuple[str, ...] | None:
    """Of ffprobe the name in any case: its own names are those of the kind of tag."""
    if reader != "ffprobe":
        return view.get(key)
    return next((values for name, values in view.items() if name.lower() == key.lower()), None)


def shown(view: View, field: str) -> list[str]:
    """What a reader shows for this field, whatever it calls it."""
    return [v for key, values in view.items() if key.upper() in NAMES[field] for v in values]


def wrong(
    before: Mapping[str, View],
    after: Mapping[str, View],
    wanted: Mapping[str, tuple[str, ...]],
    *,
    unseen: Iterable[tuple[str, str]] = (),
) -> list[str]:
    """Every field of ours that a reader shows otherwise, or not, though it shows the file's tags.

    Some readers show one value of several. `unseen` are pairs of reader and field of which we know
    that this reader does not show that field in such a file.
    """
    found = []
    tagged = any(before.values())
    for reader, view in after.items():
        for field, values in wanted.items():
            now = [part for text in shown(view, field) for part in _parts(text)]
            if not set(now) <= set(values):
                found.append(f"{reader} shows {field}: {now} instead of {values}")
            elif not now and (before[reader] or not tagged) and (reader, field) not in unseen:
                found.append(f"{reader} does not show {field}")
    return found


def _parts(text: str) -> list[str]:
    return [part.strip() for joined in text.split(";") for part in joined.split("\0") if part]
