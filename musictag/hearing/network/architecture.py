"""The network's sizes and the shapes of its weights, for every executor."""

from __future__ import annotations

from dataclasses import dataclass

_SIZES = ("n_coefficients", "n_units", "n_tags")


@dataclass(frozen=True)
class Architecture:
    """The network's sizes. The defaults are the paper's Scat-5L-512H-GRU."""

    n_coefficients: int = 433
    n_units: int = 512  # of each layer, and of each direction
    n_layers: int = 5
    n_tags: int = 50
    cell: str = "gru"  # or "lstm"
    summary: str = "mean"  # of all frames; or "last", or "attention" (one more weight per unit)
    bidirectional: bool = False
    dropout: float = 0.25  # between layers and before the output, in training only

    def __post_init__(self) -> None:
        for name, most in (("n_layers", 100), *((n, 2**20) for n in _SIZES)):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= most:
                raise ValueError(f"{name} is {value!r}, must be a whole number from 1 to {most}")
        if not isinstance(self.bidirectional, bool):
            raise ValueError(f"bidirectional is {self.bidirectional!r}, must be true or false")
        if not isinstance(self.dropout, (int, float)) or not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout!r}, must be at least 0 and less than 1")
        if self.cell not in ("gru", "lstm"):
            raise ValueError(f"cell is {self.cell!r}, must be 'gru' or 'lstm'")
        if self.summary not in ("mean", "last", "attention"):
            raise ValueError(f"summary is {self.summary!r}, must be 'mean', 'last' or 'attention'")

    @property
    def n_directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def n_summary(self) -> int:
        """Numbers that the output layer sees of a segment."""
        return self.n_units * self.n_directions

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the weights, by their names in a `recurrent.Tagger`.

        A layer's gates share one matrix for its inputs and one for its state.
        """
        n_gates = 3 if self.cell == "gru" else 4
        n_rows = n_gates * self.n_units
        shapes: dict[str, tuple[int, ...]] = {
            "mean": (self.n_coefficients,),
            "std": (self.n_coefficients,),
            "output.weight": (self.n_tags, self.n_summary),
            "output.bias": (self.n_tags,),
        }
        for layer in range(self.n_layers):
            n_inputs = self.n_summary if layer else self.n_coefficients
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
