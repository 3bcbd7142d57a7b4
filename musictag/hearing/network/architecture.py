"""Networks as data: their sizes, by kind. Checkpoints store these beside the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

CELLS = ("gru", "lstm", "bn-lstm")
SUMMARIES = ("mean", "max", "last", "attention")
"""Ways to make one of all frames. Attention has one more weight per unit."""
_LARGEST = 2**20
_MOST_LAYERS = 100


@dataclass(frozen=True)
class Architecture:
    """A stack of recurrent layers. The defaults are the paper's Scat-5L-512H-GRU."""

    kind: str = field(default="recurrent", init=False)
    n_coefficients: int = 433
    n_units: int = 512  # of each layer, and of each direction
    n_layers: int = 5
    n_tags: int = 50
    cell: str = "gru"  # one of CELLS
    summary: str = "mean"  # of all frames, one of SUMMARIES
    bidirectional: bool = False
    dropout: float = 0.25  # between layers and before the output, in training only
    sequence: str = "time"  # what the layers run along; or "frequency", see `n_inputs`
    n_frames: int = 114  # along frequency: how many frames are the inputs, from the first one on
    n_steps: int = 114  # bn-lstm: steps with statistics of their own; later ones have the last's

    def __post_init__(self) -> None:
        for name in ("n_coefficients", "n_units", "n_tags", "n_frames"):
            _check_whole(name, getattr(self, name), 1, _LARGEST)
        _check_whole("n_layers", self.n_layers, 1, _MOST_LAYERS)
        _check_whole("n_steps", self.n_steps, 1, 2**14)
        if not isinstance(self.bidirectional, bool):
            raise ValueError(f"bidirectional is {self.bidirectional!r}, must be true or false")
        _check_dropout(self.dropout)
        _check_word("cell", self.cell, CELLS)
        _check_word("summary", self.summary, SUMMARIES)
        _check_word("sequence", self.sequence, ("time", "frequency"))
        if self.cell == "bn-lstm" and self.bidirectional:
            raise ValueError("bidirectional is true, and a bn-lstm has one direction")

    @property
    def n_directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def n_inputs(self) -> int:
        """Numbers that the first layer sees at a step: the coefficients of a frame or, along
        frequency, the frames of a coefficient."""
        return self.n_coefficients if self.sequence == "time" else self.n_frames

    @property
    def n_summary(self) -> int:
        """Numbers that the output layer sees of a segment."""
        return self.n_units * self.n_directions

    @property
    def shapes(self) -> dict[str, tuple[int, ...]] | None:
        """Shapes of the weights by their names in a `recurrent.Tagger`, without asking torch.

        A layer's gates share one matrix for its inputs and one for its state. None for a bn-lstm.
        """
        if self.cell == "bn-lstm":
            return None
        n_gates = 3 if self.cell == "gru" else 4
        n_rows = n_gates * self.n_units
        shapes: dict[str, tuple[int, ...]] = {
            "mean": (self.n_coefficients,),
            "std": (self.n_coefficients,),
            "output.weight": (self.n_tags, self.n_summary),
            "output.bias": (self.n_tags,),
        }
        for layer in range(self.n_layers):
            n_inputs = self.n_summary if layer else self.n_inputs
            for direction in ("", "_reverse")[: self.n_directions]:
                where = f"l{layer}{direction}"
                shapes[f"recurrent.weight_ih_{where}"] = n_rows, n_inputs
                shapes[f"recurrent.weight_hh_{where}"] = n_rows, self.n_units
                shapes[f"recurrent.bias_ih_{where}"] = (n_rows,)
                shapes[f"recurrent.bias_hh_{where}"] = (n_rows,)
        if self.summary == "attention":
            shapes["attention.weight"] = 1, self.n_summary
            shapes["attention.bias"] = (1,)
        return shapes


@dataclass(frozen=True)
class Convolutional:
    """Convolutions, batch normalisation after each, and GRUs above them if wanted.

    The defaults are the paper's Scat-4L-CNN. Its channels and kernels follow from its number of
    parameters; its pools are ours (Choi et al. 2016 with both axes exchanged).
    """

    kind: str = field(default="convolutional", init=False)
    n_coefficients: int = 433
    n_tags: int = 50
    n_dimensions: int = 2  # over coefficients and frames; 1: over frames, coefficients are channels
    channels: tuple[int, ...] = (128, 384, 768, 2048)  # of each convolution
    kernel: int = 3  # odd; its size in each dimension
    pools: tuple[tuple[int, int], ...] = ((4, 2), (5, 4), (8, 3), (8, 4))
    """Coefficients and frames of which the largest goes on, after each convolution."""
    n_layers: int = 0  # of GRUs above the convolutions
    n_units: int = 64  # of each of these
    summary: str = "max"  # of the frames that are left, one of SUMMARIES
    dropout: float = 0.25  # between recurrent layers and before the output, in training only

    def __post_init__(self) -> None:
        for name in ("n_coefficients", "n_units", "n_tags"):
            _check_whole(name, getattr(self, name), 1, _LARGEST)
        _check_whole("n_layers", self.n_layers, 0, _MOST_LAYERS)
        _check_whole("n_dimensions", self.n_dimensions, 1, 2)
        _check_whole("kernel", self.kernel, 1, 99)
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel is {self.kernel}, must be odd")
        # from JSON and TOML they come as lists
        object.__setattr__(self, "channels", _tuple("channels", self.channels))
        pools = tuple(_tuple("pools", pool) for pool in _tuple("pools", self.pools))
        object.__setattr__(self, "pools", pools)
        if not 1 <= len(self.channels) <= _MOST_LAYERS or len(pools) != len(self.channels):
            raise ValueError(
                f"{len(self.channels)} channels and {len(pools)} pools, "
                f"must be as many, from 1 to {_MOST_LAYERS}"
            )
        for channels in self.channels:
            _check_whole("channels", channels, 1, 2**14)
        for pool in pools:
            if len(pool) != 2 or (self.n_dimensions == 1 and pool[0] != 1):
                raise ValueError(f"pools has {list(pool)}, must be [coefficients, frames]")
            for size in pool:
                _check_whole("pools", size, 1, 2**14)
        _check_dropout(self.dropout)
        _check_word("summary", self.summary, SUMMARIES)

    @property
    def n_summary(self) -> int:
        """Numbers that the output layer sees of a segment."""
        return self.n_units if self.n_layers else self.channels[-1]

    @property
    def shapes(self) -> None:
        """Only torch knows them."""
        return None


AnyArchitecture = Architecture | Convolutional

DEFAULT_KIND = "recurrent"
"""Kind of the networks that do not name theirs."""
KINDS: Mapping[str, type[AnyArchitecture]] = {
    "recurrent": Architecture,
    "convolutional": Convolutional,
}


def architecture(arguments: Mapping[str, Any]) -> AnyArchitecture:
    """An architecture from a checkpoint or a recipe, checked.

    ValueError if it makes no sense, or contains something unknown.
    """
    name = arguments.get("kind", DEFAULT_KIND)
    if not isinstance(name, str) or name not in KINDS:
        raise ValueError(f"no network {name!r:.60} (there are {', '.join(KINDS)})")
    kind = KINDS[name]
    values = {key: value for key, value in arguments.items() if key != "kind"}
    if strange := sorted(set(values) - {field.name for field in fields(kind)}):
        raise ValueError(f"unknown setting {', '.join(strange)} (made by a newer musictag?)")
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(str(error)) from error


def _check_whole(name: str, value: object, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} is {value!r}, must be a whole number from {least} to {most}")


def _check_dropout(value: object) -> None:
    if not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise ValueError(f"dropout is {value!r}, must be at least 0 and less than 1")


def _check_word(name: str, value: object, words: tuple[str, ...]) -> None:
    if value not in words:
        *others, last = map(repr, words)
        raise ValueError(f"{name} is {value!r}, must be {', '.join(others)} or {last}")


def _tuple(name: str, value: object) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{name} is {value!r:.60}, must be a list")
    return tuple(value)
