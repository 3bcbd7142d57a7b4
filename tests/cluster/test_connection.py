"""What a cluster's machines must have in common, and what is made of Ray's errors."""

from __future__ import annotations

import importlib.metadata
import types
from typing import Any, cast

import pytest

from musictag.cluster import connection, ears
from musictag.cluster.messages import Lost
from musictag.errors import MusictagError, UsageError


class GoneError(Exception):
    """Ray's error for a machine that died."""


class TaskError(GoneError):
    """Ray's error for an exception in a task."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(cause)
        self.cause = cause


EXCEPTIONS = types.SimpleNamespace(
    RayError=GoneError, RayTaskError=TaskError, LocalRayletDiedError=type("Died", (GoneError,), {})
)


class FakeRay:
    """A Ray that runs at once what is sent to a machine, unless the machine is dead."""

    exceptions = EXCEPTIONS
    util = types.SimpleNamespace(
        scheduling_strategies=types.SimpleNamespace(
            NodeAffinitySchedulingStrategy=lambda node, soft: node
        )
    )

    def __init__(self, **installed: str | None) -> None:
        self.installed = installed
        self.nodes = [{"NodeID": name, "NodeManagerHostname": name} for name in installed]

    def remote(self, function: Any) -> Any:
        def options(num_cpus: int, scheduling_strategy: str) -> Any:
            return types.SimpleNamespace(remote=lambda _: self.installed[scheduling_strategy])

        return types.SimpleNamespace(options=options)

    def get(self, version: str | None, timeout: float) -> list[str]:
        if version is None:
            raise GoneError("The node died. It was ill")
        return [version, *(importlib.metadata.version(n) for n in ("av", "soundfile", "audioread"))]


def test_machines_must_be_alike_and_one_that_has_just_died_is_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "1.2" if name == "musictag" else real(name)
    )
    ray = FakeRay(one="1.2", two=None, three="1.2")
    fit = connection._fit(ray, ray.nodes)
    assert [node["NodeID"] for node in fit] == ["one", "three"]
    assert "going on without two: The node died" in caplog.text
    for ray, reason in (
        (FakeRay(one="1.2", two="1.1"), "two has musictag 1.1, the machine that scans has 1.2"),
        (FakeRay(one=""), "one has no musictag"),
        (FakeRay(one=None), "no machine of the cluster runs tasks"),
    ):
        with pytest.raises(UsageError, match=reason):
            connection._fit(ray, ray.nodes)


class Answers:
    """A Ray whose calls are their own results, and are there at once."""

    exceptions = EXCEPTIONS

    def remote(self, **_: Any) -> Any:
        return lambda function: function

    def get_runtime_context(self) -> Any:
        return types.SimpleNamespace(gcs_address="127.0.0.1:1")

    def wait(self, calls: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        return calls, []

    def get(self, call: Any) -> Any:
        if isinstance(call, Exception):
            raise call
        return call


@pytest.mark.parametrize(
    ("error", "expected", "said"),
    [
        (GoneError("The worker died. It was ill"), Lost, "the worker was lost: The worker died"),
        (TaskError(GoneError("An object is lost")), Lost, "the worker was lost: An object is lost"),
        (TaskError(Lost("the ear was lost")), Lost, "the ear was lost"),
        (TaskError(UsageError("another version")), UsageError, "another version"),
        (TaskError(ValueError("a bug")), TaskError, "a bug"),
        (TaskError(TaskError(ValueError("a bug of an ear"))), TaskError, "a bug of an ear"),
    ],
)
def test_what_went_away_is_a_loss_and_a_bug_stays_a_bug(
    error: Exception, expected: type[Exception], said: str
) -> None:
    calls = connection.RayTransport(Answers(), cast("Any", None))
    with pytest.raises(expected, match=said):
        calls.answer(error, 0.0)


def test_an_ear_that_does_not_begin_is_left_out_while_there_are_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    all_ears = ears.Ears(Answers(), *cast("Any", (None, None, (), 0)))
    bad = [TaskError(MusictagError("no memory")), GoneError("The actor died. It was ill")]
    assert all_ears._ready(["node-1", *bad]) == {"node-1": "node-1"}
    assert "going on without one of 3 models: no memory" in caplog.text
    assert (
        "going on without one of 3 models: no model could be started: The actor died" in caplog.text
    )
    with pytest.raises(MusictagError, match="no memory"):
        all_ears._ready(bad)
    with pytest.raises(TaskError, match="a bug"):
        all_ears._ready(["node-1", TaskError(ValueError("a bug"))])
