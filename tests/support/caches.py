"""What a cache is given to remember."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from musictag.stores import summary
from musictag.stores.stored import StoredFields, StoredHearing

HEARD = StoredHearing(240.5, (0.25, 0.5, 1.0))
SUMMARY = summary.pack(np.array([0.5, -0.25]), np.array([0.125, 0.0]))
TAGS = StoredFields(
    {"GENRE": ("Rock", "été"), "MOOD": ()}, about={"ALBUM": ("Ä",), "ARTIST": ("a", "b")}
)


def a_file(directory: Path, name: str = "a.mp3", content: bytes = b"music") -> Path:
    path = directory / name
    path.write_bytes(content)
    return path
