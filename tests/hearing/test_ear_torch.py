"""Hearing by torch: batches, a device that is not waited for, and memory that runs out."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
import pytest
import sounds
import torch
from torch import Tensor, nn
from torch_ears import LENGTH, Network, ear_of, segments

from musictag import decision
from musictag.audio.samples import RATE_HZ, SEGMENT_S
from musictag.errors import DeviceError
from musictag.hearing import checkpoint, ear_torch
from musictag.hearing.ear_torch import TorchEar, TorchLater
from musictag.hearing.kernels.choice import choose

# ---------------------------------------------------------------- memory that runs out


def test_where_memory_runs_out_half_as_many_are_heard_from_then_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = Network(room_for=3)
    listener = ear_of(network)
    numbers = [n / 16 for n in range(11)]
    heard = listener.hear(segments(*numbers))
    np.testing.assert_allclose(heard.probabilities, segments(*numbers)[:, :1].sigmoid())
    np.testing.assert_array_equal(heard.summaries, segments(*numbers))
    assert network.tried == [8, 4, 2, 2, 2, 2, 2, 1]
    assert network.heard == numbers, "each of them once"
    assert caplog.messages == [
        "cpu is out of memory: going on in batches of 4",
        "cpu is out of memory: going on in batches of 2",
    ]
    listener.hear(segments(*numbers[:4]))
    assert network.tried[8:] == [2, 2], "what was too much is not tried again"


def test_a_short_batch_that_is_too_much_is_halved_itself() -> None:
    network = Network(room_for=2)
    ear_of(network, 64).hear(segments(0.0, 0.25, 0.5))
    assert network.tried == [3, 1, 1, 1]


def heard_in_batches(ear: TorchEar, numbers: Sequence[float]) -> list[float]:
    """As a scan hears: two batches in turn, of which one is heard while the other is gathered."""
    batches = [ear.batch(LENGTH) for _ in range(2)]
    under_way: deque[TorchLater] = deque()
    probabilities: list[float] = []

    def take() -> None:
        probabilities.extend(under_way.popleft().result().probabilities[:, 0].tolist())

    size = batches[0].size
    for n, first in enumerate(range(0, len(numbers), size)):
        batch = batches[n % 2]
        for number in numbers[first : first + size]:
            batch.add(np.full(LENGTH, number, np.float32))
        under_way.append(batch.begin())
        if len(under_way) == 2:
            take()
    take()
    return probabilities


def test_batches_go_on_where_memory_runs_out_and_nothing_is_heard_twice() -> None:
    network = Network(room_for=5)
    numbers = [number for n in range(30) for number in (n / 32, n / 64, n / 128)]
    heard = heard_in_batches(ear_of(network), numbers)
    assert network.heard == numbers
    assert network.tried == [8, *[4] * 22, 2]
    assert heard == pytest.approx(torch.tensor(numbers).sigmoid().tolist())


def test_a_batch_uses_its_memory_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ear = ear_of(Network(99), 2)
    rooms: list[int] = []
    make = ear.room
    monkeypatch.setattr(ear, "room", lambda n: (rooms.append(n), make(n))[1])
    numbers = [0.5] * 20 + [0.25] * 20
    assert heard_in_batches(ear, numbers) == torch.tensor(numbers).sigmoid().tolist()
    assert rooms == [LENGTH] * 2


def test_batches_of_many_sizes_are_heard_as_they_come() -> None:
    network = Network(room_for=99)
    batch = ear_of(network, 4).batch(LENGTH)
    numbers = [n / 16 for n in range(11)]
    waiting, heard = iter(numbers), []
    for size in (2, 4, 4, 1):
        for number in islice(waiting, size):
            batch.add(np.full(LENGTH, number, np.float32))
        heard += batch.begin().result().probabilities[:, 0].tolist()
    assert heard == torch.tensor(numbers).sigmoid().tolist()
    assert network.tried == [2, 4, 4, 1]


def test_without_memory_for_one_segment_it_ends_and_names_the_cure() -> None:
    network = Network(room_for=0)
    with pytest.raises(DeviceError, match=r"not enough free memory.*--device cpu"):
        ear_of(network).hear(segments(0.0, 0.25, 0.5))
    assert network.tried == [3, 1]


def test_a_model_that_does_not_fit_names_the_cure_as_well() -> None:
    class Large(nn.Module):
        def to(self, *_: Any, **__: Any) -> Large:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(DeviceError, match=r"even for the model.*--device cpu"):
        ear_of(Large())


@pytest.mark.parametrize(
    ("says", "is_memory"),
    [
        ("MPS backend out of memory (MPS allocated: 1 GB)", True),
        ("[enforce fail] . DefaultCPUAllocator: can't allocate memory: you tried to …", True),
        ("cuFFT error: CUFFT_ALLOC_FAILED", True),
        ("cuFFT error: CUFFT_INTERNAL_ERROR", True),
        ("cuDNN error: CUDNN_STATUS_ALLOC_FAILED", True),
        ("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED", True),
        ("CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", True),
        ("CUDNN_STATUS_NOT_INITIALIZED", False),
        ("mat1 and mat2 shapes cannot be multiplied", False),
    ],
)
def test_what_libraries_say_of_memory_is_understood_and_nothing_else(
    says: str, is_memory: bool
) -> None:
    if is_memory:
        assert len(ear_of(Network(1, says)).hear(segments(0.25, 0.5)).probabilities) == 2
    else:
        with pytest.raises(RuntimeError, match=says[:20]):
            ear_of(Network(1, says)).hear(segments(0.25, 0.5))


def test_a_cpu_too_is_not_waited_for() -> None:
    class Patient(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.may_go_on = threading.Event()

        def summary(self, samples: Tensor) -> Tensor:
            assert self.may_go_on.wait(10)
            return samples

        def logits(self, summary: Tensor) -> Tensor:
            return summary[:, :1]

    network = Patient()
    listener = ear_of(network)
    first, second = listener.begin(segments(0.25)), listener.begin(segments(0.5, 0.75))
    assert not first.done() and not second.done()
    network.may_go_on.set()
    wanted = segments(0.5, 0.75)[:, :1].sigmoid()
    np.testing.assert_allclose(second.result().probabilities, wanted)
    assert first.done() and second.done(), "one after the other"


def test_what_goes_wrong_while_nobody_waits_is_raised_where_it_is_taken() -> None:
    later = ear_of(Network(room_for=0)).begin(segments(0.25))
    with pytest.raises(DeviceError, match="not enough free memory"):
        later.result()
    assert later.done()


@pytest.mark.parametrize(
    ("device", "free_gb", "size"),
    [("cpu", 0, 32), ("mps", 0, 16), *(("cuda", gb, n) for gb, n in ((140, 64), (2, 32), (0, 1)))],
)
def test_auto_takes_as_many_segments_as_fit_into_the_devices_memory(
    monkeypatch: pytest.MonkeyPatch, device: str, free_gb: int, size: int
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free_gb << 30, 140 << 30))
    assert ear_torch.suitable_batch_size(torch.device(device)) == size


# ---------------------------------------------------------------- on a real one

on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(scope="module")
def music() -> Tensor:
    """Chords, each another one: (5, N)."""
    chords = (
        sounds.chord(SEGMENT_S, rate_hz=RATE_HZ, channels=1, seed=seed)[:, 0] for seed in range(5)
    )
    return torch.from_numpy(np.stack(list(chords)))


@pytest.mark.gpu
@on_cuda
def test_a_gpu_hears_what_a_cpu_hears(music: Tensor) -> None:
    """Both in float32; the rest is the order of sums, some 1e-5 of a coefficient."""
    found = checkpoint.find()
    ears = found.load("cpu", kernels=choose(transforms="portable")), found.load("cuda")
    (on_cpu, of_cpu), (on_gpu, of_gpu) = (ear.hear(music.numpy()) for ear in ears)
    np.testing.assert_allclose(on_gpu, on_cpu, atol=1e-4, rtol=0)
    np.testing.assert_allclose(of_gpu, of_cpu, atol=1e-3, rtol=0)
    for gpu_row, cpu_row in zip(on_gpu.tolist(), on_cpu.tolist(), strict=True):
        chosen = (
            decision.choose(
                dict(zip(found.tags, row, strict=True)), found.vocabulary, limits=limits
            )
            for row in (gpu_row, cpu_row)
            for limits in [{"GENRE": 2, "MOOD": 2, "INSTRUMENT": 4, "VOCALS": 2}]
        )
        assert len({str(fields) for fields in chosen}) == 1


@pytest.mark.gpu
@on_cuda
def test_on_a_gpu_a_segment_is_the_same_however_full_its_batch_is(music: Tensor) -> None:
    on_gpu = checkpoint.find().load("cuda", batch_size=4)
    full, alone = on_gpu.hear(music.numpy()), on_gpu.hear(music[:1].numpy())
    np.testing.assert_array_equal(full.probabilities[:1], alone.probabilities)
    np.testing.assert_array_equal(full.summaries[:1], alone.summaries)


@pytest.mark.gpu
@on_cuda
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_a_gpu_is_not_waited_for(music: Tensor) -> None:
    on_gpu = checkpoint.find().load("cuda", batch_size=5)
    assert isinstance(on_gpu, TorchEar)
    room = on_gpu.room(music.shape[1])
    assert room.is_pinned()
    room.copy_(music)
    expected = on_gpu.hear(room)  # plans and workspaces are made
    torch.cuda.set_sync_debug_mode("error")
    try:
        later = on_gpu.begin(room)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for found, wanted in zip(later.result(), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.gpu
@on_cuda
def test_a_gpu_that_is_nearly_full_hears_all_the_same(
    music: Tensor, caplog: pytest.LogCaptureFixture
) -> None:
    on_gpu = checkpoint.find().load("cuda", batch_size=256)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties("cuda").total_memory
    allowed = torch.cuda.memory_reserved() + 2**30
    torch.cuda.set_per_process_memory_fraction(allowed / total)
    try:
        heard = on_gpu.hear(music.numpy())
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert on_gpu.batch_size < 256
    assert "cuda is out of memory" in caplog.text
    on_cpu = checkpoint.find().load("cpu", kernels=choose(transforms="portable"))
    wanted = on_cpu.hear(music.numpy()).probabilities
    np.testing.assert_allclose(heard.probabilities, wanted, atol=1e-4, rtol=0)
