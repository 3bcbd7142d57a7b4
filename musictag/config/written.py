"""Settings as text: the commented file that people begin with, and what `config show` prints."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from musictag.config.settings import Settings
from musictag.config.sources import Effective

ABOUT: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "What to write": {
        "fields": ("Fields that may be written.", 'fields = ["genre", "mood"]'),
        "existing": (
            "Existing values: keep (fill only empty fields), merge or replace; "
            'or by field: { genre = "replace" }.',
            'existing = "keep"',
        ),
        "max_genres": ("Most values per field.", "max_genres = 2"),
        "max_moods": ("", "max_moods = 2"),
        "max_instruments": ("", "max_instruments = 4"),
        "max_vocals": ("", "max_vocals = 2"),
        "join": ("Write several values as one, separated by this text.", 'join = "; "'),
    },
    "What to write beside them": {
        "style": ("Specific genres into STYLE, their families into GENRE.", "style = false"),
        "comment": (
            "A part of the comment, for DJ programs; the rest of the comment stays.",
            'comment = "[{mood}; {genre}; {vocals}]"',
        ),
        "grouping": ("The same of the grouping.", 'grouping = "[{mood}; {genre}]"'),
        "provenance": (
            "MUSICTAG_MODEL, MUSICTAG_DATE and MUSICTAG_PROBABILITIES.",
            "provenance = false",
        ),
    },
    "Which words": {
        "sure": (
            "How sure to be: careful, balanced, bold, or the share of listeners who would agree.",
            'sure = "balanced"',
        ),
        "whitelist": (
            "Only these genres; or the name of a text file with one genre per line.",
            'whitelist = ["Rock", "Jazz", "Electronic", "World"]',
        ),
        "drop": ("Words that are never written.", 'drop = ["Choral", "Spacey"]'),
        "parents": (
            "Families beside their members (Electronic beside Techno): none, add, or only.",
            'parents = "none"',
        ),
    },
    "One genre for an album": {
        "by_album": (
            "Whether the tracks of an album get the same genre, from all of them.",
            "by_album = false",
        ),
    },
    "How to write": {
        "preserve_mtime": (
            "Whether files that are written keep their modification time.",
            "preserve_mtime = false",
        ),
        "hardlinks": (
            "Files with other names (hard links): refuse, replace or in-place.",
            'hardlinks = "refuse"',
        ),
    },
    "What to scan": {
        "exclude": ("Files and folders to leave out.", 'exclude = ["Podcasts", "*.tmp.mp3"]'),
        "newer_than": (
            "Only files changed since a date, within an age such as 7d, or later than a file.",
            'newer_than = "7d"',
        ),
        "only_missing": (
            "Only files that lack at least one of these fields.",
            'only_missing = ["genre"]',
        ),
        "where": ("Only files for which this holds.", "where = 'not artist ~ \"Bach\"'"),
    },
    "When to scan what is watched": {
        "settle": (
            "Seconds for which a file must not change before it counts as whole.",
            "settle = 5.0",
        ),
        "poll": (
            "Look every so many seconds. Without it: when the system says that something changed.",
            "poll = 60",
        ),
    },
    "How to hear": {
        "model": (
            "Name of a model, or the directory of one. Without it: the bundled model.",
            'model = "listener-5l-512h-gru"',
        ),
        "device": ("auto, cpu, cuda, cuda:N or mps.", 'device = "auto"'),
        "segments": (
            "Hear so many segments of 29 s per track. Without it: the whole track.",
            "segments = 3",
        ),
        "jobs": ("Decoding processes. Without it: one per core.", "jobs = 2"),
        "cpu": ("At most this share of the cores. Without it: all of them.", 'cpu = "25%"'),
        "pause_on_battery": (
            "Whether to wait while the machine runs on its battery; needs psutil.",
            "pause_on_battery = false",
        ),
        "batch_size": ("Segments heard at once, or auto.", 'batch_size = "auto"'),
        "cache": ("Whether to remember what was heard.", "cache = true"),
    },
    "Tables, which stand at the end of the file": {
        "rename": (
            "Other words for the model's; several may become one.",
            '[rename]\nIndian = "World"\n"Drum and Bass" = "Electronic"',
        ),
        "thresholds": (
            "How sure to be of one value, in place of `sure`.",
            "[thresholds]\nPop = 0.6",
        ),
    },
}
"""Heading → setting → a sentence and an example, which is the default where there is one."""

_INTRODUCTION = """\
# Settings of musictag, explained in docs/settings.md. Lines that begin with # have no effect.
# Each setting is also an option (--max-genres 1) and an environment variable
# (MUSICTAG_MAX_GENRES=1). Options count most, then the environment, then this file."""


def commented() -> str:
    """A settings file in which every setting is explained and none is set."""
    lines = [_INTRODUCTION]
    for heading, settings in ABOUT.items():
        lines += ["", f"# ---- {heading}"]
        for sentence, example in settings.values():
            lines += ["", f"# {sentence}"] if sentence else []
            lines += [f"# {line}" for line in example.splitlines()]
    return "\n".join(lines) + "\n"


def shown(found: Effective) -> Iterator[str]:
    """The settings in effect as lines of a settings file, each with where it comes from."""
    rows = []
    for name, value in _values(found.settings):
        line = f"# {name}" if value is None else f"{_key(name)} = {_toml(value)}"
        rows.append((line, _short(found, name)))
    width = min(40, max(len(line) for line, _ in rows))
    yield f"# {found.path}" + ("" if found.path.exists() else " (there is no such file)")
    for line, origin in rows:
        yield f"{line:<{width}}  # {origin}"


def as_json(found: Effective) -> str:
    """The same as one JSON object."""
    origins = found.origins
    return json.dumps(
        {
            "path": str(found.path),
            "exists": found.path.exists(),
            "settings": {
                name: {
                    "value": value,
                    "from": _kind(found, name),
                    "place": origins.get(name),
                }
                for name, value in _values(found.settings)
            },
        }
    )


def _kind(found: Effective, name: str) -> str:
    origin = found.origins.get(name)
    if origin is None:
        return "default"
    return "file" if origin.startswith(f"{found.path}:") else "environment"


def _short(found: Effective, name: str) -> str:
    origin = found.origins.get(name, "default")
    return origin.replace(f"{found.path}:", f"{found.path.name}:", 1)


def _values(settings: Settings) -> Iterator[tuple[str, Any]]:
    """Names and values as a file gives them: fields in small letters, tuples as lists."""
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.name in ("fields", "only_missing"):
            value = [name.lower() for name in value]
        elif field.name == "existing":
            value = {name.lower(): policy for name, policy in settings.policies.items()}
        elif isinstance(value, (tuple, frozenset)):
            value = list(value)
        elif isinstance(value, Mapping):
            value = dict(value)
        yield field.name, value


def _toml(value: object) -> str:
    """A value on one line. JSON's texts, numbers and switches are TOML's, too."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)
