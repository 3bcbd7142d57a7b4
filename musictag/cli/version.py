"""`musictag --version --json`: what is installed."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from typing import Any

from musictag import __version__

LIBRARIES = (
    *("audioread", "av", "kymatio", "msgspec", "mutagen", "numpy", "platformdirs", "rich"),
    *("safetensors", "scipy", "soundfile", "soxr", "torch", "typer"),
)
"""The libraries that musictag needs."""


def as_json() -> str:
    """Program, Python, libraries and the bundled model, as one JSON object."""
    return json.dumps(installed())


def installed() -> dict[str, Any]:
    """The same; CheckpointError if the bundled model cannot be read."""
    from musictag.hearing import checkpoint  # noqa: PLC0415

    model = checkpoint.find()
    return {
        "musictag": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: version_of(name) for name in LIBRARIES},
        "model": {"name": model.name, "digest": model.digest},
    }


def version_of(library: str) -> str | None:
    """The version of an installed library; None if it is missing."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None
