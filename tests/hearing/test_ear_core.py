"""Hearing on a CPU: segments one by one, coefficients together, and memory that runs out."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from musictag.errors import CheckpointError, DeviceError
from musictag.hearing import ear_core
from musictag.hearing.arrays import Real
from musictag.hearing.ear import Hearing
from musictag.hearing.ear_core import CoreEar


def segments(*numbers: float) -> Real:
    return np.array(numbers, np.float32)[:, None].repeat(4, axis=1)


def front_end(segment: Real) -> Real:
    return segment[:, None] * 2


class Network:
    """Gives of every segment the number that is in it, if there is room for so many."""

    def __init__(self, room_for: int = 99) -> None:
        self.room_for = room_for
        self.tried: list[int] = []

    def __call__(self, coefficients: Real) -> Hearing:
        self.tried.append(len(coefficients))
        if len(coefficients) > self.room_for:
            raise MemoryError("Unable to allocate 27 MiB for an array")
        return Hearing(coefficients[:, 0] / 2, coefficients[:, 0])


def test_segments_are_heard_in_the_order_in_which_they_come() -> None:
    ear = CoreEar(front_end, Network(), batch_size=16, n_cores=3)
    numbers = [n / 64 for n in range(50)]
    heard = ear.hear(segments(*numbers))
    np.testing.assert_array_equal(heard.probabilities, segments(*numbers)[:, :1])
    np.testing.assert_array_equal(heard.summaries, 2 * segments(*numbers)[:, :1])
    batch = ear.batch()
    begun = []
    for number in numbers:
        batch.add(segments(number)[0])
        begun.append(batch.begin())
    assert [float(later.result().probabilities[0, 0]) for later in begun] == numbers


@pytest.mark.parametrize(
    ("n_segments", "rows"), [(1, [1]), (32, [32]), (33, [16, 17]), (96, [32] * 3), (300, [100] * 3)]
)
def test_few_rows_are_not_shared_out_to_many_cores(n_segments: int, rows: list[int]) -> None:
    network = Network(room_for=999)
    CoreEar(front_end, network, batch_size=300, n_cores=3).hear(segments(*range(n_segments)))
    assert sorted(network.tried) == rows


def test_nobody_waits_for_the_network_and_only_for_a_crowded_front_end() -> None:
    may_go_on = threading.Event()

    def patient(segment: Real) -> Real:
        assert may_go_on.wait(10)
        return segment[:, None]

    ear = CoreEar(patient, Network(), n_cores=1)
    batch = ear.batch()
    for number in range(ear_core.AHEAD):
        batch.add(segments(number)[0])
    later = batch.begin()
    assert not later.done()
    adding = threading.Thread(target=batch.add, args=segments(9.0))
    adding.start()
    adding.join(0.2)
    assert adding.is_alive(), "its samples would be kept in memory"
    may_go_on.set()
    adding.join(10)
    assert len(later.result().probabilities) == ear_core.AHEAD
    assert later.done()


def test_where_memory_runs_out_half_as_many_are_judged_and_nothing_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = Network(room_for=3)
    ear = CoreEar(front_end, network, n_cores=1)
    numbers = [float(n) for n in range(10)]
    np.testing.assert_array_equal(ear.hear(segments(*numbers)).probabilities[:, 0], numbers)
    assert network.tried == [10, 5, 2, 3, 5, 2, 3]
    assert caplog.messages == [
        f"cpu is out of memory: going on in batches of {n}" for n in (5, 2, 2)
    ]


def no_memory(_: Real) -> Any:
    raise MemoryError


@pytest.mark.parametrize("where", ["front end", "network"])
def test_without_memory_for_one_segment_it_says_so_where_the_result_is_taken(where: str) -> None:
    ear = CoreEar(
        no_memory if where == "front end" else front_end,
        no_memory if where == "network" else Network(),
        n_cores=1,
    )
    batch = ear.batch()
    for number in range(2 * ear_core.AHEAD):  # who fails gives up its place
        batch.add(segments(number)[0])
    later = batch.begin()
    with pytest.raises(DeviceError, match="not enough free memory"):
        later.result()


def test_weights_that_give_no_probabilities_are_to_blame_for_it() -> None:
    ear = CoreEar(
        front_end, lambda rows: Hearing(rows[:, 0] * np.float32("nan"), rows[:, 0]), n_cores=1
    )
    with pytest.raises(CheckpointError, match="no probabilities"):
        ear.hear(segments(1.0))
