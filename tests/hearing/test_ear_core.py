"""Hearing on a CPU: segments one by one, coefficients together, and memory that runs out."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sounds
import torch
from waits import WAIT_S

from musictag.errors import CheckpointError, DeviceError
from musictag.hearing import checkpoint
from musictag.hearing import ear_core as ear_cpu
from musictag.hearing.ear_core import CpuEar, Real
from musictag.hearing.ear_torch import Ear
from musictag.hearing.kernels import mkl
from musictag.hearing.network.architecture import Architecture
from musictag.hearing.network.recurrent import Tagger
from musictag.hearing.scattering.plan import FrontEnd
from musictag.hearing.scattering.torch import Scattering

pytestmark = pytest.mark.skipif(not mkl.is_there(), reason="without oneMKL")


def segments(*numbers: float) -> Real:
    return np.array(numbers, np.float32)[:, None].repeat(4, axis=1)


def front_end(segment: Real) -> Real:
    return segment[:, None] * 2


class Network:
    """Gives of every segment the number that is in it, if there is room for so many."""

    def __init__(self, room_for: int = 99) -> None:
        self.room_for = room_for
        self.tried: list[int] = []

    def __call__(self, coefficients: Real) -> Real:
        self.tried.append(len(coefficients))
        if len(coefficients) > self.room_for:
            raise MemoryError("Unable to allocate 27 MiB for an array")
        return coefficients[:, 0] / 2


def test_segments_are_heard_in_the_order_in_which_they_come() -> None:
    ear = CpuEar(front_end, Network(), batch_size=16, n_cores=3)
    numbers = [n / 64 for n in range(50)]
    np.testing.assert_array_equal(ear.hear(segments(*numbers))[:, 0], segments(*numbers)[:, 0])
    batch = ear.batch()
    begun = []
    for number in numbers:
        batch.add(segments(number)[0])
        begun.append(batch.begin())
    assert [float(later.result()[0, 0]) for later in begun] == numbers


@pytest.mark.parametrize(
    ("n_segments", "rows"), [(1, [1]), (32, [32]), (33, [16, 17]), (96, [32] * 3), (300, [100] * 3)]
)
def test_few_rows_are_not_shared_out_to_many_cores(n_segments: int, rows: list[int]) -> None:
    network = Network(room_for=999)
    CpuEar(front_end, network, batch_size=300, n_cores=3).hear(segments(*range(n_segments)))
    assert sorted(network.tried) == rows


def test_nobody_waits_for_the_network_and_only_for_a_crowded_front_end() -> None:
    may_go_on = threading.Event()

    def patient(segment: Real) -> Real:
        assert may_go_on.wait(10)
        return segment[:, None]

    ear = CpuEar(patient, Network(), n_cores=1)
    batch = ear.batch()
    for number in range(ear_cpu.AHEAD):
        batch.add(segments(number)[0])
    later = batch.begin()
    assert not later.is_there
    adding = threading.Thread(target=batch.add, args=segments(9.0))
    adding.start()
    adding.join(0.2)
    assert adding.is_alive(), "its samples would be kept in memory"
    may_go_on.set()
    adding.join(10)
    assert len(later.result()) == ear_cpu.AHEAD
    assert later.is_there


def test_where_memory_runs_out_half_as_many_are_judged_and_nothing_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = Network(room_for=3)
    ear = CpuEar(front_end, network, n_cores=1)
    numbers = [float(n) for n in range(10)]
    np.testing.assert_array_equal(ear.hear(segments(*numbers))[:, 0], numbers)
    assert network.tried == [10, 5, 2, 3, 5, 2, 3]
    assert caplog.messages == [
        f"cpu is out of memory: going on in batches of {n}" for n in (5, 2, 2)
    ]


def no_memory(_: Real) -> Real:
    raise MemoryError


@pytest.mark.parametrize("where", ["front end", "network"])
def test_without_memory_for_one_segment_it_says_so_where_the_result_is_taken(where: str) -> None:
    ear = CpuEar(
        no_memory if where == "front end" else front_end,
        no_memory if where == "network" else Network(),
        n_cores=1,
    )
    batch = ear.batch()
    for number in range(2 * ear_cpu.AHEAD):  # who fails gives up its place
        batch.add(segments(number)[0])
    later = batch.begin()
    with pytest.raises(DeviceError, match="not enough free memory"):
        later.result()


def test_weights_that_give_no_probabilities_are_to_blame_for_it() -> None:
    ear = CpuEar(front_end, lambda rows: rows[:, 0] * np.float32("nan"), n_cores=1)
    with pytest.raises(CheckpointError, match="no probabilities"):
        ear.hear(segments(1.0))


def test_it_hears_what_torch_hears() -> None:
    """The network in float32; envelopes are of other lengths, see `scattering_cpu`."""
    found = checkpoint.find()
    rng = np.random.default_rng(0)
    sound = (0.1 * rng.standard_normal((3, 464_000))).astype(np.float32)
    ear = found.load()
    assert isinstance(ear, CpuEar)
    tagger = found.network()
    with torch.inference_mode():
        coefficients = Scattering(FrontEnd(**found.front_end))(torch.from_numpy(sound))
        wanted = tagger(coefficients).sigmoid().numpy()
    np.testing.assert_allclose(ear.hear(sound), wanted, atol=5e-3)


def test_a_model_is_loaded_and_heard_with_without_torch() -> None:
    script = """if True:
        import sys
        import numpy as np
        from musictag.hearing import checkpoint
        from musictag.hearing import ear_torch as ear
        loaded = checkpoint.find().load(ear.find_device("cpu"), n_cores=2)
        assert loaded.hear(np.zeros((1, 464_000), np.float32)).shape == (1, 50)
        assert "torch" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", script], check=True, timeout=WAIT_S)


def test_a_whole_scan_needs_no_torch(tmp_path: Path) -> None:
    song = sounds.make(tmp_path, "wav", seconds=31)
    script = f"""if True:
        import sys
        from musictag.cli.program import app
        try:
            app(["scan", "--device", "cpu", "--no-cache", {str(song)!a}], standalone_mode=False)
        finally:
            assert "torch" not in sys.modules
    """
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, timeout=WAIT_S
    )
    assert b"1 track" in done.stderr


@pytest.mark.parametrize("options", [{"cell": "lstm"}, {"bidirectional": True}])
def test_what_has_no_layout_is_heard_by_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object]
) -> None:
    found = checkpoint.find()
    described = {**found.architecture, **options}
    monkeypatch.setattr(checkpoint.Checkpoint, "network", lambda _: Tagger(Architecture()))
    other = replace(found, directory=tmp_path, architecture=described)
    assert isinstance(other.load(), Ear)
