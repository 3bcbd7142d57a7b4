"""What runs on a cluster's machines: versions that must agree, ears that hear for several tasks."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from musictag import process
from musictag.cluster import ray_library, worker
from musictag.cluster.messages import Request
from musictag.errors import UsageError
from musictag.hearing import checkpoint
from musictag.hearing.ear import Hearing


def test_a_machine_that_joins_during_the_scan_must_be_like_the_others() -> None:
    request = Request("digest", b"/a.mp3")
    with pytest.raises(
        UsageError, match=f"{socket.gethostname()} has musictag .*, the machine tha"
    ):
        worker.work(request, ("0.0.1", "1", "1", "1"), (), frozenset())


class FakeEar:
    """Hears a segment's first sample; while it hears, `meanwhile` happens."""

    def __init__(self) -> None:
        self.batch_size = 4
        self.batches: list[int] = []
        self.gate = threading.Event()

    def hear(self, segments: Any) -> Hearing:
        self.gate.wait(10)
        self.batches.append(len(segments))
        if segments[0, 0] < 0:
            raise ValueError("a bug")
        return Hearing(segments[:, :1], segments)


def segments(*firsts: float) -> Any:
    return np.array([[first, 0.0] for first in firsts], np.float32)


@pytest.fixture
def ear(monkeypatch: pytest.MonkeyPatch) -> FakeEar:
    fake = FakeEar()
    monkeypatch.setattr(worker, "_load", lambda *_: fake)
    return fake


def test_an_ear_hears_on_as_many_cores_as_it_was_given(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of torch too, for networks that torch hears. The library leaves them alone."""
    given: list[int] = []
    model = checkpoint.read(tiny)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(set_num_threads=given.append))
    monkeypatch.setattr(process, "for_a_program", lambda: None)
    monkeypatch.setattr(ray_library, "fetch", lambda _: (model, model.weights()))
    ear = worker._load((None,), "cpu", None, 3)
    assert (ear.n_threads, given) == (3, [3])


def probabilities(hearing: Any) -> Any:
    """As a list, after checking that the summaries are those of the same segments."""
    assert hearing.summaries[:, :1].tolist() == hearing.probabilities.tolist()
    return hearing.probabilities.tolist()


def heard(ear: FakeEar, *requests: Any) -> list[Any]:
    async def all_of_them() -> list[Any]:
        actor = worker.EarActor((None,), "cpu", None, 1)
        tasks = [asyncio.create_task(actor.hear(request)) for request in requests]
        await asyncio.sleep(0)  # each has come before the first batch is heard
        ear.gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(all_of_them())


def test_an_ear_hears_what_several_tasks_send_in_one_batch(ear: FakeEar) -> None:
    requests = segments(1), segments(2, 3), segments(4, 5), segments(6), segments(7, 8, 9, 10, 11)
    expected = [[[row[0]] for row in r.tolist()] for r in requests]
    assert [probabilities(hearing) for hearing in heard(ear, *requests)] == expected
    assert sum(ear.batches) == 11
    assert ear.batches == [3, 3, 5]  # four at most, unless one task alone sends more


def test_an_error_in_an_ear_reaches_those_who_asked_and_the_ear_goes_on(ear: FakeEar) -> None:
    bad, good = heard(ear, segments(-1, 1, 1, 1), segments(2))
    assert isinstance(bad, ValueError)
    assert probabilities(good) == [[2]]


def test_a_request_that_is_cancelled_does_not_stop_an_ear(ear: FakeEar) -> None:
    async def one_is_cancelled() -> Any:
        actor = worker.EarActor((None,), "cpu", None, 1)
        gone, other = (asyncio.create_task(actor.hear(segments(x))) for x in (1, 2))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        ear.gate.set()
        return await asyncio.wait_for(other, 10), await actor.hear(segments(3))

    assert list(map(probabilities, asyncio.run(one_is_cancelled()))) == [[[2]], [[3]]]


def test_a_task_takes_an_ear_on_its_machine_and_none_that_is_silent() -> None:
    ears = {0: ("a", "A"), 1: ("b", "B"), 5: ("b", "C")}

    def taken(here: str, *silent: int) -> set[Any]:
        return {worker._nearest(ears, here, frozenset(silent))[1] for _ in range(100)}

    assert taken("b") == {"B", "C"}
    assert taken("b", 5) == {"B"}
    assert taken("b", 1, 5) == {"A"}
    assert taken("elsewhere") == {"A", "B", "C"}
    assert taken("a", 0, 1, 5) == {"A"}  # all of them: then one may as well be asked
