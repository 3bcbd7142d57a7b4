"""The user's settings: one dataclass of defaults, the settings file over it, options over both.

The file is TOML and every name in it is a field of `Settings`:

    fields = ["genre", "mood", "vocals"]
    existing = { genre = "replace" }     # or one word for all: "merge"
    max_genres = 1
    exclude = ["Podcasts", "*.tmp.mp3"]

A name or value that is not understood is an error, never a guess.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from musictag.decision import POLICIES
from musictag.errors import UsageError
from musictag.vocabulary import FIELDS, magnatagatune

HARDLINKS = ("refuse", "replace", "in-place")
MOST_JOBS = 256
"""More decoding processes only wait for each other."""
MOST_AT_ONCE = 1024
"""Segments at once, of 2 MB each: more gain nothing."""


@dataclass(frozen=True)
class Settings:
    """What a scan does, unless told otherwise."""

    fields: tuple[str, ...] = ("GENRE", "MOOD")
    """The fields musictag may write."""
    existing: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Field → what happens to values that are already there; `keep` for a field not named."""
    max_genres: int = 2
    max_moods: int = 2
    max_instruments: int = 4
    max_vocals: int = 2
    """Most values per field."""
    segments: int | None = None
    """How many 29 s segments of a track to hear, evenly spaced; None: all of it."""
    model: str | None = None
    """Name of a packaged model or a checkpoint directory; None: the default model."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    jobs: int | None = None
    """Decoding processes; None: as many as fit the machine."""
    batch_size: int | None = None
    """Segments heard at once; None (auto): up to 64 for each CPU core, on a GPU
    what fits its memory."""
    exclude: tuple[str, ...] = ()
    """Globs of files and folders that a walk leaves out."""
    join: str | None = None
    """Write a field's values as one, joined by this; None: one entry per value."""
    preserve_mtime: bool = False
    """Put a written file's modification time back to what it was."""
    hardlinks: str = "refuse"
    """What happens to a file with other names (hard links): refuse, replace or in-place."""
    cache: bool = True
    """Remember what was heard, so that unchanged files are not decoded again."""

    @property
    def policies(self) -> dict[str, str]:
        """Field → keep, merge or replace, for the fields that may be written."""
        return {field: self.existing.get(field, "keep") for field in self.fields}

    @property
    def limits(self) -> dict[str, int]:
        """Field → most values it may get."""
        return {
            "GENRE": self.max_genres,
            "MOOD": self.max_moods,
            "INSTRUMENT": self.max_instruments,
            "VOCALS": self.max_vocals,
        }


def default_path() -> Path:
    """Where the user's settings file is, if there is one."""
    import platformdirs  # noqa: PLC0415  # not needed for --help

    return platformdirs.user_config_path("musictag", appauthor=False) / "config.toml"


def load(path: Path | None = None) -> Settings:
    """The defaults with the user's settings file over them; a missing file is no error."""
    path = default_path() if path is None else path
    try:
        text = path.read_bytes().decode("utf-8-sig")  # editors on Windows mark it
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not a text file in UTF-8") from error
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415  # only who has a settings file pays for its parser
    else:
        import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from error
    return _over(Settings(), table, lambda name: f"{path}: {name}")


def override(settings: Settings, options: Mapping[str, object]) -> Settings:
    """Settings with the command line's options over them; None means: not given."""
    given = {name: value for name, value in options.items() if value is not None}
    return _over(settings, given, lambda name: "--" + name.replace("_", "-"))


def _over(settings: Settings, table: Mapping[str, Any], where: Callable[[str], str]) -> Settings:
    """`where` says, for an error, which line of which source a name stands for."""
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name not in _CHECKS:
            raise UsageError(f"{where(name)}: no such setting (there are {', '.join(_CHECKS)})")
        try:
            values[name] = _CHECKS[name](value)
        except ValueError as error:
            raise UsageError(f"{where(name)}: {error}") from None
    return dataclasses.replace(settings, **values)


def _field(value: object) -> str:
    name = str(value).strip().upper()
    if name not in FIELDS:
        raise ValueError(f"no field {value!r} (there are {', '.join(FIELDS).lower()})")
    return name


def _one_of(words: tuple[str, ...], value: object) -> str:
    if value not in words:
        raise ValueError(f"expected {', '.join(words[:-1])} or {words[-1]}, not {value!r}")
    return str(value)


def _policy(value: object) -> str:
    return _one_of(POLICIES, value)


def _hardlinks(value: object) -> str:
    return _one_of(HARDLINKS, value)


def _fields(value: object) -> tuple[str, ...]:
    """["genre", "mood"] or "genre,mood"."""
    names = value.split(",") if isinstance(value, str) else _list_of_words(value)
    if not names:
        raise ValueError("name at least one field")
    return tuple(dict.fromkeys(_field(name) for name in names))


def _existing(value: object) -> dict[str, str]:
    """One word for all fields, or {genre = "replace"}; as an option genre=replace,mood=merge."""
    if isinstance(value, str) and "=" in value:
        value = dict(pair.partition("=")[::2] for pair in value.split(","))
    if isinstance(value, Mapping):
        return {_field(name): _policy(policy) for name, policy in value.items()}
    return dict.fromkeys(FIELDS, _policy(value))


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"expected a whole number from 1 up, not {value!r}")
    if value > sys.maxsize:
        raise ValueError(f"expected at most {sys.maxsize}, not {value!r}")
    return value


def _jobs(value: object) -> int:
    if _count(value) > MOST_JOBS:
        raise ValueError(f"expected at most {MOST_JOBS}, not {value!r}")
    return _count(value)


def _batch_size(value: object) -> int | None:
    """A number, or "auto"."""
    if value == "auto":
        return None
    if isinstance(value, str):
        raise ValueError(f"expected a whole number from 1 up or auto, not {value!r}")
    n = _count(value)
    if n > MOST_AT_ONCE:
        raise ValueError(f"expected at most {MOST_AT_ONCE}, not {value!r}")
    return n


def _word(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected a text, not {value!r}")
    return value


def _separator(value: object) -> str:
    """What is written joined must come apart into the same values, or twice is not once."""
    join = _word(value)
    if not join:
        raise ValueError("expected at least one character between the values")
    if not set(join).isdisjoint("\0\r\n") or not _is_utf8(join):
        raise ValueError(f"{join!r} cannot stand between values in every kind of file")
    for pair in itertools.permutations(magnatagatune().by_name, 2):
        if tuple(part.strip() for part in join.join(pair).split(join)) != pair:
            one = next((value for value in pair if join in value), join.join(pair))
            raise ValueError(f"{join!r} cannot be told from what is in {one!r}")
    return join


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _model(value: object) -> str:
    if not _word(value):
        raise ValueError("the name is empty")
    return os.path.expanduser(_word(value))  # noqa: PTH111  # stays a name when it is one


def _device(value: object) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", _word(value)):
        raise ValueError(f"unknown device {value!r} (there are auto, cpu, cuda, cuda:N and mps)")
    return _word(value)


def _list_of_words(value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(word, str) for word in value):
        raise ValueError(f"expected a list of texts, not {value!r}")
    return tuple(value)


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, not {value!r}")
    return value


_CHECKS: Mapping[str, Callable[[object], object]] = {
    "fields": _fields,
    "existing": _existing,
    "max_genres": _count,
    "max_moods": _count,
    "max_instruments": _count,
    "max_vocals": _count,
    "segments": _count,
    "model": _model,
    "device": _device,
    "jobs": _jobs,
    "batch_size": _batch_size,
    "exclude": _list_of_words,
    "join": _separator,
    "preserve_mtime": _switch,
    "hardlinks": _hardlinks,
    "cache": _switch,
}
