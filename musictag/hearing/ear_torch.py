"""A checkpoint on a device of torch's: samples in, probabilities out.

A GPU, or a CPU for which `ear_cpu` has no quicker way.

    ear.hear(samples)             # (B, N) -> (B, K), waits for it
    later = ear.begin(samples)    # does not wait
    later.result()

However many segments come, the device sees at most `batch_size` of them at a
time; where its memory does not suffice, half as many from then on, and none
of them is heard twice.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from musictag.errors import CheckpointError, DeviceError, UsageError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]
    _Part = tuple[torch.Tensor, Any]
    """Probabilities on the CPU, and the torch.cuda.Event (it has no types) after which they are
    there; None: they are."""

log = logging.getLogger(__name__)

CPU_BATCH = 48
"""Of each core that hears: the network's weights go through its caches once for all of them."""
CPU_MB = 700
"""For samples, of which twice a batch is in memory, one heard and one gathered, and for the front
end: then it stays below 1.5 GB with all else."""
SAMPLES_MB, FRONT_END_MB = 1.86, 7
"""Of a segment, in its batch and in its core's piece."""
PIECE = 16
"""Segments that a core takes through the front end at once, at most. With 8 it takes a twentieth
longer: the threads of the cores wait for each other between the operations."""
PIECES = 64
"""Segments that all cores together take through it at once, at most."""
ROWS = 8
"""Segments that a core takes through the network at once, at least: for fewer, one more core gains
next to nothing."""
MOST_THREADS = 8
"""So many cores hear at most: as many again are needed to decode."""
MPS_BATCH = 16
"""Its memory is also everybody else's."""
CUDA_BATCH = 64
"""At most. Decoders deliver ten segments per second and core, of which this many fit into host
memory twice (240 MB); the front end has one chunk of work for all of them (POINTS_ON_GPU)."""
SEGMENT_BYTES = 2**26
"""Memory on the device that a segment is counted with. The front end's tensors take 24 MB, counted
on a CPU; the rest is for workspaces of FFTs, which are not seen there, and for what is lost
between the tensors."""

_NO_MEMORY = re.compile("out of memory|ALLOC[A-Z]*_FAILED|CUFFT_INTERNAL_ERROR|DefaultCPUAllocator")
"""What torch and the libraries under it say. cuFFT's is that of a plan for which there is no
memory left beside torch's (github.com/pytorch/pytorch/issues/119420)."""


def find_device(name: str) -> str:
    """The device to hear on; auto takes the fastest there is. UsageError if it is not there."""
    if name == "cpu" or (name == "auto" and not _may_have_more_than_a_cpu()):
        return "cpu"
    torch = _torch()
    n_cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    has_mps = torch.backends.mps.is_available()
    if name == "auto":
        return "cuda" if n_cuda else "mps" if has_mps else "cpu"
    kind, _, number = name.partition(":")
    if kind == "cuda" and int(number or 0) >= n_cuda:
        found = f"it finds {n_cuda} of them" if n_cuda else "it finds no CUDA device"
        raise UsageError(f"--device {name}: PyTorch cannot use it ({found})")
    if kind == "mps" and not has_mps:
        raise UsageError("--device mps: PyTorch cannot use it (no Apple GPU, or a build without)")
    return name


def _may_have_more_than_a_cpu() -> bool:
    """False where torch would find no other device, which need not be imported to say so.

    On Linux the drivers that it can use (NVIDIA's, AMD's, Windows' own below WSL) have these files.
    """
    if sys.platform != "linux":
        return True
    return any(map(os.path.exists, ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg")))


def _torch() -> Any:
    import torch  # noqa: PLC0415

    return torch


class Ear:
    """Deterministic.

    On a CUDA device every batch has the same shape and the same place, filled
    up with segments of earlier ones: FFT plans are made once, and what comes
    out for a segment is the same however full its batch is.
    """

    def __init__(
        self,
        scattering: torch.nn.Module,
        model: torch.nn.Module,
        device: torch.device | str,
        batch_size: int | None = None,
    ) -> None:
        """`batch_size` None: as many segments at once as suit the device."""
        import torch  # noqa: PLC0415

        self.device = torch.device(device)
        try:
            self._scattering = scattering.to(self.device).eval()
            self._model = model.to(self.device).eval()
            self.batch_size = batch_size or _suitable_batch_size(self.device)
        except RuntimeError as error:
            if not _is_no_memory(error):
                raise
            raise self._too_little_memory("even for the model") from error
        self._input: torch.Tensor | None = None
        self._crew = _Crew(_n_threads()) if self.device.type == "cpu" else None

    def hear(self, segments: torch.Tensor | Samples) -> torch.Tensor:
        """(B, N) samples, on any device -> (B, K) probabilities, on the CPU.

        DeviceError where there is not enough memory for a single segment,
        CheckpointError where the weights make no probabilities.
        """
        import torch  # noqa: PLC0415

        return self.begin(torch.as_tensor(segments)).result()

    def begin(self, segments: torch.Tensor) -> Later:
        """Begin to hear, and go on before it is done (except with MPS); errors as in `hear`, here
        or when the result is taken.

        The samples are to stay as they are until the result has been taken.
        """
        if self._crew is not None:
            return Later(self._crew.begin(self._in_parts, segments))
        return Later.of(self._in_parts(segments))

    def _in_parts(self, segments: torch.Tensor) -> list[_Part]:
        """At most batch_size of them at a time."""
        parts: list[_Part] = []
        n_begun = 0
        while n_begun < len(segments):
            some = segments[n_begun : n_begun + self.batch_size]
            try:
                part = self._begin(some)
            except (RuntimeError, MemoryError) as error:  # NumPy's is the latter
                if not _is_no_memory(error):
                    raise
                part = None
            if part is None:  # not above: until then the error holds what was allocated on the way
                self._make_do_with_less(len(some))
            else:
                parts.append(part)
                n_begun += len(some)
        return parts

    def batch(self, n_samples: int) -> Batch:
        """Room for batch_size segments, to be gathered one by one."""
        return Batch(self, n_samples)

    def room(self, n_samples: int) -> torch.Tensor:
        """(batch_size, n_samples) of memory to gather segments in; a CUDA device can read it by
        itself, while this program does something else."""
        import torch  # noqa: PLC0415

        if self.device.type == "cuda":
            # where the system grants no such memory, copies only become slower
            with contextlib.suppress(RuntimeError):
                return torch.empty((self.batch_size, n_samples), pin_memory=True)
        return torch.empty((self.batch_size, n_samples))

    def _begin(self, segments: torch.Tensor) -> _Part:
        """At most batch_size of them."""
        import torch  # noqa: PLC0415

        with torch.inference_mode():
            if self.device.type != "cuda":
                return self._probabilities(segments.to(self.device)).cpu(), None
            if self._input is None:
                shape = (self.batch_size, segments.shape[1])
                self._input = torch.zeros(shape, device=self.device)
            self._input[: len(segments)].copy_(segments, non_blocking=True)
            found = self._probabilities(self._input)[: len(segments)]
            probabilities = torch.empty(found.shape, dtype=found.dtype, pin_memory=True)
            probabilities.copy_(found, non_blocking=True)
            # blocking: who waits for it sleeps, because decoders want the core
            done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call,unused-ignore]
            done.record(torch.cuda.current_stream(self.device))
            return probabilities, done

    def _probabilities(self, segments: torch.Tensor) -> torch.Tensor:
        return self._judged(self._coefficients(segments))  # (B, C, T) -> (B, K)

    def _coefficients(self, segments: torch.Tensor) -> torch.Tensor:
        """(B, N) -> (B, C, T)"""
        if self._crew is None:
            coefficients: torch.Tensor = self._scattering(segments)
            return coefficients
        return self._crew.shared_out(self._scattering, segments, most=self._crew.piece)

    def _judged(self, coefficients: torch.Tensor) -> torch.Tensor:
        """(B, C, T) -> (B, K)

        On a CUDA device in float32: by default cuDNN's recurrent layers would round to 10 bits
        (TF32), which could move a decision.
        """
        import torch  # noqa: PLC0415

        if self._crew is not None:
            return self._crew.shared_out(self._model, coefficients, least=ROWS).sigmoid()
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            logits: torch.Tensor = self._model(coefficients)
        return logits.sigmoid()

    def _make_do_with_less(self, n_tried: int) -> None:
        import torch  # noqa: PLC0415

        # a CUDA device tries as many whatever there is to hear
        n = self.batch_size if self.device.type == "cuda" else n_tried
        if n == 1:
            raise self._too_little_memory("even for one segment at a time")
        self.batch_size = n // 2
        self._input = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()
        log.warning("%s is out of memory: going on in batches of %d", self.device, self.batch_size)

    def _too_little_memory(self, what_for: str) -> DeviceError:
        return DeviceError(
            f"{self.device} has not enough free memory, {what_for} "
            "(close what else uses it, or hear with --device cpu)"
        )


class Batch:
    """Segments that are gathered to be heard together.

    Its memory is used again and again: another segment may be added when the result of what was
    begun has been taken.
    """

    def __init__(self, ear: Ear, n_samples: int) -> None:
        self._ear = ear
        self._room = ear.room(n_samples)  # (size, N)
        self._rows = self._room.numpy()
        self._n = 0
        self.size = len(self._room)

    def add(self, segment: Samples) -> None:
        self._rows[self._n] = segment
        self._n += 1

    def begin(self) -> Later:
        """Begin to hear what was added."""
        n, self._n = self._n, 0
        return self._ear.begin(self._room[:n])


class _Crew:
    """Threads that share batches out among the cores, a batch after the other.

    Each takes its rows through the front end, or the network, by itself. torch shares out every
    single operation instead, most of which are too small for that: its threads wait for each other.
    """

    def __init__(self, n_threads: int) -> None:
        import torch  # noqa: PLC0415

        self._n_threads = n_threads
        self.piece = _piece(n_threads)
        self._conductor = ThreadPoolExecutor(1, "musictag ear")
        self._pool = ThreadPoolExecutor(
            n_threads, "musictag core", torch.set_num_threads, initargs=(1,)
        )

    def begin(
        self, function: Callable[[torch.Tensor], list[_Part]], rows: torch.Tensor
    ) -> Future[list[_Part]]:
        """In a thread of its own, when what was begun before is done."""
        return self._conductor.submit(function, rows)

    def shared_out(
        self,
        function: Callable[[torch.Tensor], torch.Tensor],
        rows: torch.Tensor,
        *,
        least: int = 1,
        most: int | None = None,
    ) -> torch.Tensor:
        """The same function of these rows, all threads having as many of them.

        Fewer threads where it would be less than `least` each; `most` at once.
        """
        import torch  # noqa: PLC0415

        def applied(some: torch.Tensor) -> torch.Tensor:
            with torch.inference_mode():  # threads have modes of their own
                return function(some)

        n_parts = min(self._n_threads, math.ceil(len(rows) / least))
        n_rounds = math.ceil(len(rows) / (n_parts * (most or len(rows))))
        parts = rows.tensor_split(min(n_parts * n_rounds, len(rows)))
        under_way = [self._pool.submit(applied, part) for part in parts]
        wait(under_way)  # also when one fails: for less to be tried, all have to let go
        return torch.cat([part.result() for part in under_way])


class Later:
    """Probabilities that may not be there yet."""

    def __init__(self, parts: Future[list[_Part]]) -> None:
        self._parts = parts

    @classmethod
    def of(cls, parts: list[_Part]) -> Later:
        begun: Future[list[_Part]] = Future()
        begun.set_result(parts)
        return cls(begun)

    @property
    def is_there(self) -> bool:
        """Whether `result` need not wait."""
        return self._parts.done() and (
            self._parts.exception() is not None
            or all(done is None or bool(done.query()) for _, done in self._parts.result())
        )

    def result(self) -> torch.Tensor:
        """(B, K). CheckpointError for what are none: no sound is to blame, which is looked at."""
        import torch  # noqa: PLC0415

        parts = self._parts.result()
        for _, done in parts:
            if done is not None:
                done.synchronize()
        probabilities = torch.cat([part for part, _ in parts])
        if not probabilities.isfinite().all():
            raise CheckpointError("the model's weights give no probabilities")
        return probabilities


def _suitable_batch_size(device: torch.device) -> int:
    import torch  # noqa: PLC0415

    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return max(1, min(CUDA_BATCH, free // SEGMENT_BYTES))
    if device.type == "mps":
        return MPS_BATCH
    n_threads = _n_threads()
    room = CPU_MB - FRONT_END_MB * n_threads * _piece(n_threads)
    return min(CPU_BATCH * n_threads, int(room / (2 * SAMPLES_MB)))


def _n_threads() -> int:
    """That share a batch out on a CPU."""
    import torch  # noqa: PLC0415

    return min(torch.get_num_threads(), MOST_THREADS)


def _piece(n_threads: int) -> int:
    """Of each of so many threads."""
    return min(PIECE, PIECES // n_threads)


def _is_no_memory(error: RuntimeError | MemoryError) -> bool:
    import torch  # noqa: PLC0415

    kinds = (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, kinds) or bool(_NO_MEMORY.search(str(error)))
