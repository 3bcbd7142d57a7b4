"""Where models are, by name: those that come with musictag, and the user's own."""

from __future__ import annotations

from pathlib import Path

CONFIG = "config.json"
"""The file that makes a directory a model."""


def bundled() -> list[Path]:
    """Directories of bundled models: in an installed package, beside the package in a checkout."""
    package = Path(__file__).parents[1]
    return [package / "models", package.parent / "models"]


def own() -> Path:
    """The directory of the user's own models, which need not exist."""
    import platformdirs  # noqa: PLC0415  # not needed for bundled models

    return platformdirs.user_data_path("musictag", appauthor=False) / "models"


def names_in(parent: Path) -> list[str]:
    """Names of the models in a directory, in alphabetical order."""
    try:
        return sorted(
            entry.name
            for entry in parent.iterdir()
            if not entry.name.startswith(".") and (entry / CONFIG).is_file()
        )
    except OSError:
        return []


def of_name(name: str) -> Path | None:
    """The model of this name; None if there is none. A bundled one goes before one's own."""
    for parent in bundled():
        if name in names_in(parent):
            return parent / name
    parent = own()
    return parent / name if name in names_in(parent) else None
