"""Recipes: a front end, a network and how to train it, as data.

The bundled ones are the TOML files beside this module, among them every row of Table 2 of Song et
al. 2018; anybody's own are files of the same form:

    about = "What it is, in a few words."
    like = "scat-5l-512h-gru"       # another recipe, of which this one says only what is different

    [front_end]                     # `kind` is scattering, mel or cqt; the rest as in a checkpoint
    [network]                       # `kind` is recurrent or convolutional
    [training]                      # settings of training, by the names of `TrainSettings`
    [paper]                         # row, parameters and roc_auc as printed there
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import sys
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from musictag.errors import UsageError, system_trouble
from musictag.hearing import frontend
from musictag.hearing.network.architecture import AnyArchitecture, Architecture, architecture
from musictag.hearing.scattering.plan import FrontEnd, paper_plan
from musictag.training.settings import TrainSettings

_HERE = Path(__file__).parent
_SECTIONS = ("front_end", "network", "training", "paper")
_NOT_HERE = (
    *("dataset", "output", "features", "name", "start", "teachers", "tags", "split", "recipe"),
    *("architecture", "front_end", "device", "workers", "resume", "save_every_s"),
)
"""Settings that are no matter of a recipe: they name places, or what a run is made with."""


@dataclass(frozen=True)
class Paper:
    """What Table 2 prints of a model."""

    row: str
    """Its name there."""
    parameters: int | None = None
    """In thousands."""
    roc_auc: float | None = None
    """On MagnaTagATune's test split, where we know it."""


@dataclass(frozen=True)
class Recipe:
    """A recipe, complete and checked."""

    name: str
    about: str
    front_end: frontend.Settings
    network: AnyArchitecture
    training: Mapping[str, Any]
    """Settings of `TrainSettings` that are not the default."""
    paper: Paper | None = None

    def settings(self, **others: Any) -> TrainSettings:
        """The settings of a run; `others` overrule the recipe. Raises UsageError."""
        return TrainSettings(
            **{
                **self.training,
                "architecture": self.network,
                "front_end": self.front_end,
                "recipe": self.name,
                **others,
            }
        )


DEFAULT = "scat-5l-512h-gru"
"""What is trained without a recipe."""


def names() -> list[str]:
    """The bundled recipes: those of the paper in the order of its table, then the others."""
    found = [path.stem for path in _HERE.glob("*.toml")]
    return sorted(found, key=lambda name: (_ORDER.index(name) if name in _ORDER else 99, name))


_ORDER = (
    *(f"scat-4l-{units}h-{cell}" for units in (256, 512) for cell in ("lstm", "bn-lstm", "gru")),
    *("scat-5l-512h-gru", "scat-6l-512h-gru", "mel-5l-512h-gru", "mel-5l-512h-lstm"),
    *("cqt-5l-512h-gru", "cqt-5l-512h-lstm", "scat-4l-cnn", "paper"),
)


def read(name: str) -> Recipe:
    """The bundled recipe of this name, or the one in a file whose name ends in .toml.

    Raises UsageError for one that does not exist or makes no sense.
    """
    table = _table(name, ())
    where = _where(name)
    front_end = _made(where, "front_end", frontend.settings, table.get("front_end", {}))
    network = {**_ends(front_end), **table.get("network", {})}
    return Recipe(
        name=Path(name).stem,
        about=_typed(where, "about", table.get("about", ""), str),
        front_end=front_end,
        network=_made(where, "network", architecture, network),
        training=_training(where, table.get("training", {})),
        paper=_paper(where, table["paper"]) if "paper" in table else None,
    )


def _where(name: str) -> str:
    return name if name.endswith(".toml") else f"recipe {name}"


def _ends(front_end: frontend.Settings) -> dict[str, Any]:
    return {"n_coefficients": n_coefficients(front_end)}


def n_coefficients(front_end: frontend.Settings) -> int:
    """What the front end gives in each frame, without asking torch."""
    if isinstance(front_end, FrontEnd):
        return paper_plan(front_end).n_coefficients
    return front_end.n_coefficients


def _table(name: str, within: tuple[str, ...]) -> dict[str, Any]:
    """What the file says, laid over the recipe that it is like."""
    where = _where(name)
    if name in within:
        raise UsageError(f"{where}: it is like itself, by way of {', '.join(within)}")
    table = _parsed(name)
    for section in _SECTIONS:
        if not isinstance(table.get(section, {}), dict):
            raise UsageError(f"{where}: {section} must be a table, as in [{section}]")
    if strange := sorted(set(table) - {"about", "like", *_SECTIONS}):
        raise UsageError(f"{where}: unknown {_said(strange[0], ('about', 'like', *_SECTIONS))}")
    like = table.pop("like", None)
    if like is None:
        return table
    base = _table(_typed(where, "like", like, str), (*within, name))
    base.pop("paper", None)
    return {**base, **{key: _laid_over(base.get(key), value) for key, value in table.items()}}


def _laid_over(base: Any, value: Any) -> Any:
    """One section over another, unless it is of another kind."""
    if not isinstance(base, dict) or value.get("kind", base.get("kind")) != base.get("kind"):
        return value
    return {**base, **value}


def _parsed(name: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415
    else:
        import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
    path = Path(name) if name.endswith(".toml") else _HERE / f"{name}.toml"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not a text in UTF-8") from error
    except OSError as error:
        if name.endswith(".toml"):
            raise UsageError(f"{path}: {system_trouble(error).reason}") from error
        raise UsageError(f"no recipe {_said(name, names())}; --list-recipes has all") from error
    try:
        table: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {error}") from error
    return table


def _said(name: str, known: typing.Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f"{name!r}" + (f", did you mean {close[0]}?" if close else "")


def _made(where: str, section: str, make: Any, table: Mapping[str, Any]) -> Any:
    try:
        return make(table)
    except ValueError as error:
        raise UsageError(f"{where}: [{section}]: {error}") from error


@functools.cache
def _types() -> dict[str, Any]:
    """Settings that a recipe can hold → their types."""
    types = typing.get_type_hints(TrainSettings)
    names = (field.name for field in dataclasses.fields(TrainSettings))
    return {name: types[name] for name in names if name not in _NOT_HERE}


def _training(where: str, table: Mapping[str, Any]) -> dict[str, Any]:
    types = _types()
    if strange := sorted(set(table) - set(types)):
        raise UsageError(f"{where}: [training]: unknown {_said(strange[0], types)}")
    return {
        name: _typed(f"{where}: [training]", name, value, types[name])
        for name, value in table.items()
    }


def _paper(where: str, table: Mapping[str, Any]) -> Paper:
    return typing.cast(Paper, _typed(where, "[paper]", table, Paper))


def _typed(where: str, name: str, value: Any, of: Any) -> Any:
    try:
        return msgspec.convert(value, of)
    except msgspec.ValidationError as error:
        reason = str(error).replace("`", "").replace("Expected", "expected")
        raise UsageError(f"{where}: {name}: {reason}") from error


# ---------------------------------------------------------------- the list


def listed() -> list[str]:
    """The bundled recipes as lines of a table. This builds each network, without its weights."""
    rows = [("recipe", "front end", "network", "parameters", "paper", "")]
    for name in names():
        recipe = read(name)
        paper = recipe.paper
        printed = f"{paper.parameters:,}K" if paper and paper.parameters else ""
        score = f"{paper.roc_auc:.3f}" if paper and paper.roc_auc else ""
        kind = getattr(recipe.front_end, "kind", frontend.DEFAULT_KIND)
        rows.append((name, kind, _network(recipe.network), _n_parameters(recipe), printed, score))
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    return [
        "  ".join(
            cell.rjust(width) if column in (3, 4, 5) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _network(network: AnyArchitecture) -> str:
    if isinstance(network, Architecture):
        along = ", along frequency" if network.sequence == "frequency" else ""
        summary = "" if network.summary == "mean" else f", {network.summary}"
        return f"{network.n_layers} × {network.n_units} {network.cell}{summary}{along}"
    above = f", {network.n_layers} × {network.n_units} gru" if network.n_layers else ""
    return f"{len(network.channels)} {network.n_dimensions}-D convolutions{above}"


def _n_parameters(recipe: Recipe) -> str:
    """Counted as the paper does, for its 50 tags."""
    import torch  # noqa: PLC0415

    from musictag.hearing.network.torch import make  # noqa: PLC0415

    with torch.device("meta"):
        return f"{make(recipe.network).n_parameters(paper=True):,}"
