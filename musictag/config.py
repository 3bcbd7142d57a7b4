"""The user's settings: one dataclass of defaults, the settings file over it, options over both.

The file is TOML and every name in it is a field of `Settings`:

    fields = ["genre", "mood", "vocals"]
    existing = { genre = "replace" }     # or one policy for all fields: "merge"
    max_genres = 1
    exclude = ["Podcasts", "*.tmp.mp3"]

A name or value that is not understood is an error that names the file and the line.

`_declared` states what each setting may be, and msgspec checks it. It was chosen because it costs
least at start-up: import, declarations and first check took 3 to 12 ms, pydantic 57 to 87 ms (on
top of what Typer had imported of it), cattrs 28 to 32 ms for the import alone.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from musictag.errors import UsageError, system_trouble

HARDLINKS = ("refuse", "replace", "in-place")
MOST_JOBS = 256
"""Decoding processes, at most; more only wait for each other."""
MOST_AT_ONCE = 1024
"""Segments heard at once, at most; each takes 2 MB, and more gain nothing."""


@dataclass(frozen=True)
class Settings:
    """What a scan does."""

    fields: tuple[str, ...] = ("GENRE", "MOOD")
    """Fields that may be written."""
    existing: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Field → keep, merge or replace the values that it has; `keep` for fields not named."""
    max_genres: int = 2
    max_moods: int = 2
    max_instruments: int = 4
    max_vocals: int = 2
    """Values per field, at most."""
    segments: int | None = None
    """Number of evenly spaced 29 s segments to hear of each track; None: the whole track."""
    model: str | None = None
    """Name of a packaged model, or a checkpoint directory; None: the bundled model."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    jobs: int | None = None
    """Number of decoding processes; None: one per core."""
    batch_size: int | None = None
    """Number of segments heard at once; None (auto): up to 64 per CPU core, on a GPU as many as fit
    its memory."""
    exclude: tuple[str, ...] = ()
    """Globs of files and folders to leave out."""
    join: str | None = None
    """Text between values that are written as one; None: one entry per value."""
    preserve_mtime: bool = False
    """Whether written files keep their modification time."""
    hardlinks: str = "refuse"
    """How to write files that have other names (hard links): refuse, replace or in-place."""
    cache: bool = True
    """Whether what was heard is remembered, so that unchanged files are not decoded again."""

    @property
    def policies(self) -> dict[str, str]:
        """Field → keep, merge or replace, for the fields that may be written."""
        return {field: self.existing.get(field, "keep") for field in self.fields}

    @property
    def limits(self) -> dict[str, int]:
        """Field → number of values it may get, at most."""
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
    """The defaults with the user's settings file over them; the file need not exist."""
    path = default_path() if path is None else path
    try:
        text = path.read_bytes().decode("utf-8-sig")  # editors on Windows write that mark
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise UsageError(f"{path}: {system_trouble(error).reason}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not a text file in UTF-8") from error
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415  # only those who have a settings file need its parser
    else:
        import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from error
    return _over(Settings(), table, lambda name: f"{path}:{_line_of(name, text)}: {name}")


def override(settings: Settings, options: Mapping[str, object]) -> Settings:
    """Settings with the command line's options over them; None means not given."""
    given = {name: value for name, value in options.items() if value is not None}
    return _over(settings, given, lambda name: "--" + name.replace("_", "-"))


def _over(settings: Settings, table: Mapping[str, Any], where: Callable[[str], str]) -> Settings:
    """Settings with checked values over them. `where` locates a name for an error message."""
    values: dict[str, Any] = {}
    for name, value in table.items():
        declared = _declared()
        if name not in declared:
            raise UsageError(f"{where(name)}: no such setting (there are {', '.join(declared)})")
        try:
            values[name] = _checked(name, value)
        except ValueError as error:
            raise UsageError(f"{where(name)}: {error}") from None
    return dataclasses.replace(settings, **values)


def _line_of(name: str, text: str) -> int:
    """Number of the line on which a setting or a table begins."""
    key = rf"""["']?{re.escape(name)}["']?\s*"""
    start = re.compile(rf"\s*({key}[.=]|\[\s*{key}[].])")
    lines = enumerate(text.splitlines(), 1)
    return next((number for number, line in lines if start.match(line)), 1)


# ---------------------------------------------------------------- what each setting may be


@functools.cache
def _declared() -> Mapping[str, Any]:
    """Setting → type of its value, which ends with words for people who get it wrong."""
    from msgspec import Meta  # noqa: PLC0415  # not needed for --help

    from musictag.decision import POLICIES  # noqa: PLC0415
    from musictag.vocabulary import FIELDS  # noqa: PLC0415

    def of(kind: Any, words: str, **limits: Any) -> Any:
        return Annotated[kind, Meta(description=words, **limits)]

    fields: Any = Literal[FIELDS]
    policies: Any = Literal[POLICIES]
    whole = "a whole number from 1 up"
    count = of(int, whole, ge=1, le=sys.maxsize)
    segments = of(int, whole, ge=1, le=MOST_AT_ONCE)
    switch = of(bool, "true or false")
    return {
        "fields": of(
            tuple[fields, ...],
            f"a list of at least one of {', '.join(FIELDS).lower()}",
            min_length=1,
        ),
        "existing": of(
            dict[fields, policies], "keep, merge or replace, for all fields or by field"
        ),
        "max_genres": count,
        "max_moods": count,
        "max_instruments": count,
        "max_vocals": count,
        "segments": count,
        "model": of(str, "a name or a directory", min_length=1),
        "device": of(
            str, "auto, cpu, cuda, cuda:N or mps", pattern=r"^(auto|cpu|mps|cuda(:[0-9]+)?)\Z"
        ),
        "jobs": of(int, whole, ge=1, le=MOST_JOBS),
        "batch_size": of(segments | None, f"{whole} or auto"),
        "exclude": of(tuple[str, ...], "a list of texts"),
        "join": of(str, "at least one character between the values", min_length=1),
        "preserve_mtime": switch,
        "hardlinks": of(Literal[HARDLINKS], "refuse, replace or in-place"),
        "cache": switch,
    }


def _checked(name: str, value: object) -> Any:
    """The value of a setting in its declared type; ValueError says what was expected."""
    import msgspec  # noqa: PLC0415

    declared = _declared()[name]
    try:
        checked = msgspec.convert(_READ[name](value) if name in _READ else value, declared)
    except msgspec.ValidationError as error:
        most = re.search("<= ([0-9]+)$", str(error))
        words = f"at most {most[1]}" if most else get_args(declared)[1].description
        raise ValueError(f"expected {words}, not {value!r}") from None
    if name == "join":
        _check_separator(checked)
    return checked


def _read_fields(value: object) -> object:
    """["genre", "mood"] or "genre,mood"."""
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)):
        return value
    return list(dict.fromkeys(str(name).strip().upper() for name in names))


def _read_existing(value: object) -> object:
    """A policy for all fields, {genre = "replace"}, or as an option genre=replace,mood=merge."""
    from musictag.vocabulary import FIELDS  # noqa: PLC0415

    if isinstance(value, str) and "=" in value:
        value = dict(pair.partition("=")[::2] for pair in value.split(","))
    if isinstance(value, Mapping):
        return {str(field).strip().upper(): policy for field, policy in value.items()}
    return dict.fromkeys(FIELDS, value)


def _read_model(value: object) -> object:
    """~ is the home directory; a name stays a name."""
    return os.path.expanduser(value) if isinstance(value, str) else value  # noqa: PTH111


_READ: Mapping[str, Callable[[object], object]] = {
    "fields": _read_fields,
    "existing": _read_existing,
    "model": _read_model,
    "batch_size": lambda value: None if value == "auto" else value,
}
"""Setting → what turns the forms in which people write it into the declared one."""


def _check_separator(join: str) -> None:
    """Refuse what some kind of file cannot hold. Whether the values of a model can be told apart
    again is checked when the model is known, by `decision.check_join`."""
    if not set(join).isdisjoint("\0\r\n") or not _is_utf8(join):
        raise ValueError(f"{join!r} cannot stand between values in every kind of file")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
