"""Where settings come from: options over the environment over the file over the defaults."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from musictag.config.declared import SettingError, checked, declared, from_text, nearest
from musictag.config.settings import Settings
from musictag.errors import UsageError, system_trouble

PREFIX = "MUSICTAG_"
FILE = PREFIX + "CONFIG"
"""Environment variable that names another settings file."""


@dataclass(frozen=True)
class Effective:
    """The settings without options, and where each comes from."""

    path: Path
    """The settings file, whether or not there is one."""
    settings: Settings
    origins: Mapping[str, str]
    """Setting → its line in the file or its environment variable; defaults are not in it."""


def default_path() -> Path:
    """Where the user's settings file is, if there is one."""
    if named := os.environ.get(FILE):
        return Path(named).expanduser()
    import platformdirs  # noqa: PLC0415  # not needed for --help

    return platformdirs.user_config_path("musictag", appauthor=False) / "config.toml"


def load(path: Path | None = None) -> Settings:
    """The defaults with the settings file and the environment over them; the file need not exist
    unless MUSICTAG_CONFIG names it."""
    return effective(path).settings


def override(settings: Settings, options: Mapping[str, object]) -> Settings:
    """Settings with the command line's options over them; None means not given."""
    given = {name: value for name, value in options.items() if value is not None}

    def where(name: str, _: str | None = None) -> str:
        return "--" + name.replace("_", "-")

    return dataclasses.replace(settings, **_values(given, where, declared()))


def effective(path: Path | None = None) -> Effective:
    """What a command without options does, and why; UsageError names what is not understood."""
    must_exist = path is None and bool(os.environ.get(FILE))
    path = default_path() if path is None else path
    text = _text(path, must_exist=must_exist)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    if text:

        def place(name: str, key: str | None = None) -> str:
            return f"{path}:{_line_of(name, key, text)}"

        found = _values(_table(path, text), lambda n, key=None: f"{place(n, key)}: {n}", declared())
        if isinstance(found.get("whitelist"), str):  # a file beside this one
            found["whitelist"] = str(path.parent / found["whitelist"])
        values |= found
        origins |= {name: place(name) for name in found}
    for name, variable, value in _environment():
        values |= _values({name: value}, lambda *_, v=variable: v, declared())
        origins[name] = variable
    return Effective(path, dataclasses.replace(Settings(), **values), origins)


def _text(path: Path, *, must_exist: bool) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")  # editors on Windows write that mark
    except FileNotFoundError:
        if must_exist:
            raise UsageError(f"{FILE}: {path}: there is no such file") from None
        return ""
    except OSError as error:
        raise UsageError(f"{path}: {system_trouble(error).reason}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not a text file in UTF-8") from error


def _table(path: Path, text: str) -> Mapping[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415  # only those who have a settings file need its parser
    else:
        import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
    try:
        table: Mapping[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not valid TOML: {error}{_cure(text, str(error))}") from error
    return table


def _cure(text: str, error: str) -> str:
    """What to write instead, if the line in question gives a text without quotes."""
    number = re.search(r"^Invalid value \(at line ([0-9]+)", error)
    if number is None:
        return ""
    line = text.splitlines()[int(number[1]) - 1]
    found = re.fullmatch(r"\s*([A-Za-z_]+)\s*=\s*([^\s\"'\[{#\\][^\"#\\]*?)\s*(?:#.*)?", line)
    return "" if found is None else f'; a text needs quotes: {found[1]} = "{found[2]}"'


def _environment() -> Iterator[tuple[str, str, object]]:
    """Setting, variable and value. An empty variable counts as not set."""
    for variable, text in sorted(os.environ.items()):
        # Windows has no small letters here; elsewhere nobody means a setting by them
        if not variable.startswith(PREFIX) or variable == FILE or not text:
            continue
        name = variable.removeprefix(PREFIX).lower()
        known = declared()
        if name not in known:
            meant = nearest(name, known)
            cure = f"did you mean {PREFIX}{meant.upper()}?" if meant else "unset it"
            raise UsageError(f"{variable}: no such setting ({cure})")
        yield name, variable, from_text(name, text)


def _values(
    table: Mapping[str, Any], where: Callable[..., str], known: Mapping[str, Any]
) -> dict[str, Any]:
    """Checked values. `where` locates a name, or a key in its table, for an error message."""
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name not in known:
            meant = nearest(name, known)
            cure = f"did you mean {meant}?" if meant else f"there are {', '.join(known)}"
            raise UsageError(f"{where(name)}: no such setting ({cure})")
        try:
            values[name] = checked(name, value)
        except SettingError as mistake:
            raise UsageError(f"{where(name, mistake.key)}: {mistake}") from None
    return values


def _line_of(name: str, key: str | None, text: str) -> int:
    """Number of the line on which a setting begins, or a key in its table."""
    quoted = rf"""["']?{re.escape(name)}["']?\s*"""
    start = re.compile(rf"\s*({quoted}[.=]|\[\s*{quoted}[].])")
    lines = text.splitlines()
    first = next((n for n, line in enumerate(lines) if start.match(line)), 0)
    if key is not None and lines[first].lstrip().startswith("["):
        inner = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*=""")
        first = next((n for n, line in enumerate(lines) if n > first and inner.match(line)), first)
    return first + 1
