"""One training run in several processes, as torchrun starts them.

All ranks take the same steps with the same weights, draw the same examples in
the same order and augment them alike. Each one hears its share of a batch, and
the gradients are added up. So the model does not depend on the number of ranks,
except for rounding and for dropout, which each rank draws on its own. The first
rank alone makes features, checkpoints and the record, and reports progress.
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
"""How long ranks wait for the first one's work, such as features. They notice if it dies."""
SILENCE_S = 10.0
"""Seconds that other ranks wait before they report an error that the first rank has as well."""


@dataclass(frozen=True)
class Ranks:
    """One of the `n` processes of a run."""

    rank: int = 0
    n: int = 1
    waiting: dist.ProcessGroup | None = None  # the group for everything except gradients

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, n_examples: int) -> tuple[slice, float]:
        """The examples of a batch that this rank hears, and the weight of their mean loss.

        At least one example: with fewer examples than ranks, some are heard with a weight of 0.
        """
        start, end = (n_examples * rank // self.n for rank in (self.rank, self.rank + 1))
        return slice(start, max(end, start + 1)), (end - start) / n_examples

    def add_up(self, loss: Tensor, parameters: Iterable[nn.Parameter]) -> Tensor:
        """Add up the losses and gradients of all ranks; returns the loss, sets the gradients."""
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
        """Let the first rank do the work with all cores; all ranks return its result."""
        if self.n == 1:
            return work()
        box: list[T | None] = [None]
        if self.first:
            n_threads = torch.get_num_threads()  # torchrun leaves each rank one
            torch.set_num_threads(max(n_threads, process.n_cores()))
            try:
                box = [work()]
            finally:
                torch.set_num_threads(n_threads)
        with _lost_ranks_named():
            dist.broadcast_object_list(box, group=self.waiting)
        return box[0]  # type: ignore[return-value]  # it has come

    def gather(self, mine: list[T]) -> list[T]:
        """The whole list of which each rank has every n-th item, starting with its own number."""
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
    """The ranks that torchrun started, once they are connected; a single one without torchrun."""
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
    """This rank's device, given the name for all. UsageError if there are too few devices."""
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
