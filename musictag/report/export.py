"""Rows of a table → CSV, JSON lines, Parquet and SQLite, one after another: memory stays flat."""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from musictag.errors import UsageError
from musictag.report.records import guarded, plain_csv_line

FORMS = ("csv", "jsonl", "parquet", "sqlite")

_AT_ONCE = 1000
"""Rows that are written together."""

Rows = Iterable[Sequence[Any]]


def check(form: str) -> None:
    """UsageError if a library that writes this format is missing."""
    if form == "parquet":
        _arrow()


def write(form: str, path: Path, columns: Mapping[str, str], rows: Rows) -> int:
    """Write the rows and return their number; a `columns` entry is a name and its kind (see
    `library.export.columns`)."""
    written = 0

    def counted() -> Iterator[Sequence[Any]]:
        nonlocal written
        for cells in rows:
            yield cells
            written += 1

    _WRITERS[form](path, columns, counted())
    return written


def _csv(path: Path, columns: Mapping[str, str], rows: Rows) -> None:
    """Values of a list are joined by "; ", a vector has a column for each number."""
    heading: list[str] = []
    for name, kind in columns.items():
        n = int(kind) if kind.isdecimal() else 0
        heading += [f"{name}_{k}" for k in range(n)] or [name]
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(plain_csv_line(map(guarded, heading)) + "\r\n")
        for cells in rows:
            line: list[str] = []
            for cell, kind in zip(cells, columns.values(), strict=True):
                if kind.isdecimal():
                    line += [""] * int(kind) if cell is None else map("{:g}".format, cell)
                elif kind == "number":
                    line.append(f"{cell:g}")
                else:
                    line.append(guarded(cell if kind == "text" else "; ".join(cell)))
            file.write(plain_csv_line(line) + "\r\n")


def _jsonl(path: Path, columns: Mapping[str, str], rows: Rows) -> None:
    """In ASCII, one object per line; values and tags are objects of their own."""
    with path.open("w", encoding="ascii", newline="\n") as file:
        for cells in rows:
            record: dict[str, Any] = {}
            for name, cell in zip(columns, cells, strict=True):
                group, _, member = name.partition("_")
                if group in ("value", "tag"):
                    record.setdefault(f"{group}s", {})[member] = cell
                else:
                    record[name] = cell
            file.write(json.dumps(record) + "\n")


def _parquet(path: Path, columns: Mapping[str, str], rows: Rows) -> None:
    arrow, parquet = _arrow()

    def kind(name: str) -> Any:
        if name.isdecimal():
            return arrow.list_(arrow.float32(), int(name))
        return {
            "text": arrow.string(),
            "number": arrow.float32(),
            "list": arrow.list_(arrow.string()),
        }[name]

    schema = arrow.schema([(name, kind(of)) for name, of in columns.items()])
    rows = iter(rows)
    with parquet.ParquetWriter(path, schema, compression="zstd") as file:
        while block := list(islice(rows, _AT_ONCE)):
            arrays = [
                arrow.array([_utf8(cell) for cell in column], type=field.type)
                for column, field in zip(zip(*block, strict=True), schema, strict=True)
            ]
            file.write_table(arrow.Table.from_arrays(arrays, schema=schema))


def _sqlite(path: Path, columns: Mapping[str, str], rows: Rows) -> None:
    """One table, `tracks`. Values of a list are joined by "; ", vectors are float32 in
    little-endian blobs."""
    import sqlite3  # noqa: PLC0415

    kinds = {"text": "TEXT", "number": "REAL", "list": "TEXT"}
    # names come from a model, which may be a stranger's; SQLite compares them without letter case
    names = _distinct(name.replace('"', '""') for name in columns)
    declared = ", ".join(
        f'"{name}" {kinds.get(kind, "BLOB")}'
        for name, kind in zip(names, columns.values(), strict=True)
    )
    marks = ", ".join("?" * len(columns))
    rows = iter(rows)
    path.unlink(missing_ok=True)  # a killed run's
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = OFF")  # the file is no one's until it is whole
        database.execute("PRAGMA synchronous = OFF")
        try:
            database.execute(f"CREATE TABLE tracks ({declared})")
        except sqlite3.OperationalError as error:
            raise UsageError(f"sqlite: {error}: choose parquet or jsonl") from error
        while block := list(islice(rows, _AT_ONCE)):
            cells = ([_for_sqlite(cell) for cell in row] for row in block)
            with database:
                database.executemany(f"INSERT INTO tracks VALUES ({marks})", cells)


def _distinct(names: Iterable[str]) -> list[str]:
    """Names of which none is another's in other letters: the second gets an underscore."""
    seen: set[str] = set()
    found = []
    for given in names:
        name = given
        while name.lower() in seen:
            name += "_"
        seen.add(name.lower())
        found.append(name)
    return found


def _for_sqlite(cell: Any) -> Any:
    if isinstance(cell, tuple):
        return _utf8("; ".join(cell))
    return struct.pack(f"<{len(cell)}f", *cell) if isinstance(cell, list) else _utf8(cell)


def _utf8(cell: Any) -> Any:
    """A text without bytes that are not UTF-8, which these formats cannot hold: \\xe9 stands for
    one."""
    if isinstance(cell, tuple):
        return [_utf8(text) for text in cell]
    if not isinstance(cell, str):
        return cell
    return cell.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow  # noqa: PLC0415  # an extra
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(
            "parquet is written by pyarrow, which is not installed: "
            'pip install "musictag[parquet]", or choose csv, jsonl or sqlite'
        ) from error
    return pyarrow, pyarrow.parquet


_WRITERS: Mapping[str, Callable[[Path, Mapping[str, str], Rows], None]] = {
    "csv": _csv,
    "jsonl": _jsonl,
    "parquet": _parquet,
    "sqlite": _sqlite,
}
