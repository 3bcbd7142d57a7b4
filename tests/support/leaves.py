"""The program's commands."""

from __future__ import annotations

from typing import Any

from musictag.cli.commands import Lazily


def leaves() -> dict[str, Any]:
    """Every command by its whole name, those in groups too."""
    found = {}
    for name, command in Lazily().items():
        inner = getattr(command, "commands", None)
        found |= {name: command} if inner is None else {f"{name} {n}": c for n, c in inner.items()}
    return found


LEAVES = leaves()
"""Every command by its whole name, those in groups too, and earlier names."""
