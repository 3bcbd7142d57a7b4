"""Which tracks a scan is about: a small language over fields and paths, and since when.

    test = parsed('genre = "Unknown" and (artist ~ Bach or not path ~ "/Live/")')
    test(lambda field: values_of[field])

A comparison holds if it does for one of the field's values, without letter case; `!=` is the
opposite of `=`, so it also holds where the field is missing.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from musictag.errors import UsageError, system_trouble

FIELDS = (
    *("genre", "style", "mood", "instrument", "vocals", "title", "artist", "album", "albumartist"),
    *("comment", "grouping"),
)
"""Fields of a file that can be compared."""
NAMES = (*FIELDS, "path", "suffix")

Lookup = Callable[[str], Sequence[str]]
"""Name → values; Unknown for a field that has not been read."""
Test = Callable[[Lookup], bool]


class Unknown(Exception):  # noqa: N818  # not an error: ask again when it has been read
    """A field's values are not known yet."""


class ExpressionError(ValueError):
    """Why a text is no expression, with the column."""


class Wishes(Protocol):
    """What a user wants to scan; the settings fit it."""

    @property
    def newer_than(self) -> str | None: ...
    @property
    def only_missing(self) -> tuple[str, ...]: ...
    @property
    def where(self) -> str | None: ...


class Selection:
    """Says of a file whether a scan is about it, before it is decoded."""

    def __init__(self, wishes: Wishes) -> None:
        self._since_s = None if wishes.newer_than is None else since(wishes.newer_than)
        self._missing = tuple(name.lower() for name in wishes.only_missing)
        self._test = None if wishes.where is None else parsed(wishes.where)

    def __bool__(self) -> bool:
        return bool(self._missing) or self._test is not None or self._since_s is not None

    def wants(self, path: Path, fields: Mapping[str, Sequence[str]] | None) -> bool | None:
        """Whether the scan is about this file; None if that depends on its fields and those are
        None. `fields` has names in capitals."""

        def lookup(name: str) -> Sequence[str]:
            if name == "path":
                return (str(path),)
            if name == "suffix":
                return (path.suffix.removeprefix("."),)
            if fields is None:
                raise Unknown
            return fields.get(name.upper(), ())

        try:
            return (
                self._is_new(path)
                and (self._test is None or self._test(lookup))
                and (not self._missing or not all(lookup(name) for name in self._missing))
            )
        except Unknown:
            return None

    def _is_new(self, path: Path) -> bool:
        if self._since_s is None:
            return True
        try:
            return path.stat().st_mtime > self._since_s
        except (OSError, ValueError):
            return True  # the scan will say what is wrong with it


# ---------------------------------------------------------------- since when

_AGE = re.compile(r"(\d{1,6})\s*([hdw])", re.IGNORECASE)
_UNITS_S = {"h": 3600, "d": 86_400, "w": 7 * 86_400}


def since(text: str) -> float:
    """Seconds since the epoch of a date (2026-11-01), an age (7d) or a file's last change;
    UsageError if it is none of them."""
    if age := _AGE.fullmatch(text.strip()):
        return time.time() - int(age[1]) * _UNITS_S[age[2].lower()]
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        pass
    try:
        return Path(text).expanduser().stat().st_mtime
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise UsageError(
            f"newer-than: {text}: neither a date (2026-11-01), nor an age (12h, 7d, 2w), "
            "nor a file that there is"
        ) from None
    except OSError as error:
        raise UsageError(f"newer-than: {text}: {system_trouble(error).reason}") from error


# ---------------------------------------------------------------- the language


def parsed(text: str) -> Test:
    """What an expression asks; ExpressionError with the column if it cannot be understood."""
    return _Parser(text).whole()


_TOKEN = re.compile(
    r"""\s*(?: (?P<text>"[^"]*"|'[^']*') | (?P<sign>!=|=|~|\(|\)) | (?P<word>[^\s()=!~"']+) )""",
    re.VERBOSE,
)
_JOINERS = ("and", "or", "not", "missing")
_COMPARISONS = ("=", "!=", "~")
_DEEPEST = 50
"""Most parentheses and `not`s inside each other."""


class _Parser:
    """Reads an expression from left to right."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str, int]] = []
        place = 0
        while text[place:].strip():
            found = _TOKEN.match(text, place)
            if found is None:
                column = place + len(text[place:]) - len(text[place:].lstrip()) + 1
                quote = text[column - 1] in "\"'"
                what = "this quote has no end" if quote else f"{text[column - 1]!r} has no meaning"
                raise ExpressionError(f"column {column}: {what}")
            kind = str(found.lastgroup)
            self._tokens.append((kind, found[kind], found.start(kind) + 1))
            place = found.end()
        self._end = len(text.rstrip()) + 1
        self._place = 0
        self._depth = 0

    def whole(self) -> Test:
        test = self._either()
        if self._place < len(self._tokens):
            several = self._tokens[self._place][0] == "word"
            raise self._mistake(
                "and, or or the end", " (quotes go around several words)" if several else ""
            )
        return test

    def _either(self) -> Test:
        tests = [self._all()]
        while self._took("or"):
            tests.append(self._all())
        return tests[0] if len(tests) == 1 else lambda lookup: any(t(lookup) for t in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self._took("and"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda lookup: all(t(lookup) for t in tests)

    def _one(self) -> Test:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ExpressionError(f"column {self._column}: more than {_DEEPEST} levels")
        try:
            if self._took("not"):
                test = self._one()
                return lambda lookup: not test(lookup)
            if self._took("("):
                test = self._either()
                if not self._took(")"):
                    raise self._mistake("and, or or )")
                return test
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Test:
        name = self._field()
        if self._took("missing"):
            return lambda lookup: not lookup(name)
        sign = next((sign for sign in _COMPARISONS if self._took(sign)), None)
        if sign is None:
            cure = f" (write: {name} missing)" if self._next()[1].lower() == "is" else ""
            raise self._mistake("=, !=, ~ or missing", cure)
        wanted = self._value(name)
        if sign == "~":
            return lambda lookup: any(wanted in _plain(value) for value in lookup(name))
        is_equal = sign == "="
        return lambda lookup: any(_plain(v) == wanted for v in lookup(name)) is is_equal

    def _field(self) -> str:
        kind, text, column = self._next()
        if kind != "word" or text.lower() in _JOINERS:
            raise self._mistake("a field")
        self._place += 1
        name = text.lower()
        if name not in NAMES:
            import difflib  # noqa: PLC0415  # only for mistakes

            meant = difflib.get_close_matches(name, NAMES, 1)
            cure = f"did you mean {meant[0]}?" if meant else f"there are {', '.join(NAMES)}"
            raise ExpressionError(f"column {column}: no such field: {text} ({cure})")
        return name

    def _value(self, name: str) -> str:
        kind, text, column = self._next()
        if kind not in ("word", "text"):
            raise self._mistake("a value", " (one = is enough)" if text == "=" else "")
        self._place += 1
        value = _plain(text[1:-1] if kind == "text" else text)
        if name == "suffix":
            value = value.removeprefix(".")
        if not value:
            raise ExpressionError(f"column {column}: the value is empty (write: {name} missing)")
        return value

    # -- tokens

    def _next(self) -> tuple[str, str, int]:
        return (*self._tokens, ("end", "", self._end))[self._place]

    @property
    def _column(self) -> int:
        return self._next()[2]

    def _took(self, what: str) -> bool:
        """Go past this word or sign if it comes next."""
        kind, text, _ = self._next()
        took = kind in ("word", "sign") and text.lower() == what
        self._place += took
        return took

    def _mistake(self, expected: str, cure: str = "") -> ExpressionError:
        kind, text, column = self._next()
        found = "the end" if kind == "end" else text
        return ExpressionError(f"column {column}: expected {expected}, not {found}{cure}")


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold().strip()
