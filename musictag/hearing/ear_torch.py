"""Hearing on any device that torch supports.

However many segments come, the device sees at most `batch_size` of them at a time. Where its memory
does not suffice, it is given half as many from then on, and none of them is heard twice.
"""

from __future__ import annotations

import contextlib
import logging
import re
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import torch

from musictag.errors import CheckpointError, DeviceError
from musictag.hearing.ear import Hearing

if TYPE_CHECKING:
    from musictag.hearing.arrays import Real
    from musictag.hearing.network.base import Network

_Part = tuple[torch.Tensor, torch.Tensor, Any]
"""Probabilities and summaries on the CPU, and the torch.cuda.Event (it has no types) after which
they are there, or None if they are."""

log = logging.getLogger(__name__)

CPU_BATCH = 32
"""Segments at once on a CPU, which take half a gigabyte."""
MPS_BATCH = 16
"""Segments at once on an Apple GPU, whose memory the whole machine shares."""
CUDA_BATCH = 64
"""Most segments at once on a CUDA device. Decoders deliver ten segments per second and core, of
which this many fit into host memory twice (240 MB); the front end has one chunk of work for all of
them (POINTS_ON_GPU)."""
SEGMENT_BYTES = 2**26
"""Device memory that a segment is counted with. The front end's tensors take 24 MB, counted on a
CPU; the rest is for workspaces of FFTs, which are not visible there, and for what is lost between
the tensors."""

_NO_MEMORY = re.compile("out of memory|ALLOC[A-Z]*_FAILED|CUFFT_INTERNAL_ERROR|DefaultCPUAllocator")
"""What torch and its libraries say when memory runs out. cuFFT's internal error is a plan for which
torch has left no memory (github.com/pytorch/pytorch/issues/119420)."""


class TorchEar:
    """An `ear.Ear`.

    On a CUDA device every batch has the same shape and the same place, filled up with segments of
    earlier ones, so that FFT plans are made once and a segment's probabilities do not depend on how
    full its batch is.
    """

    def __init__(
        self,
        front_end: torch.nn.Module,
        model: Network,
        device: torch.device | str,
        batch_size: int | None = None,
    ) -> None:
        """`batch_size` None: as many segments at once as suit the device.

        DeviceError if the device has no room for the model.
        """
        self.device = torch.device(device)
        try:
            self.front_end = front_end.to(self.device).eval()
            self.model = model.to(self.device).eval()
            self.batch_size = batch_size or suitable_batch_size(self.device)
        except RuntimeError as error:
            if not _is_no_memory(error):
                raise
            raise self._too_little_memory("even for the model") from error
        self._input: torch.Tensor | None = None
        on_cpu = self.device.type == "cpu"
        self._conductor = ThreadPoolExecutor(1, "musictag ear") if on_cpu else None

    def hear(self, segments: torch.Tensor | Real) -> Hearing:
        """(B, N) samples on any device, waited for; errors as in `ear.Ear`."""
        return self.begin(torch.as_tensor(segments)).result()

    def begin(self, segments: torch.Tensor) -> TorchLater:
        """Begin to hear (B, N) samples, without waiting (except on an Apple GPU).

        Errors are raised here or where the result is taken. The samples must not change until then.
        """
        if self._conductor is not None:
            return TorchLater(self._conductor.submit(self._in_parts, segments))
        begun: Future[list[_Part]] = Future()
        begun.set_result(self._in_parts(segments))
        return TorchLater(begun)

    def batch(self, n_samples: int) -> TorchBatch:
        """Room for batch_size segments."""
        return TorchBatch(self, n_samples)

    def room(self, n_samples: int) -> torch.Tensor:
        """(batch_size, n_samples) of memory to gather segments in. A CUDA device can read it while
        this program does something else."""
        if self.device.type == "cuda":
            # where the system grants no such memory, copies only become slower
            with contextlib.suppress(RuntimeError):
                return torch.empty((self.batch_size, n_samples), pin_memory=True)
        return torch.empty((self.batch_size, n_samples))

    def heard(self, segments: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N) -> (B, K) probabilities and (B, S) summaries, on the device."""
        return self.judged(self.front_end(segments))  # (B, C, T) -> ...

    def judged(self, coefficients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, C, T) -> (B, K), (B, S).

        In float32 on a CUDA device too: by default cuDNN's recurrent layers would round to 10 bits
        (TF32), which could move a decision.
        """
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            summaries = self.model.summary(coefficients)
            return self.model.logits(summaries).sigmoid(), summaries

    def _in_parts(self, segments: torch.Tensor) -> list[_Part]:
        """At most batch_size of them at a time."""
        parts: list[_Part] = []
        n_begun = 0
        while n_begun < len(segments):
            some = segments[n_begun : n_begun + self.batch_size]
            try:
                part = self._begin(some)
            except (RuntimeError, MemoryError) as error:  # NumPy raises the latter
                if not _is_no_memory(error):
                    raise
                part = None
            if part is None:  # not above, where the error still holds what was allocated on the way
                self._make_do_with_less(len(some))
            else:
                parts.append(part)
                n_begun += len(some)
        return parts

    def _begin(self, segments: torch.Tensor) -> _Part:
        """At most batch_size of them."""
        with torch.inference_mode():
            if self.device.type != "cuda":
                probabilities, summaries = self.heard(segments.to(self.device))
                return probabilities.cpu(), summaries.cpu(), None
            if self._input is None:
                shape = (self.batch_size, segments.shape[1])
                self._input = torch.zeros(shape, device=self.device)
            self._input[: len(segments)].copy_(segments, non_blocking=True)
            probabilities, summaries = (
                _on_its_way(found[: len(segments)]) for found in self.heard(self._input)
            )
            # blocking: a thread that waits for it sleeps, because decoders need the core
            done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call,unused-ignore]
            done.record(torch.cuda.current_stream(self.device))
            return probabilities, summaries, done

    def _make_do_with_less(self, n_tried: int) -> None:
        # a CUDA device tries batch_size segments however many there are to hear
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


class TorchBatch:
    """An `ear.Batch`. Its memory is used again and again."""

    def __init__(self, ear: TorchEar, n_samples: int) -> None:
        self._ear = ear
        self._room = ear.room(n_samples)  # (size, N)
        self._rows = self._room.numpy()
        self._n = 0
        self.size = len(self._room)

    def add(self, segment: Real) -> None:
        self._rows[self._n] = segment
        self._n += 1

    def begin(self) -> TorchLater:
        n, self._n = self._n, 0
        return self._ear.begin(self._room[:n])


class TorchLater:
    """An `ear.Later`."""

    def __init__(self, parts: Future[list[_Part]]) -> None:
        self._parts = parts

    def done(self) -> bool:
        """Whether `result` need not wait."""
        return self._parts.done() and (
            self._parts.exception() is not None
            or all(done is None or bool(done.query()) for _, _, done in self._parts.result())
        )

    def result(self) -> Hearing:
        """CheckpointError for NaN or infinite probabilities, since samples are checked before."""
        parts = self._parts.result()
        for _, _, done in parts:
            if done is not None:
                done.synchronize()
        probabilities, summaries = (
            torch.cat(some).numpy() for some in list(zip(*parts, strict=True))[:2]
        )
        heard = Hearing(probabilities, summaries)
        if not torch.from_numpy(heard.probabilities).isfinite().all():
            raise CheckpointError("the model's weights give no probabilities")
        return heard


class OnCpu:
    """A network in torch, for `ear_core.CoreEar`: (B, C, T) -> Hearing."""

    def __init__(self, model: Network) -> None:
        self._model = model.eval()

    @torch.inference_mode()
    def __call__(self, coefficients: Real) -> Hearing:
        try:
            summaries = self._model.summary(torch.from_numpy(coefficients))
            return Hearing(self._model.logits(summaries).sigmoid().numpy(), summaries.numpy())
        except RuntimeError as error:
            if _is_no_memory(error):
                raise MemoryError(str(error)) from error
            raise


def suitable_batch_size(device: torch.device) -> int:
    """Segments at once that suit a device."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return max(1, min(CUDA_BATCH, free // SEGMENT_BYTES))
    return MPS_BATCH if device.type == "mps" else CPU_BATCH


def _on_its_way(found: torch.Tensor) -> torch.Tensor:
    """A copy on the CPU, which need not be there yet."""
    copy = torch.empty(found.shape, dtype=found.dtype, pin_memory=True)
    return copy.copy_(found, non_blocking=True)


def _is_no_memory(error: RuntimeError | MemoryError) -> bool:
    kinds = (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, kinds) or bool(_NO_MEMORY.search(str(error)))
