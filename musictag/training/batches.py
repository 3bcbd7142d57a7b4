"""Features and labels of one split in batches, and what a network hears in them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from musictag.training.dataset import DataSet
from musictag.training.features import Features
from musictag.training.ranks import ALONE, Ranks
from musictag.training.variants import PLAIN

ENDED_BY_ANOTHER = frozenset(
    {
        *("no vocals", "no vocal", "no voice", "instrumental", "solo", "a cappella", "acoustic"),
        *("quiet", "soft"),
    }
)
"""Tags that apply to two sounds at once only where they apply to both."""


class Examples:
    """The examples of one split. On a GPU their features are held in its memory if they fit."""

    def __init__(
        self, dataset: DataSet, features: Features, rows: list[int], device: torch.device
    ) -> None:
        self.ids = [dataset.examples[row].id for row in rows]
        self.labels = torch.from_numpy(dataset.labels[rows]).to(device)
        self.ended = torch.tensor([tag in ENDED_BY_ANOTHER for tag in dataset.tags], device=device)
        self.features = features
        training = dataset.examples[rows[0]].split == "train"
        self.variants = features.variants if training else (PLAIN,)
        self.partners = self._find_partners()
        self.device = device
        self.loaded: list[Tensor] | None = None
        if device.type == "cuda":
            size = 2 * len(rows) * len(self.variants) * features.n_coefficients * features.n_frames
            if size < torch.cuda.mem_get_info(device)[0] / 2:
                self.loaded = [
                    features.read(self.ids, [variant] * len(rows)).to(device)
                    for variant in self.variants
                ]

    def batches(
        self, size: int, *, shuffled: bool = True, which: slice = slice(None)
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield ((B, C, T) float16, (B, K)), each example once; shuffled, each in a random variant.

        `which` selects batches; the others are not read.
        """
        n = len(self.ids)
        order = torch.randperm(n) if shuffled else torch.arange(n)
        variants = torch.randint(len(self.variants), (n,)) if shuffled else torch.zeros(n).long()
        for rows in torch.split(order, size)[which]:
            yield self._take(rows, variants[rows]), self._labels(rows, variants[rows])

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each coefficient over all frames: (C,), (C,)."""
        total = torch.zeros(2, self.features.n_coefficients, dtype=torch.float64)
        for rows in torch.split(torch.arange(len(self.ids)), 64):
            x = (
                self._take(rows, torch.zeros_like(rows)).cpu().double()
            )  # Apple's GPUs have no float64
            total += torch.stack([x.sum(dim=(0, 2)), x.square().sum(dim=(0, 2))])
        mean_, square = total / (len(self.ids) * self.features.n_frames)
        std = (square - mean_.square()).clamp(min=0).sqrt().clamp(min=1e-3)
        return mean_.float().to(self.device), std.float().to(self.device)

    def _labels(self, rows: Tensor, variants: Tensor) -> Tensor:
        """(B, K); for mixed sounds the labels of both: a tag applies if one of them has it."""
        labels = self.labels[rows.to(self.device)]
        partners = self.partners[variants, rows]  # (B,)
        mixed = (partners >= 0).nonzero().squeeze(1)
        if len(mixed):
            labels = labels.clone()
            others = self.labels[partners[mixed].to(self.device)]
            labels[mixed.to(self.device)] = self._joined(labels[mixed.to(self.device)], others)
        return labels

    def _joined(self, one: Tensor, other: Tensor) -> Tensor:
        """(B, K) and (B, K) probabilities -> (B, K) those of both sounds at once."""
        return torch.where(self.ended, one * other, 1 - (1 - one) * (1 - other))

    def _find_partners(self) -> Tensor:
        """(variants, n) rows that each example is mixed with; -1 for none."""
        rows = {id_: row for row, id_ in enumerate(self.ids)}
        found = [
            [rows.get(self.features.partners.get((variant, id_), ""), -1) for id_ in self.ids]
            for variant in self.variants
        ]
        return torch.tensor(found)

    def _take(self, rows: Tensor, variants: Tensor) -> Tensor:
        if self.loaded is None:
            ids = [self.ids[row] for row in rows.tolist()]
            numbers = [self.variants[variant] for variant in variants.tolist()]
            return self.features.read(ids, numbers).to(self.device)
        picked = [self.loaded[v][r] for r, v in zip(rows.tolist(), variants.tolist(), strict=True)]
        return torch.stack(picked)


@torch.inference_mode()
def hear(model: nn.Module, examples: Examples, ranks: Ranks = ALONE) -> NDArray[np.float32]:
    """(n, K) probabilities of the unvaried examples, in their order."""
    mine = slice(ranks.rank, None, ranks.n)
    heard = [
        model(features.float()).sigmoid().cpu()
        for features, _ in examples.batches(256, shuffled=False, which=mine)
    ]
    probabilities: NDArray[np.float32] = torch.cat(ranks.gather(heard)).numpy()
    return probabilities
