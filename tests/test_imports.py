"""Who may import whom, and what starting the program must not load."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from waits import WAIT_S

import musictag
from musictag import config, metadata, vocabulary

PACKAGE = Path(musictag.__file__).parent
MODULES = sorted(
    path.relative_to(PACKAGE).with_suffix("").as_posix()
    for path in PACKAGE.rglob("*.py")
    if "models" not in path.relative_to(PACKAGE).parts
)

HERE = Path(__file__).parent
SUPPORT = {path.stem: path for path in (HERE / "support").glob("*.py")}
BENCHMARKS = {path.stem for path in (HERE.parent / "benchmarks").glob("*.py")} - {"conftest"}

GROUND = {"errors", "vocabulary", "process", "disk", "formats"}
STAGES = {"files", "audio", "metadata", "stores", "hearing"}
DECIDING = {"decision", "config", "outcome", "selection", "template"}
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": {"tagger", "outcome"},  # lazily
    "__main__": {"cli"},
    "errors": set(),
    "vocabulary": {"errors"},
    "process": {"errors"},
    "disk": {"errors"},
    "formats": {"errors"},
    "outcome": {"errors", "vocabulary"},
    "files": {*GROUND, "outcome"},
    "audio": {*GROUND, "outcome"},
    "metadata": {*GROUND, "outcome"},
    "stores": {*GROUND, "outcome"},
    "hearing": {*GROUND, "outcome"},
    "words": {"errors", "vocabulary"},
    "selection": {"errors"},
    "template": set(),
    "decision": {"errors", "outcome", "vocabulary"},
    "config": {"errors", "outcome", "vocabulary", "words", "decision", "selection", "template"},
    "library": {*GROUND, "stores", "decision", "outcome", "words"},
    "scan": {*GROUND, *STAGES, *DECIDING},
    "watching": {*GROUND, "files", "outcome"},
    "cluster": {*GROUND, "audio", "hearing", "config"},
    "training": {*GROUND, "audio", "hearing", "decision"},
    "report": {"errors", "disk", "outcome", "vocabulary", "stores", "scan", "library"},
    "tagger": {*GROUND, *STAGES, *DECIDING, "scan"},
    "doctor": {*GROUND, *STAGES, *DECIDING},
    "cli": {
        *(*GROUND, *STAGES, *DECIDING),
        *("library", "scan", "watching", "cluster", "training", "report", "tagger", "doctor"),
    },
}
"""Room → the rooms it may import. A room is a module or a package at the top of `musictag`."""

DOORS = {
    "audioread": {"audio"},
    "av": {"audio"},
    "kymatio": {"hearing/scattering/kymatio"},
    "matplotlib": {"report/png"},
    "msgspec": {"config", "training"},
    "mutagen": {"metadata"},
    "pyarrow": {"report/export"},
    "ray": {"cluster/ray_library"},
    "psutil": {"cli/manners"},
    "platformdirs": {"stores", "config", "hearing/places", "training/magnatagatune"},
    "rich": {"report"},
    "safetensors": {"hearing/checkpoint", "hearing/own"},
    "scipy": {"hearing/kernels/portable", "training/own/head"},
    "soundfile": {"audio"},
    "soxr": {"audio"},
    "sqlite3": {"stores", "report/export"},
    "typer": {"cli"},
    "watchdog": {"watching/system"},
}
"""Foreign library → the rooms or modules that may import it."""

HEAVY = {
    *("audioread", "av", "kymatio", "librosa", "mutagen", "numpy", "safetensors", "scipy"),
    *("soundfile", "soxr", "torch"),
    # light, and still not needed to print a help text
    *("msgspec", "platformdirs", "psutil", "pyarrow", "ray", "rich", "sqlite3", "watchdog"),
}


def room(module: str) -> str:
    return module.partition("/")[0]


def imported(module: str) -> Iterator[str]:
    """Full names of everything a module imports, at its top or inside its functions."""
    return names_imported(PACKAGE / f"{module}.py", ["musictag", *Path(module).parts[:-1]])


def names_imported(path: Path, parents: Sequence[str] = ()) -> Iterator[str]:
    """The same of a file that lies in the package `parents`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) + 1 - node.level] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def rooms_imported(module: str) -> set[str]:
    """The other rooms that a module imports from."""
    names = {name.split(".")[1] for name in imported(module) if name.startswith("musictag.")}
    return {name for name in names if not name.startswith("__")} - {room(module)}  # __version__


def in_circles(imports: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The modules that import each other in a circle, or those that do."""
    left = {name: others - {name} for name, others in imports.items()}
    while free := {name for name, others in left.items() if not others & left.keys()}:
        left = {name: others for name, others in left.items() if name not in free}
    return left


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module: str) -> None:
    assert room(module) in MAY_IMPORT, f"say in this table what {module} may import"
    assert rooms_imported(module) <= MAY_IMPORT[room(module)]


def test_the_table_has_no_circle() -> None:
    assert in_circles(MAY_IMPORT) == {}


@pytest.mark.parametrize("path", sorted(HERE.rglob("*.py")), ids=lambda path: path.stem)
def test_benchmarks_may_import_what_tests_share_and_never_the_reverse(path: Path) -> None:
    tops = {name.split(".")[0] for name in names_imported(path)}
    assert not tops & BENCHMARKS
    if path.stem in SUPPORT:
        assert not {top for top in tops if top.startswith(("test_", "conftest"))}


def test_what_tests_share_has_no_circle() -> None:
    shared = {
        name: {top.split(".")[0] for top in names_imported(path)} & SUPPORT.keys()
        for name, path in SUPPORT.items()
    }
    assert in_circles(shared) == {}


@pytest.mark.parametrize("module", MODULES)
def test_foreign_libraries_have_one_door(module: str) -> None:
    for library in {name.split(".")[0] for name in imported(module)} & set(DOORS):
        assert {module, room(module)} & DOORS[library], f"{module} imports {library}"


@pytest.mark.parametrize(
    "start",
    [
        "import musictag.cli.program",
        "from musictag.cli.program import app; app(['--help'], standalone_mode=False)",
        "from musictag.cli.program import app; app(['scan', '--help'], standalone_mode=False)",
        "from musictag.cli.program import app; app(['undo', '--help'], standalone_mode=False)",
        "from musictag.cli.program import app; app(['history', '--help'], standalone_mode=False)",
        "from musictag.cli.program import app; app(['learn', '--help'], standalone_mode=False)",
        "from musictag.cli.program import app; app(['--version'], standalone_mode=False)",
    ],
)
def test_starting_the_program_loads_nothing_heavy(start: str) -> None:
    script = f"{start}\nimport sys\nprint(*sys.modules, file=sys.stderr)"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, timeout=WAIT_S
    )
    loaded = {name.split(".")[0] for name in result.stderr.decode().split()}
    assert "typer" in loaded
    assert loaded & HEAVY == set()


def test_stages_that_do_not_know_each_other_mean_the_same_fields() -> None:
    assert vocabulary.FIELDS == metadata.FIELDS
    assert config.HARDLINKS == metadata.HARDLINKS
