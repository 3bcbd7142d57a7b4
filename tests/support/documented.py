"""The musictag commands that the documents show."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands_of(path: Path) -> list[str]:
    """The musictag commands in the shell blocks of a document, each once."""
    blocks = re.findall(
        r"^```(?:sh|console)\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    lines = [line.removeprefix("$ ") for b in blocks for line in b.replace("\\\n", " ").split("\n")]
    parts = [part.strip() for line in lines for part in re.split(r"&&|\|(?=\s|$)", line)]
    return sorted({part for part in parts if part.startswith("musictag ")})


COMMANDS = [(path.name, command) for path in DOCS for command in commands_of(path)]
