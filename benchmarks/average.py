"""A model whose weights are the mean of two others', one of which began as the other.

    python benchmarks/average.py ONE OTHER --share 0.6 --output DIR
    musictag train --epochs 0 --start-from DIR --dataset DATA --output RUN

A network and what further training made of it are often both bettered by their average. Its
thresholds are still those of OTHER: the second command learns them anew.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from musictag.errors import UsageError
from musictag.hearing import checkpoint, frontend
from musictag.hearing.checkpoint import Checkpoint


def average(one: Checkpoint, other: Checkpoint, share: float, output: Path) -> Checkpoint:
    """Write the checkpoint; `share` is that of `other`, from 0 to 1. Raises UsageError."""
    if one.tags != other.tags or one.front_end != other.front_end:
        raise UsageError(f"{one.name} and {other.name} hear or say different things")
    first, network = one.network().state_dict(), other.network()
    mixed = {
        name: (1 - share) * first[name].float() + share * tensor.float()
        for name, tensor in network.state_dict().items()
    }
    network.load_state_dict(mixed)
    return checkpoint.save(
        output,
        network,
        front_end=frontend.settings(other.front_end),
        tags=other.tags,
        vocabulary=other.vocabulary,
        name=other.name,
        training={"average of": [one.digest, other.digest], "share": share},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("one", help="a model's name or directory")
    parser.add_argument("other", help="the model that began as the first one")
    parser.add_argument("--share", type=float, default=0.5, help="of the other (default: 0.5)")
    parser.add_argument("--output", type=Path, required=True)
    asked = parser.parse_args()
    one, other = checkpoint.find(asked.one), checkpoint.find(asked.other)
    print(average(one, other, asked.share, asked.output).directory)


if __name__ == "__main__":
    main()
