"""What a shell may complete: models, fields, policies, devices and other words.

Typer calls these functions with what has been typed of the word. They load nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from musictag.report import FORMATS

Completer = Callable[[str], list[str]]


def one_of(*words: str) -> Completer:
    """Complete one of these words."""
    return lambda incomplete: [word for word in words if word.startswith(incomplete)]


devices = one_of("auto", "cpu", "cuda", "mps")
forms = one_of(*FORMATS)
hardlinks = one_of("refuse", "replace", "in-place")
sure = one_of("careful", "balanced", "bold")
parents = one_of("add", "only", "none")
splits = one_of("train", "validation", "test")
levels = one_of("segment", "track")
field = one_of("genre", "mood", "instrument", "vocals")


def commands(incomplete: str) -> list[str]:
    """Complete the name of a command."""
    from musictag.cli.commands import PANELS  # noqa: PLC0415

    names = [name for panel in PANELS.values() for name in panel]
    return [name for name in names if name.startswith(incomplete)]


def models(incomplete: str) -> list[str]:
    """Complete the name of a model; a directory is left to the shell."""
    from musictag.hearing import checkpoint  # noqa: PLC0415

    return [name for name in checkpoint.names() if name.startswith(incomplete)]


def recipes(incomplete: str) -> list[str]:
    """Complete the name of a bundled recipe; a file is left to the shell."""
    folder = Path(__file__).parents[1] / "training" / "recipes"
    return sorted(path.stem for path in folder.glob(f"{incomplete}*.toml"))


def fields(incomplete: str) -> list[str]:
    """Complete the last name in a list of fields: genre,mo → genre,mood."""
    from musictag.vocabulary import FIELDS  # noqa: PLC0415

    before, comma, last = incomplete.rpartition(",")
    taken = before.split(",")
    names = [field.lower() for field in FIELDS]
    return [before + comma + n for n in names if n.startswith(last) and n not in taken]


def policies(incomplete: str) -> list[str]:
    """Complete a policy, alone or for one field: genre=re → genre=replace."""
    from musictag.decision import POLICIES  # noqa: PLC0415
    from musictag.vocabulary import FIELDS  # noqa: PLC0415

    before, comma, last = incomplete.rpartition(",")
    field, equals, policy = last.partition("=")
    if equals:
        return [f"{before}{comma}{field}={p}" for p in POLICIES if p.startswith(policy)]
    words = [] if comma else [p for p in POLICIES if p.startswith(last)]
    names = [f.lower() for f in FIELDS if f.lower().startswith(last)]
    return words + [f"{before}{comma}{name}=" for name in names]
