"""Segments to probabilities: batches, a device that is not waited for, and memory that runs out."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sounds
import torch
from ears import FakeEar
from torch import Tensor, nn

from musictag import decision
from musictag.audio.samples import RATE_HZ, SEGMENT_S
from musictag.errors import DeviceError
from musictag.hearing import checkpoint
from musictag.hearing import ear_torch as ear
from musictag.hearing.ear_torch import Ear
from musictag.scan import listening
from musictag.scan.job import Job
from musictag.scan.listening import Listening
from musictag.scan.readers import QUIET, Arrival, Decoded, Segment

LENGTH = 4
"""Samples of a made-up segment."""


def segments(*numbers: float) -> Tensor:
    return torch.tensor(numbers)[:, None].expand(-1, LENGTH).contiguous()


class Network(nn.Module):
    """Hears of every segment the number that is in it, on a device with room for so many."""

    def __init__(self, room_for: int, says: str = "CUDA out of memory. Tried to …") -> None:
        super().__init__()
        self.room_for = room_for
        self.says = says
        self.tried: list[int] = []
        self.heard: list[float] = []

    def forward(self, samples: Tensor) -> Tensor:
        self.tried.append(len(samples))
        if len(samples) > self.room_for:
            error = torch.OutOfMemoryError if self.says.startswith("CUDA") else RuntimeError
            raise error(self.says)
        self.heard += samples[:, 0].tolist()
        return samples[:, :1]


def ear_of(network: nn.Module, batch_size: int = 8) -> Ear:
    """With one core, so that all of a batch is heard at once."""
    one = Ear(nn.Identity(), network, "cpu", batch_size)
    one._crew = ear._Crew(1)
    return one


# ---------------------------------------------------------------- memory that runs out


def test_where_memory_runs_out_half_as_many_are_heard_from_then_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = Network(room_for=3)
    listener = ear_of(network)
    numbers = [n / 16 for n in range(11)]
    heard = listener.hear(segments(*numbers))
    torch.testing.assert_close(heard, segments(*numbers)[:, :1].sigmoid())
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
        assert len(ear_of(Network(1, says)).hear(segments(0.25, 0.5))) == 2
    else:
        with pytest.raises(RuntimeError, match=says[:20]):
            ear_of(Network(1, says)).hear(segments(0.25, 0.5))


class FrontEnd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[int] = []
        self.n_threads: list[int] = []

    def forward(self, samples: Tensor) -> Tensor:
        self.pieces.append(len(samples))
        self.n_threads.append(torch.get_num_threads())
        return samples


def test_cores_share_the_work_and_what_is_heard_stays_in_order() -> None:
    front_end, network = FrontEnd(), Network(room_for=32)
    before = torch.get_num_threads()
    numbers = [n / 32 for n in range(20)]
    listener = Ear(front_end, network, "cpu", 32)
    listener._crew = ear._Crew(2)
    heard = listener.hear(segments(*numbers))
    torch.testing.assert_close(heard, segments(*numbers)[:, :1].sigmoid())
    assert sorted(network.heard) == numbers, "each of them once"
    assert set(front_end.n_threads) == {1}, "or each piece would be shared out once more"
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("n_segments", "pieces"),
    [(1, [1]), (2, [1, 1]), (20, [6, 7, 7]), (25, [4] * 5 + [5]), (32, [5] * 4 + [6] * 2)],
)
def test_pieces_are_small_and_no_core_has_more_than_others(
    n_segments: int, pieces: list[int]
) -> None:
    front_end = FrontEnd()
    ear._Crew(3).shared_out(front_end, segments(*range(n_segments)), most=8)
    assert sorted(front_end.pieces) == pieces


@pytest.mark.parametrize(
    ("n_segments", "rows"), [(1, [1]), (16, [16]), (17, [8, 9]), (96, [32] * 3)]
)
def test_few_rows_are_not_shared_out_to_many_cores(n_segments: int, rows: list[int]) -> None:
    network = Network(room_for=99)
    ear._Crew(3).shared_out(network, segments(*range(n_segments)), least=16)
    assert sorted(network.tried) == rows


def test_a_cpu_too_is_not_waited_for() -> None:
    class Patient(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.may_go_on = threading.Event()

        def forward(self, samples: Tensor) -> Tensor:
            assert self.may_go_on.wait(10)
            return samples[:, :1]

    network = Patient()
    listener = ear_of(network)
    first, second = listener.begin(segments(0.25)), listener.begin(segments(0.5, 0.75))
    assert not first.is_there and not second.is_there
    network.may_go_on.set()
    torch.testing.assert_close(second.result(), segments(0.5, 0.75)[:, :1].sigmoid())
    assert first.is_there and second.is_there, "one after the other"


def test_what_goes_wrong_while_nobody_waits_is_raised_where_it_is_taken() -> None:
    later = ear_of(Network(room_for=0)).begin(segments(0.25))
    with pytest.raises(DeviceError, match="not enough free memory"):
        later.result()
    assert later.is_there


def test_when_memory_runs_out_in_a_piece_all_pieces_end_before_less_is_tried() -> None:
    class Narrow(nn.Module):
        """Has no memory for a batch's first piece, and the others take their time."""

        def __init__(self) -> None:
            super().__init__()
            self.at_work, self.first_ended = 0, threading.Event()
            self.found_at_work: list[int] = []

        def forward(self, samples: Tensor) -> Tensor:
            if samples[0, 0] == 0 and len(samples) > 2:
                self.first_ended.set()
                raise MemoryError("Unable to allocate 27 MiB for an array")  # NumPy's
            self.found_at_work.append(self.at_work)
            if len(samples) > 2:
                self.at_work += 1
                self.first_ended.wait(10)
                time.sleep(0.05)
                self.at_work -= 1
            return samples

    network = Network(room_for=32)
    hearing = Ear(front_end := Narrow(), network, "cpu", 8)
    hearing._crew = ear._Crew(2)
    numbers = [n / 32 for n in range(8)]
    hearing.hear(segments(*numbers))
    assert network.heard == numbers
    assert front_end.found_at_work == [0] * 5  # one large piece, and all the small ones after it


@pytest.mark.parametrize(("n_cores", "size"), [(1, 48), (2, 96), (4, 67), (8, 67), (64, 67)])
def test_a_batch_is_as_large_as_memory_allows_beside_the_cores_pieces(
    monkeypatch: pytest.MonkeyPatch, n_cores: int, size: int
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_cores)
    assert ear._suitable_batch_size(torch.device("cpu")) == size


@pytest.mark.parametrize(
    ("device", "free_gb", "size"),
    [("mps", 0, 16), *(("cuda", gb, n) for gb, n in ((140, 64), (2, 32), (0, 1)))],
)
def test_auto_takes_as_many_segments_as_fit_into_the_devices_memory(
    monkeypatch: pytest.MonkeyPatch, device: str, free_gb: int, size: int
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free_gb << 30, 140 << 30))
    assert ear._suitable_batch_size(torch.device(device)) == size


@pytest.mark.parametrize(
    ("there", "asked"), [("/dev/nvidiactl", True), ("/dev/kfd", True), ("/dev/null", False)]
)
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch is asked")
def test_torch_is_asked_for_devices_only_where_it_could_find_one(
    monkeypatch: pytest.MonkeyPatch, there: str, asked: bool
) -> None:
    n_asked: list[int] = []
    monkeypatch.setattr(ear.os.path, "exists", lambda path: path == there)
    monkeypatch.setattr(ear, "_torch", lambda: (n_asked.append(1), torch)[1])
    assert ear.find_device("auto") == ("cuda" if torch.cuda.is_available() and asked else "cpu")
    assert bool(n_asked) is asked


# ---------------------------------------------------------------- a device that is not waited for


class Slow(FakeEar):
    """A device that is at work until somebody waits for it, or `finish` is called."""

    def __init__(self, batch_size: int = 2) -> None:
        self.batch_size = batch_size
        self.diary: list[str] = []
        self.n_begun = 0
        self.is_done = False

    def begin(self, segments: Tensor) -> Any:
        self.n_begun += 1
        self.diary.append(f"begin {self.n_begun}")
        return SlowLater(self, self.n_begun, segments)


class SlowLater:
    def __init__(self, device: Slow, number: int, segments: Tensor) -> None:
        self.device, self.number, self.segments = device, number, segments

    @property
    def is_there(self) -> bool:
        return self.device.is_done

    def result(self) -> Tensor:
        self.device.diary.append(f"take {self.number}")
        return self.segments[:, :1].clone()  # read only now: nobody may have written over them


def arrivals(*tracks: Sequence[float]) -> Iterator[Arrival]:
    """All segments of one track after another, each a number."""
    for number, heard in enumerate(tracks):
        job = Job(number, Path(f"{number}.mp3"))
        for x in heard:
            yield Segment(job, np.full(LENGTH, x, dtype=np.float32))
        yield Decoded(job)


def heard_by(
    device: Any, coming: Any, progress: Callable[[Path, float, bool], None] = lambda *_: None
) -> list[tuple[int, list[float]]]:
    listener = Listening(lambda: device, lambda: False, progress)
    return [(job.number, [p for (p,) in job.taggram]) for job in listener.jobs(coming)]


def test_the_next_batch_is_begun_before_the_one_before_is_waited_for() -> None:
    device = Slow()
    tracks = [[0.0], [0.125, 0.25, 0.375], [0.5, 0.625, 0.75], [0.875]]
    assert heard_by(device, arrivals(*tracks)) == list(enumerate(tracks))
    assert device.diary == [
        *("begin 1", "begin 2", "take 1", "begin 3", "take 2", "begin 4", "take 3", "take 4"),
    ]


def test_the_first_batch_is_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_FIRST", 2)
    network = Network(room_for=99)
    numbers = [n / 16 for n in range(11)]
    assert heard_by(ear_of(network, 4), arrivals(numbers)) == [
        (0, torch.tensor(numbers).sigmoid().tolist())
    ]
    assert network.tried == [2, 4, 4, 1]


def test_what_is_there_is_taken_when_the_next_segment_comes() -> None:
    device = Slow()

    def coming() -> Iterator[Arrival]:
        for n, arrival in enumerate(arrivals([0.0, 0.125], [0.25], [0.375])):
            device.is_done = n == 3
            if n == 4:
                assert device.diary == ["begin 1", "take 1"]
            yield arrival

    assert [number for number, _ in heard_by(device, coming())] == [0, 1, 2]


def test_when_nothing_comes_for_a_while_all_that_came_is_heard() -> None:
    device = Slow(batch_size=3)
    coming = [*arrivals([0.0, 0.125, 0.25, 0.375]), QUIET, *arrivals([0.5])]
    heard = heard_by(device, coming)
    assert heard == [(0, [0.0, 0.125, 0.25, 0.375]), (0, [0.5])]
    assert device.diary == ["begin 1", "begin 2", "take 1", "take 2", "begin 3", "take 3"]


def test_memory_for_segments_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two batches: one is heard while the other is gathered."""
    for device in (Slow(), ear_of(Network(99), 2)):
        rooms: list[int] = []
        make = device.room
        monkeypatch.setattr(
            device, "room", lambda n, make=make, rooms=rooms: (rooms.append(n), make(n))[1]
        )
        heard_by(device, arrivals([0.5] * 20, [0.25] * 20))
        assert rooms == [LENGTH] * 2


def test_a_scan_goes_on_where_memory_runs_out_and_hears_nothing_twice() -> None:
    network = Network(room_for=5)
    tracks = [[n / 32, n / 64, n / 128] for n in range(30)]
    heard = dict(heard_by(ear_of(network), arrivals(*tracks)))
    assert network.heard == [x for track in tracks for x in track]
    assert network.tried == [8, *[4] * 22, 2]
    for number, track in enumerate(tracks):
        assert heard[number] == pytest.approx(torch.tensor(track).sigmoid().tolist())


def test_it_is_told_of_music_when_it_arrives_long_before_a_batch_is_full() -> None:
    told: list[tuple[str, float, bool]] = []
    device = Slow(4)

    def progress(path: Path, seconds: float, is_all: bool) -> None:
        told.append((path.name, seconds * RATE_HZ, is_all))
        if len(told) == 3:
            assert device.n_begun == 0

    coming = arrivals([0.5] * 5, [0.25])
    heard_by(device, coming, progress)
    first, second = ("0.mp3", LENGTH, False), ("1.mp3", LENGTH, False)
    assert told == [*[first] * 5, ("0.mp3", 0, True), second, ("1.mp3", 0, True)]


def test_of_a_track_that_is_heard_elsewhere_it_is_told_all_at_once() -> None:
    told: list[tuple[str, float, bool]] = []
    job = Job(0, Path("0.mp3"), taggram=[[0.5], [0.25]], n_heard_elsewhere=2)
    heard = heard_by(
        Slow(), [Decoded(job)], lambda path, s, done: told.append((path.name, s, done))
    )
    assert heard == [(0, [0.5, 0.25])]
    assert told == [("0.mp3", 2 * SEGMENT_S, True)]


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
    on_cpu, on_gpu = (found.load(device).hear(music) for device in ("cpu", "cuda"))
    torch.testing.assert_close(on_gpu, on_cpu, atol=1e-4, rtol=0)
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
    assert torch.equal(on_gpu.hear(music)[:1], on_gpu.hear(music[:1]))


@pytest.mark.gpu
@on_cuda
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_a_gpu_is_not_waited_for(music: Tensor) -> None:
    on_gpu = checkpoint.find().load("cuda", batch_size=5)
    room = on_gpu.room(music.shape[1])
    assert room.is_pinned()
    room.copy_(music)
    expected = on_gpu.hear(room)  # plans and workspaces are made
    torch.cuda.set_sync_debug_mode("error")
    try:
        later = on_gpu.begin(room)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(later.result(), expected)


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
        heard = on_gpu.hear(music)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert on_gpu.batch_size < 256
    assert "cuda is out of memory" in caplog.text
    torch.testing.assert_close(heard, checkpoint.find().load().hear(music), atol=1e-4, rtol=0)
