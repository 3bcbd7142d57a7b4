"""`musictag export`: the same numbers in every format, and nothing half-written."""

from __future__ import annotations

import csv
import json
import os
import re
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learned import own_model
from program import Run

from musictag.errors import UsageError
from musictag.hearing import checkpoint
from musictag.report import export
from musictag.scan import pipeline


@pytest.fixture(autouse=True)
def nothing_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "scan", None)


def read_csv(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    for row in rows:
        for part in ("mean", "spread"):
            row[part] = [float(v) for k, v in row.items() if k.startswith(f"{part}_")]
    return rows


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        row |= {f"value_{name}": p for name, p in row["values"].items()}
        row |= {f"tag_{name}": p for name, p in row["tags"].items()}
        row["genre_chosen"] = "; ".join(row["genre_chosen"])
    return rows


def read_parquet(path: Path) -> list[dict[str, Any]]:
    parquet = pytest.importorskip("pyarrow.parquet")
    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    for row in rows:
        row["genre_chosen"] = "; ".join(row["genre_chosen"])
    return rows


def read_sqlite(path: Path) -> list[dict[str, Any]]:
    database = sqlite3.connect(path)
    database.row_factory = sqlite3.Row
    rows = [dict(row) for row in database.execute("SELECT * FROM tracks")]
    database.close()
    for row in rows:
        for part in ("mean", "spread"):
            row[part] = np.frombuffer(row[part], "<f4").tolist()
    return rows


READERS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    "csv": read_csv,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
    "sqlite": read_sqlite,
}


@pytest.mark.parametrize("form", READERS)
def test_every_format_has_what_a_scan_says(
    musictag: Run, heard_library: Path, tmp_path: Path, tiny: Path, form: str
) -> None:
    output = tmp_path / f"all.{form}"
    if form == "parquet":
        pytest.importorskip("pyarrow")
    result = musictag("export", "--embeddings", "-o", output)
    assert (result.code, result.stdout) == (0, ""), result.stderr
    assert f"{output}: 3 tracks" in result.stderr
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [output.name]
    rows = READERS[form](output)
    paths = sorted(os.fspath(path) for path in heard_library.rglob("*") if path.is_file())
    assert [row["path"] for row in rows] == paths
    model = checkpoint.read(tiny)
    for row in rows:
        assert row["genre_chosen"] == "Rock"
        assert row["model"] == "tiny"
        assert float(row["duration"]) > 1
        for value in model.vocabulary.values:
            likeliest = max(float(row[f"tag_{tag}"]) for tag in value.tags)
            assert float(row[f"value_{value.name}"]) == pytest.approx(likeliest, abs=1e-5)
        assert len(row["mean"]) == len(row["spread"]) == model.sizes().n_summary
        assert min(row["spread"]) >= 0
        assert len(set(row["mean"])) > 1


ODD_ROWS = [
    [os.fsdecode(b"/m/caf\xe9.mp3"), 1.5, ("=2+3", "b\n"), [0.5, -1.0]],
    ["/m/♫.mp3", 2.0, (), None],
]
ODD_COLUMNS = {"path": "text", "duration": "number", "Title": "list", "mean": "2"}


def test_odd_names_and_values_survive_in_csv_and_jsonl(tmp_path: Path) -> None:
    for form in ("csv", "jsonl"):
        assert export.write(form, tmp_path / form, ODD_COLUMNS, ODD_ROWS) == 2
    with (tmp_path / "csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["path", "duration", "Title", "mean_0", "mean_1"]
    assert rows[1] == [os.fsdecode(b"/m/caf\xe9.mp3"), "1.5", "'=2+3; b\n", "0.5", "-1"]
    assert rows[2] == ["/m/♫.mp3", "2", "", "", ""]
    records = [json.loads(line) for line in (tmp_path / "jsonl").read_text("ascii").splitlines()]
    assert records[0]["path"] == os.fsdecode(b"/m/caf\xe9.mp3")
    assert records[0]["Title"] == ["=2+3", "b\n"]
    assert records[1]["mean"] is None


def test_bytes_that_are_no_text_become_escapes_in_parquet_and_sqlite(tmp_path: Path) -> None:
    export.write("sqlite", tmp_path / "sqlite", ODD_COLUMNS, ODD_ROWS)
    database = sqlite3.connect(tmp_path / "sqlite")
    assert database.execute("SELECT path, Title FROM tracks").fetchall() == [
        ("/m/caf\\xe9.mp3", "=2+3; b\n"),
        ("/m/♫.mp3", ""),
    ]
    database.close()
    parquet = pytest.importorskip("pyarrow.parquet")
    export.write("parquet", tmp_path / "parquet", ODD_COLUMNS, ODD_ROWS)
    first, second = parquet.read_table(tmp_path / "parquet").to_pylist()
    assert first["path"] == "/m/caf\\xe9.mp3"
    assert first["Title"] == ["=2+3", "b\n"]
    assert second["mean"] is None


def test_a_stranger_s_words_make_no_sql_and_names_may_differ_by_case(tmp_path: Path) -> None:
    columns = {'a" TEXT); DROP TABLE tracks; --': "number", "tag_a": "number", "tag_A": "number"}
    export.write("sqlite", tmp_path / "t", columns, [[1, 2, 3]])
    database = sqlite3.connect(tmp_path / "t")
    (row,) = database.execute("SELECT * FROM tracks").fetchall()
    database.close()
    assert row == (1, 2, 3)


def test_rows_are_written_as_they_come(tmp_path: Path) -> None:
    """Of half a million tracks only some stand in memory."""
    for form in ("csv", "jsonl", "sqlite", "parquet"):
        if form == "parquet":
            pytest.importorskip("pyarrow")
        alive = [0, 0]

        class Text(str):
            __slots__ = ()

            def __new__(cls, text: str, alive: list[int] = alive) -> Text:
                alive[0] += 1
                alive[1] = max(alive)
                return super().__new__(cls, text)

            def __del__(self, alive: list[int] = alive) -> None:
                alive[0] -= 1

        rows = ([Text(f"/m/{n}.mp3")] for n in range(5000))
        assert export.write(form, tmp_path / form, {"path": "text"}, rows) == 5000
        assert alive[1] <= 2001, form


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "all.xlsx"], "all.xlsx: its name does not say the format"),
        (["-o", "all.csv", "--format", "xml"], "--format xml: expected one of csv, jsonl"),
        (["-o", "song.mp3", "--format", "csv"], "song.mp3: a music file has such a name"),
        (["-o", "there.csv"], "there.csv: it exists already: --force replaces it"),
        (["-o", "new.csv", "gone"], "gone: no such file or folder"),
        (["-o", "new.csv", "empty"], "nothing is remembered here"),
    ],
)
def test_what_makes_no_sense_is_said_and_nothing_written(
    musictag: Run,
    heard_library: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "there.csv").write_text("mine")
    before = sorted(tmp_path.iterdir())
    result = musictag("export", *arguments)
    assert (result.code, result.stdout) == (2, "")
    assert message in result.stderr
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.csv").read_text() == "mine"


def test_parquet_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r'pip install "musictag\[parquet\]"'):
        export.check("parquet")


def test_what_a_model_of_one_s_own_says_is_exported(
    musictag: Run, heard_library: Path, tmp_path: Path, tiny: Path
) -> None:
    mine = own_model(tmp_path / "mine", tiny).directory
    output = tmp_path / "mine.jsonl"
    folder = heard_library / "Bach"
    assert musictag("export", folder, "--model", mine, "-o", output).code == 0
    (row,) = read_jsonl(output)
    assert row["value_Schlager"] == pytest.approx(0.9, abs=1e-5)
    assert row["genre_chosen"] == "Schlager"
    assert "mean" not in row


def test_the_recipes_of_the_documents_run(
    musictag: Run, heard_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    pandas, duckdb = pytest.importorskip("pandas"), pytest.importorskip("duckdb")
    assert pandas is not None
    monkeypatch.chdir(tmp_path)
    assert musictag("export", "--embeddings", "-o", "jazz.parquet").code == 0
    text = (Path(__file__).parents[2] / "docs" / "library.md").read_text(encoding="utf-8")
    (python,) = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    # of the bundled model's words, those that the tests' model has
    names: dict[str, Any] = {}
    exec(python.replace("value_Quiet", "value_Slow"), names)
    assert len(names["vectors"]) == 3
    (sql,) = re.findall(r"^```sql\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert duckdb.sql(sql.replace("value_Electronic", "value_Rock")).fetchall() == []
