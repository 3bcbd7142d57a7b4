"""Who may import whom, and what starting the program must not load."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import musictag
from musictag import config, decision, metadata

PACKAGE = Path(musictag.__file__).parent
MODULES = sorted(
    path.relative_to(PACKAGE).as_posix().removesuffix(".py")
    for path in PACKAGE.rglob("*.py")
    if "models" not in path.parts
)

TRAINING = {
    name: {
        *("architecture", "audio", "checkpoint", "config", "decision", "ear", "ear_cpu", "errors"),
        *("files", "model", "plan", "scattering", "training"),
    }
    for name in MODULES
    if name.startswith("training/")
}
METADATA = {
    name: {"errors", "metadata", "replacement"} for name in MODULES if name.startswith("metadata/")
}
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    "__main__": {"cli"},
    "errors": set(),
    "memory": set(),
    "spawn": set(),
    "architecture": set(),
    # The stages do not know each other.
    "files": {"errors"},
    "audio": {"errors"},
    "decoder": {"audio", "errors", "memory", "spawn"},  # the same stage, in a process of its own
    "plan": set(),
    "mkl": set(),
    "scattering": {"plan"},
    "scattering_cpu": {"mkl", "plan"},
    "model": {"architecture"},
    "network_cpu": {"architecture", "mkl"},
    "decision": {"errors"},
    "replacement": set(),
    "database": set(),
    "cache": {"database"},
    "journal": {"database", "errors"},
    # These join them.
    "ear": {"errors", "memory"},
    "ear_cpu": {"config", "errors", "mkl"},
    "checkpoint": {
        *("architecture", "ear", "ear_cpu", "errors", "mkl", "model", "network_cpu", "plan"),
        *("scattering", "scattering_cpu"),
    },
    "config": {"decision", "errors"},
    "writing": {"errors", "journal", "metadata"},
    "hearing": {"audio", "cache", "decoder", "ear", "ear_cpu", "errors"},
    "pipeline": {
        *("audio", "cache", "checkpoint", "config", "decision", "decoder", "ear", "ear_cpu"),
        *("errors", "hearing", "journal", "memory", "metadata", "writing"),
    },
    "taggram": {
        *("audio", "checkpoint", "config", "decision", "decoder", "ear", "errors", "pipeline"),
    },
    "cluster": {"checkpoint", "config", "decoder", "ear", "ear_cpu", "errors"},
    "undo": {
        *("cache", "config", "decision", "decoder", "errors", "journal", "metadata", "pipeline"),
        "writing",
    },
    "report": {"decision", "errors", "journal", "pipeline", "taggram"},
    "cli": {
        *("cache", "checkpoint", "cluster", "config", "decision", "ear", "errors", "files"),
        *("hearing", "journal", "pipeline", "report", "spawn", "taggram", "training", "undo"),
        "writing",
    },
    **METADATA,
    **TRAINING,
}

DOORS = {
    "audioread": {"audio"},
    "av": {"audio"},
    "kymatio": {"plan"},
    "mutagen": {"metadata"},
    "ray": {"cluster"},
    "platformdirs": {"cache", "config", "journal", "training/magnatagatune"},
    "rich": {"report"},
    "safetensors": {"checkpoint"},
    "soundfile": {"audio"},
    "soxr": {"audio"},
    "sqlite3": {"cache", "database", "journal"},
    "typer": {"cli"},
}
"""Foreign library → the modules that may import it."""

HEAVY = {
    *("audioread", "av", "kymatio", "librosa", "mutagen", "numpy", "safetensors", "scipy"),
    *("soundfile", "soxr", "torch"),
    # light, and still not needed to print a help text
    *("platformdirs", "ray", "rich", "sqlite3"),
}


def imported(module: str) -> Iterator[str]:
    """Full names of everything a module imports, at its top or inside its functions."""
    path = PACKAGE / f"{module}.py"
    parents = ["musictag", *Path(module).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) + 1 - node.level] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def ours(module: str) -> set[str]:
    """First names of our modules that a module imports."""
    names = {name.split(".")[1] for name in imported(module) if name.startswith("musictag.")}
    return {name for name in names if not name.startswith("__")}  # __version__


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module: str) -> None:
    assert module in MAY_IMPORT, f"say in this table what {module} may import"
    assert ours(module) <= MAY_IMPORT[module]


def test_the_tables_name_no_module_that_is_gone() -> None:
    named = set(MAY_IMPORT).union(*MAY_IMPORT.values(), *DOORS.values())
    assert named - {"metadata", "training"} <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_foreign_libraries_have_one_door(module: str) -> None:
    for library in {name.split(".")[0] for name in imported(module)} & set(DOORS):
        assert {module, module.partition("/")[0]} & DOORS[library], f"{module} imports {library}"


@pytest.mark.parametrize(
    "start",
    [
        "import musictag.cli",
        "from musictag.cli import app; app(['--help'], standalone_mode=False)",
        "from musictag.cli import app; app(['scan', '--help'], standalone_mode=False)",
        "from musictag.cli import app; app(['undo', '--help'], standalone_mode=False)",
        "from musictag.cli import app; app(['history', '--help'], standalone_mode=False)",
        "from musictag.cli import app; app(['--version'], standalone_mode=False)",
    ],
)
def test_starting_the_program_loads_nothing_heavy(start: str) -> None:
    script = f"{start}\nimport sys\nprint(*sys.modules, file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    loaded = {name.split(".")[0] for name in result.stderr.decode().split()}
    assert "typer" in loaded
    assert loaded & HEAVY == set()


def test_stages_that_do_not_know_each_other_mean_the_same_fields() -> None:
    assert tuple(decision.FIELD_TAGS) == metadata.FIELDS
    assert config.HARDLINKS == metadata.HARDLINKS
