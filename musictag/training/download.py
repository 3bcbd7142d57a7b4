"""Download a URL to a file, however often the connection breaks.

An incomplete download is kept beside the file (`partial`), and the next
attempt, or the next run, asks for the rest.
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
"""Attempts in a row without new bytes before giving up."""
WAIT_S = 1.0
"""Seconds before the second attempt; doubled before each further one."""
TIMEOUT_S = 60.0
"""Seconds without an answer after which a connection counts as broken."""
_BLOCK = 2**20


def partial(path: Path) -> Path:
    """Where a file is kept until it is complete."""
    return path.with_name(f".{path.name}.part")


def fetch(url: str, path: Path, *, tell: Callable[[int, int | None], None]) -> None:
    """Download to `path`, which exists once it is complete and not before.

    `tell` is called with the bytes downloaded and their total (None: the server
    does not say, and a broken connection then looks like the end). Raises
    DataSetError when the server refuses, or after ATTEMPTS attempts in a row
    without new bytes.
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
    """The size of the file in bytes; None if the server does not say. Raises as `fetch` does."""
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
    """Append what is missing until the connection ends; returns the total length if known."""
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
        kept.unlink()  # it seems to be of another file
        return _go_on(url, kept, tell)
    with opened as response:
        place = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers["Content-Range"] or "")
        goes_on = response.status == http.client.PARTIAL_CONTENT and place and done == int(place[1])
        if goes_on and place:
            total = _number(place[2])
        else:  # this server cannot continue a download
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
    """Raise if the server refuses for good; a busy one may answer a second later."""
    if isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code != 429:
        raise DataSetError(f"{url}: the server says {error.code} {error.reason}") from error


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return f"cannot be downloaded, is there a network? ({cause})"


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
