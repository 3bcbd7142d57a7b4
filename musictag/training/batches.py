"""Features and labels of one split, handed out in batches."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from musictag.training.dataset import DataSet
from musictag.training.features import Features


class Examples:
    """One split. On a GPU the features are held whole if they fit, else they come from the disk."""

    def __init__(
        self, dataset: DataSet, features: Features, rows: list[int], device: torch.device
    ) -> None:
        self.ids = [dataset.examples[row].id for row in rows]
        self.labels = torch.from_numpy(dataset.labels[rows]).to(device)
        self.features = features
        training = dataset.examples[rows[0]].split == "train"
        self.n_variants = features.n_variants if training else 1
        self.device = device
        self.loaded: list[Tensor] | None = None
        if device.type == "cuda":
            size = 2 * len(rows) * self.n_variants * features.n_coefficients * features.n_frames
            if size < torch.cuda.mem_get_info(device)[0] / 2:
                self.loaded = [
                    features.read(self.ids, [variant] * len(rows)).to(device)
                    for variant in range(self.n_variants)
                ]

    def batches(
        self, size: int, *, shuffled: bool = True, which: slice = slice(None)
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """((B, C, T) float16, (B, K)), each example once; shuffled, in a random variant each.

        `which` of the batches are handed out; the others are not even read.
        """
        n = len(self.ids)
        order = torch.randperm(n) if shuffled else torch.arange(n)
        variants = torch.randint(self.n_variants, (n,)) if shuffled else torch.zeros(n).long()
        for rows in torch.split(order, size)[which]:
            yield self._take(rows, variants[rows]), self.labels[rows.to(self.device)]

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each coefficient over all frames: (C,), (C,)."""
        total = torch.zeros(2, self.features.n_coefficients, dtype=torch.float64)
        for rows in torch.split(torch.arange(len(self.ids)), 64):
            x = self._take(rows, torch.zeros_like(rows)).cpu().double()  # Apple's GPUs have none
            total += torch.stack([x.sum(dim=(0, 2)), x.square().sum(dim=(0, 2))])
        mean_, square = total / (len(self.ids) * self.features.n_frames)
        std = (square - mean_.square()).clamp(min=0).sqrt().clamp(min=1e-3)
        return mean_.float().to(self.device), std.float().to(self.device)

    def _take(self, rows: Tensor, variants: Tensor) -> Tensor:
        if self.loaded is None:
            ids = [self.ids[row] for row in rows.tolist()]
            return self.features.read(ids, variants.tolist()).to(self.device)
        picked = [self.loaded[v][r] for r, v in zip(rows.tolist(), variants.tolist(), strict=True)]
        return torch.stack(picked)
