"""A URL → a file, however often the connection breaks on the way.

What has come is kept beside the file (`partial`), and the next try, or the next
run, asks for the rest of it.
"""

from __future__ import annotations

import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from musictag import __version__
from musictag.errors import DataSetError

ATTEMPTS = 4
"""Tries in a row that bring nothing new before we give up."""
WAIT_S = 1.0
"""Before the second try; doubled before each further one."""
TIMEOUT_S = 60.0
_BLOCK = 2**20


def partial(path: Path) -> Path:
    """Where a file is while it is not whole."""
    return path.with_name(f".{path.name}.part")


def fetch(url: str, path: Path, *, tell: Callable[[int, int | None], None]) -> None:
    """Download to `path`, which is there when it is whole and not before.

    `tell` hears how many bytes there are, of how many (None: the server does
    not say, and then a cut connection looks like the end). DataSetError when
    the server refuses, or when ATTEMPTS tries in a row bring nothing new.
    """
    kept = partial(path)
    failures = 0
    while True:
        before = _length(kept)
        try:
            total = _go_on(url, kept, tell)
            if total is None or _length(kept) == total:
                break
            reason = f"the connection ended at {_length(kept):,} of {total:,} bytes"
        except (OSError, http.client.HTTPException) as error:
            _check_refusal(url, error)
            reason = _reason(error)
        failures = 0 if _length(kept) > before else failures + 1
        if failures == ATTEMPTS:
            raise DataSetError(f"{url}: {reason}")
        time.sleep(WAIT_S * 2 ** max(0, failures - 1))
    with kept.open("rb+") as file:
        os.fsync(file.fileno())
    kept.replace(path)


def size(url: str) -> int | None:
    """How long the file is, None where the server does not say; DataSetError as from `fetch`."""
    for failures in range(1, ATTEMPTS + 1):
        try:
            with _opened(url, method="HEAD") as response:
                return _number(response.headers["Content-Length"])
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code in (405, 501):
                return None
            _check_refusal(url, error)
            if failures == ATTEMPTS:
                raise DataSetError(f"{url}: {_reason(error)}") from error
        time.sleep(WAIT_S * 2 ** (failures - 1))
    raise AssertionError("unreachable")


def _go_on(url: str, kept: Path, tell: Callable[[int, int | None], None]) -> int | None:
    """Append what is missing, until the connection ends; the file's whole length if known."""
    done = _length(kept)
    headers = {"Range": f"bytes={done}-"} if done else {}
    try:
        opened = _opened(url, **headers)
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        total = _number((error.headers["Content-Range"] or "").rpartition("/")[2])
        if total == done:
            return total
        kept.unlink()  # of another file, as it seems
        return _go_on(url, kept, tell)
    with opened as response:
        place = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers["Content-Range"] or "")
        goes_on = response.status == http.client.PARTIAL_CONTENT and place and done == int(place[1])
        if goes_on and place:
            total = _number(place[2])
        else:  # this server only tells it from the beginning
            done, total = 0, _number(response.headers["Content-Length"])
        with kept.open("ab" if done else "wb") as file:
            while block := response.read(_BLOCK):
                file.write(block)
                done += len(block)
                tell(done, total)
    return total


def _opened(url: str, *, method: str = "GET", **headers: str) -> Any:
    request = urllib.request.Request(
        url, headers={"User-Agent": f"musictag/{__version__}", **headers}, method=method
    )
    return urllib.request.urlopen(request, timeout=TIMEOUT_S)


def _check_refusal(url: str, error: Exception) -> None:
    """A server that has answered no will not answer yes a second later; a busy one may."""
    if isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code != 429:
        raise DataSetError(f"{url}: the server says {error.code} {error.reason}") from error


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return f"cannot be downloaded, is there a network? ({cause})"


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
