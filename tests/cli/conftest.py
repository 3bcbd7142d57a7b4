"""A library for the commands to work on."""

from __future__ import annotations

from pathlib import Path

import pytest
import sounds


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Three tracks in two folders."""
    root = tmp_path / "Music"
    for number, name in enumerate(("Abba/1.flac", "Abba/2.mp3", "Bach/1.ogg")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        sounds.make(
            root / Path(name).parent, Path(name).suffix[1:], name=Path(name).name, seed=number
        )
    return root
