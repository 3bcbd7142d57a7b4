"""musictag listens to a music library and writes what it hears into the files.

    >>> import musictag
    >>> with musictag.Tagger() as tagger:
    ...     heard = tagger.hear("song.flac")
    ...     for outcome in tagger.scan(["~/Music"]):
    ...         print(outcome.path, outcome.chosen)

`Tagger` and `Outcome` are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from musictag.outcome import Outcome
    from musictag.tagger import Tagger

__all__ = ["Outcome", "Tagger", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "Tagger":
        from musictag.tagger import Tagger  # noqa: PLC0415

        return Tagger
    if name == "Outcome":
        from musictag.outcome import Outcome  # noqa: PLC0415

        return Outcome
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
