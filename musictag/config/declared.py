"""What each setting may be.

`declared` states it, and msgspec checks it. It was chosen because it costs least at start-up:
import, declarations and first check took 3 to 12 ms, pydantic 57 to 87 ms (on top of what Typer had
imported of it), cattrs 28 to 32 ms for the import alone.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal, get_args

from musictag.config.settings import HARDLINKS, MOST_AT_ONCE, MOST_JOBS


class SettingError(ValueError):
    """A value that a setting cannot have."""

    def __init__(self, message: str, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key
        """The key in the setting's table that is wrong; None: the setting as a whole."""


@functools.cache
def declared() -> Mapping[str, Any]:
    """Setting → type of its value, which ends with words for people who get it wrong."""
    from msgspec import Meta  # noqa: PLC0415  # not needed for --help

    from musictag.decision import POLICIES  # noqa: PLC0415
    from musictag.vocabulary import FIELDS  # noqa: PLC0415
    from musictag.words import PARENTS, SURE  # noqa: PLC0415

    def of(kind: Any, words: str, **limits: Any) -> Any:
        return Annotated[kind, Meta(description=words, **limits)]

    fields: Any = Literal[FIELDS]
    policies: Any = Literal[POLICIES]
    whole = "a whole number from 1 up"
    count = of(int, whole, ge=1, le=sys.maxsize)
    segments = of(int, whole, ge=1, le=MOST_AT_ONCE)
    switch = of(bool, "true or false")
    word: Any = of(str, "a word", min_length=1)
    seconds: Any = of(float, "a number of seconds, at least 0.1", ge=0.1, le=86_400)
    share: Any = of(float, "a share", ge=0, le=1)
    a_share = "a number from 0 to 1 (the share of listeners who would agree)"
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
        "sure": of(share | Literal[tuple(SURE)], f"{a_share}, or {', '.join(SURE)}"),
        "thresholds": of(dict[str, share], f"for each value {a_share}"),
        "rename": of(dict[str, word], "for each word the word to write"),
        "drop": of(tuple[word, ...], "a list of words"),
        "whitelist": of(tuple[word, ...] | word, "a list of genres, or a text file of them"),
        "parents": of(Literal[PARENTS], "add, only or none"),
        "by_album": switch,
        "segments": count,
        "model": of(str, "a name or a directory", min_length=1),
        "device": of(
            str, "auto, cpu, cuda, cuda:N or mps", pattern=r"^(auto|cpu|mps|cuda(:[0-9]+)?)\Z"
        ),
        "jobs": of(int, whole, ge=1, le=MOST_JOBS),
        "cpu": of(float, "a share of the cores, from 1% to 100%", ge=0.01, le=1),
        "pause_on_battery": switch,
        "batch_size": of(segments | None, f"{whole} or auto"),
        "exclude": of(tuple[str, ...], "a list of texts"),
        "newer_than": of(str, "a date, an age or a file", min_length=1),
        "only_missing": of(tuple[fields, ...], f"a list of some of {', '.join(FIELDS).lower()}"),
        "where": of(str, "a condition", min_length=1),
        "style": switch,
        "comment": of(str, "a template", min_length=1),
        "grouping": of(str, "a template", min_length=1),
        "provenance": switch,
        "join": of(str, "at least one character between the values", min_length=1),
        "preserve_mtime": switch,
        "hardlinks": of(Literal[HARDLINKS], "refuse, replace or in-place"),
        "cache": switch,
        "settle": seconds,
        "poll": of(seconds | None, get_args(seconds)[1].description),
    }


def checked(name: str, value: object) -> Any:
    """The value of a setting in its declared type; SettingError says what was expected."""
    import msgspec  # noqa: PLC0415

    expected = declared()[name]
    try:
        found = msgspec.convert(_READ[name](value) if name in _READ else value, expected)
    except msgspec.ValidationError as error:
        most = re.search("<= ([0-9]+)$", str(error))
        words = (
            f"at most {most[1]}" if most and int(most[1]) > 1 else get_args(expected)[1].description
        )
        key = _wrong_key(name, value)
        given = value[key] if isinstance(value, Mapping) and key is not None else value
        stray = f" ({key} is a setting: put it above the first table)" if key in declared() else ""
        raise SettingError(f"expected {words}, not {given!r}{stray}", key) from None
    if name == "join":
        _check_separator(found)
    if name == "where":
        _check_condition(found)
    if name in ("comment", "grouping"):
        _check_template(found)
    if name == "rename":
        _check_words(found)
    return found


def _wrong_key(name: str, table: object) -> str | None:
    """The first key of a table that alone is wrong, too."""
    if not isinstance(table, Mapping) or len(table) < 2:
        return next(iter(table), None) if isinstance(table, Mapping) else None
    for key, value in table.items():
        try:
            checked(name, {key: value})
        except SettingError:  # noqa: PERF203  (a few keys)
            return str(key)
    return None


def from_text(name: str, text: str) -> object:
    """What a text, such as an environment variable's, says of a setting: a number, a switch, a list
    with commas, or the text itself."""
    kind = get_args(declared()[name])[0]
    if kind is bool:
        return _SWITCHES.get(text.casefold(), text)
    if kind is not str and re.fullmatch("[0-9]+", text):
        return int(text)
    if getattr(kind, "__origin__", None) is tuple:
        return [part.strip() for part in text.split(",")]
    return text


_SWITCHES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that somebody may have meant."""
    import difflib  # noqa: PLC0415  # only for mistakes

    spelt = {other.casefold().replace("-", "_"): other for other in names}
    close = difflib.get_close_matches(name.casefold().replace("-", "_"), spelt, 1)
    return spelt[close[0]] if close else None


# ---------------------------------------------------------------- forms in which people write them


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


def _read_table(value: object) -> object:
    """{Indian = "World"}, or as an option Indian=World,Metal=Rock."""
    if not isinstance(value, str):
        return value
    pairs = (pair.partition("=")[::2] for pair in value.split(","))
    return {name.strip(): other.strip() for name, other in pairs}


def _read_numbers(value: object) -> object:
    """{Pop = 0.6}, or as an option Pop=0.6,Rock=0.5."""
    table = _read_table(value)
    if not isinstance(value, str) or not isinstance(table, dict):
        return table
    return {name: _read_number(text) for name, text in table.items()}


def _read_number(value: object) -> object:
    """0.9 as a text is a number; other texts stay what they are."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]*\.?[0-9]+", value):
        return float(value)
    return value


def _read_percentage(value: object) -> object:
    """25% is 0.25."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]*\.?[0-9]+ *%", value):
        return float(value.rstrip(" %")) / 100
    return _read_number(value)


def _read_words(value: object) -> object:
    """["Choral"] or "Choral,Opera"."""
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else value


def _read_path(value: object) -> object:
    """~ is the home directory; a name stays a name."""
    return os.path.expanduser(value) if isinstance(value, str) else value  # noqa: PTH111


_READ: Mapping[str, Callable[[object], object]] = {
    "fields": _read_fields,
    "only_missing": _read_fields,
    "existing": _read_existing,
    "sure": _read_number,
    "cpu": _read_percentage,
    "settle": _read_number,
    "poll": _read_number,
    "thresholds": _read_numbers,
    "rename": _read_table,
    "drop": _read_words,
    "whitelist": _read_path,
    "model": _read_path,
    "batch_size": lambda value: None if value == "auto" else value,
}
"""Setting → what turns the forms in which people write it into the declared one."""


def _check_condition(where: str) -> None:
    from musictag.selection import ExpressionError, parsed  # noqa: PLC0415

    try:
        parsed(where)
    except ExpressionError as mistake:
        raise SettingError(str(mistake)) from None


def _check_template(text: str) -> None:
    from musictag.template import Template, TemplateError  # noqa: PLC0415

    try:
        Template.parsed(text)
    except TemplateError as error:
        raise SettingError(str(error)) from None


def _check_words(rename: Mapping[str, str]) -> None:
    """Refuse words that would spoil files or terminals."""
    from musictag.vocabulary import check_name  # noqa: PLC0415

    for name, word in rename.items():
        try:
            check_name(word)
        except ValueError as error:  # noqa: PERF203  (a few words)
            raise SettingError(str(error), name) from None


def _check_separator(join: str) -> None:
    """Refuse what some kind of file cannot hold. Whether the values of a model can be told apart
    again is checked when the model is known, by `decision.check_join`."""
    if not set(join).isdisjoint("\0\r\n") or not _is_utf8(join):
        raise SettingError(f"{join!r} cannot stand between values in every kind of file")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
