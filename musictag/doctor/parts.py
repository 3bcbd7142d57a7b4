"""What is looked at, one function each. They change nothing."""

from __future__ import annotations

import locale
import os
import platform
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from musictag import process
from musictag.doctor.finding import REINSTALL, Finding


def python() -> list[Finding]:
    version = platform.python_version()
    details = {"python": version, "executable": sys.executable, "platform": platform.platform()}
    if not (3, 10) <= sys.version_info[:2] < (3, 14):
        cure = "use Python 3.10 to 3.13"
        return [Finding("Python", f"{version} is not supported", "bad", cure, details)]
    return [Finding("Python", f"{version}, {platform.platform()}", details=details)]


def machine() -> list[Finding]:
    from musictag.hearing.devices import find_device  # noqa: PLC0415

    device, n_cores = find_device("auto"), process.n_cores()
    details: dict[str, object] = {"device": device, "cores": n_cores}
    text = f"{device}, {n_cores} {'core' if n_cores == 1 else 'cores'}"
    if (free := _free_bytes()) is not None:
        details["free_memory"] = free
        text += f", {free / 1e9:.1f} GB of memory free"
        if free < 1e9:
            cure = "close other programs; --jobs 1 --batch-size 1 needs least"
            return [Finding("machine", text, "slow", cure, details)]
    return [Finding("machine", text, details=details)]


def _free_bytes() -> int | None:
    """Memory that programs can have, in bytes, where Linux says it."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return int(lines["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in lines else None


def decoders() -> list[Finding]:
    from musictag.audio import installed  # noqa: PLC0415

    names = dict(installed.decoders())
    opened, closed = installed.covered()
    found = [Finding("decoders", "; ".join(map(" ".join, names.items())), details=names)]
    text = f"{' '.join(opened)} can be heard" + (f", not {' '.join(closed)}" if closed else "")
    details = {"heard": opened, "not_heard": closed}
    if not {".mp3", ".flac", ".m4a", ".ogg"} <= set(opened):
        cure = "install PyAV anew: python -m pip install --force-reinstall av"
        return [*found, Finding("extensions", text, "bad", cure, details)]
    return [*found, Finding("extensions", text, details=details)]


def model() -> list[Finding]:
    from musictag import config  # noqa: PLC0415
    from musictag.errors import CheckpointError, UsageError  # noqa: PLC0415
    from musictag.hearing import checkpoint  # noqa: PLC0415

    try:
        wanted = config.load().model
    except UsageError:  # it is said of the settings
        wanted = None
    cure = REINSTALL if wanted is None else "name another model in the settings, or add it anew"
    try:
        found = checkpoint.find(wanted)
        found.weights()
    except CheckpointError as error:
        return [Finding("model", str(error), "bad", cure)]
    details = {"name": found.name, "path": os.fspath(found.directory), "digest": found.digest}
    text = f"{found.name}, {len(found.tags)} tags, checksum right, {found.directory}"
    return [Finding("model", text, details=details)]


def settings() -> list[Finding]:
    from musictag import config  # noqa: PLC0415
    from musictag.errors import UsageError  # noqa: PLC0415

    path = config.default_path()
    try:
        found = config.effective()
    except UsageError as error:
        cure = "correct it; musictag config show prints what holds"
        return [Finding("settings", str(error), "bad", cure, {"path": os.fspath(path)})]
    details = {"path": os.fspath(path), "set": dict(found.origins)}
    text = f"{len(found.origins)} set, {path}{'' if path.exists() else ' (no such file)'}"
    return [Finding("settings", text, details=details)]


def cache() -> list[Finding]:
    from musictag.stores import cache as caches  # noqa: PLC0415
    from musictag.stores.inspected import inspected  # noqa: PLC0415

    path = caches.default_path()
    return [
        _store(
            "cache",
            path,
            inspected(path, caches.SCHEMA, "content"),
            "files",
            f"delete {path}: the next scan begins a new one, and hears everything again",
        )
    ]


def journal() -> list[Finding]:
    from musictag.stores import journal as journals  # noqa: PLC0415
    from musictag.stores.inspected import inspected  # noqa: PLC0415

    path = journals.default_path()
    return [
        _store(
            "journal",
            path,
            inspected(path, journals.SCHEMA, "run"),
            "runs",
            f"bring {path} back from a backup, or move it away; "
            "without it earlier runs cannot be undone",
        )
    ]


def _store(name: str, path: Path, state: object, what: str, cure: str) -> Finding:
    from musictag.stores.inspected import State  # noqa: PLC0415

    assert isinstance(state, State)
    place = _nearest(path)
    writable = os.access(place, os.W_OK) and (place.is_dir() or place == path)
    details = {"path": os.fspath(path), "state": state.kind, "bytes": state.n_bytes}
    details |= {"rows": state.n_rows, "writable": writable}
    if state.kind == "newer":
        return Finding(name, f"{path}: {state.reason}", "bad", "update musictag", details)
    if state.kind in ("damaged", "unreadable"):
        return Finding(name, f"{path}: {state.reason}", "bad", cure, details)
    if not writable:
        text = f"{path}: cannot be written"
        return Finding(name, text, "bad", f"make {place} writable, and a folder", details)
    if state.kind == "absent":
        return Finding(name, f"none yet, {path}", details=details)
    rows = "" if state.n_rows is None else f"{state.n_rows:,} {what}, "
    whole = "whole" if state.kind == "whole" else "no damage found in half a second"
    size = state.n_bytes / 1e6
    text = f"{rows}{size:.1f} MB" if size >= 1 else f"{rows}{1000 * size:.0f} kB"
    return Finding(name, f"{text}, {whole}, {path}", details=details)


def _nearest(path: Path) -> Path:
    """The path, or what there is of it."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def names() -> list[Finding]:
    encoding = sys.getfilesystemencoding()
    details = {"file_names": encoding, "locale": locale.setlocale(locale.LC_CTYPE)}
    text = f"{encoding}, locale {details['locale']}"
    if encoding.lower() not in ("utf-8", "utf8"):
        cure = "set LANG=C.UTF-8 (or PYTHONUTF8=1), so that names are shown as they are"
        return [Finding("file names", text, "slow", cure, details)]
    return [Finding("file names", text, details=details)]


def hearing() -> list[Finding]:
    from musictag.doctor import hearing as test  # noqa: PLC0415

    return test.heard()


PARTS: dict[str, Callable[[], Iterable[Finding]]] = {
    "Python": python,
    "machine": machine,
    "decoders": decoders,
    "model": model,
    "settings": settings,
    "cache": cache,
    "journal": journal,
    "file names": names,
    "self-test": hearing,
}


def look(name: str) -> list[Finding]:
    """Look at one of PARTS. Whatever goes wrong is a finding: a broken library may raise anything,
    and the other parts are still worth a look."""
    try:
        return list(PARTS[name]())
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, ImportError):
            said = f"a library is missing or broken: {said}"
        return [Finding(name, said, "bad", REINSTALL, {"error": type(error).__name__})]
