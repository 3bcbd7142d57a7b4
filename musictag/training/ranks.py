"""One training run in several processes, as torchrun starts them.

Every rank goes through the same steps with the same weights, draws the same
examples in the same order and augments them alike; each hears its share of a
batch, and the gradients are added up. So a model does not depend on the number
of ranks, but for rounding and for dropout, which every rank draws apart. What is
made once (features, checkpoints, the record) the first rank makes, and it alone
speaks.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import zip_longest
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from musictag import process
from musictag.errors import MusictagError, UsageError

T = TypeVar("T")
PATIENCE = timedelta(days=7)
"""For what the first rank does alone: features may take hours. That it has died is seen at once."""
SILENCE_S = 10.0
"""For so long the first rank has the word, when all come to an end at the same error."""


@dataclass(frozen=True)
class Ranks:
    """This process among the `n` of its run."""

    rank: int = 0
    n: int = 1
    waiting: dist.ProcessGroup | None = None  # for all but gradients

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, n_examples: int) -> tuple[slice, float]:
        """Which examples of a batch are heard here, and how much their mean weighs in its mean.

        At least one: where there are fewer than ranks, some are heard for a weight of 0.
        """
        start, end = (n_examples * rank // self.n for rank in (self.rank, self.rank + 1))
        return slice(start, max(end, start + 1)), (end - start) / n_examples

    def add_up(self, loss: Tensor, parameters: Iterable[nn.Parameter]) -> Tensor:
        """The sum of all ranks' losses; their gradients become their sums, the same everywhere."""
        if self.n == 1:
            return loss
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([loss.reshape(1), *(gradient.flatten() for gradient in gradients)])
        with _lost_ranks_named():
            dist.all_reduce(flat)
        total, *sums = torch.split(flat, [1, *(gradient.numel() for gradient in gradients)])
        for gradient, sum_ in zip(gradients, sums, strict=True):
            gradient.copy_(sum_.view_as(gradient))
        return total.squeeze()

    def once(self, work: Callable[[], T]) -> T:
        """What the first rank's work gives, with all cores for it; the others wait."""
        if self.n == 1:
            return work()
        box: list[T | None] = [None]
        if self.first:
            n_threads = torch.get_num_threads()  # torchrun leaves each rank one
            torch.set_num_threads(max(n_threads, process.n_cores()))
            box = [work()]
            torch.set_num_threads(n_threads)
        with _lost_ranks_named():
            dist.broadcast_object_list(box, group=self.waiting)
        return box[0]  # type: ignore[return-value]  # it has come

    def gather(self, mine: list[T]) -> list[T]:
        """All of a list of which each rank made every n-th, beginning with its own number."""
        if self.n == 1:
            return mine
        lists: list[list[T]] = [[]] * self.n
        with _lost_ranks_named():
            dist.all_gather_object(lists, mine, group=self.waiting)
        missing = object()
        turns = zip_longest(*lists, fillvalue=missing)
        return [item for turn in turns for item in turn if item is not missing]  # type: ignore[misc]


ALONE = Ranks()


@contextlib.contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """The ranks that torchrun started, once they have found each other; without it, one."""
    n = _n()
    if n == 1:
        yield ALONE
        return
    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.cuda.set_device(device)
    try:
        dist.init_process_group("nccl" if on_gpu else "gloo")
        waiting = dist.new_group(backend="gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise UsageError(f"the {n} processes of this run do not find each other: {error}") from None
    ranks = Ranks(dist.get_rank(), n, waiting)
    try:
        yield ranks
    except Exception:
        if not ranks.first:
            time.sleep(SILENCE_S)
        raise
    dist.destroy_process_group()


def own_device(name: str) -> str:
    """This rank's device, where `name` is that of all. UsageError if there is not one for each."""
    if _n() == 1 or name == "cpu":
        return name
    if name != "cuda":
        raise UsageError(
            f"--device {name}: several processes train on cpu, or on cuda, each on a GPU of its own"
        )
    number, n_gpus = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if number >= n_gpus:
        raise UsageError(f"each process needs a GPU of its own: --nproc-per-node {n_gpus} at most")
    return f"cuda:{number}"


def _n() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextlib.contextmanager
def _lost_ranks_named() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        reason = str(error).partition("\n")[0].partition(". ")[0]
        raise MusictagError(
            "another process of this run has ended; the same command with --resume goes on "
            f"({reason})"
        ) from error
