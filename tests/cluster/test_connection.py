"""A scan on a cluster: what is given out again, what comes home, and a real one with deaths in it.

Most tests need no Ray: the cluster is a fake that loses what it is told to lose. One starts a
cluster of this machine alone and kills its processes in the middle.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import sounds
import torch
from program import Run

from musictag.audio.decoder import Closed, Decoder
from musictag.cli import program as cli
from musictag.cluster import connection as cluster
from musictag.cluster.connection import TRIES, Answer, Hand, Hands, Lost, Request
from musictag.config import Settings
from musictag.errors import AudioError, FileError, MusictagError, UsageError
from musictag.hearing import checkpoint
from musictag.outcome import Outcome
from musictag.scan import pipeline
from musictag.stores.cache import Cache

DIGEST = Answer("node-1", "box", digest=b"d" * 32)
HEARD = Answer("node-1", "box", duration_s=58.0, decoder="ffmpeg", taggram=[[0.5], [0.25]])


@dataclass
class Fake:
    """Carries requests nowhere, and brings back what it was given: an answer, an error, None for
    one that takes its time."""

    answers: list[Answer | BaseException | None]
    calls: list[tuple[Request, str]] = field(default_factory=list)
    on_wait: Callable[[], None] = lambda: None

    def call(self, request: Request, near: str) -> int:
        self.calls.append((request, near))
        return len(self.calls)

    def answer(self, call: int, timeout_s: float) -> Answer | None:
        self.on_wait()
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def hand(*answers: Answer | BaseException | None) -> tuple[Hand, Fake]:
    fake = Fake(list(answers))
    return Hands(fake, 2).hand(), fake


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_PAUSES_S", (0.0,) * TRIES)


# ---------------------------------------------------------------- what is lost


def test_a_file_whose_worker_is_lost_is_given_out_again() -> None:
    own, fake = hand(Lost("its worker was lost"), None, Lost("and again"), HEARD)
    music = own.track(Path("a.mp3"), n_segments=3)
    assert list(music.segments()) == []
    assert (music.taggram, music.duration_s, music.decoder) == ([[0.5], [0.25]], 58.0, "ffmpeg")
    assert [request.n_segments for request, _ in fake.calls] == [3, 3, 3]


def test_a_file_that_is_lost_every_time_is_reported_and_the_next_one_goes_on() -> None:
    own, fake = hand(*[Lost("its worker was lost: out of memory")] * TRIES, DIGEST)
    with pytest.raises(AudioError, match="3 times in a row: its worker was lost: out of") as error:
        own.payload_digest(Path("a.mp3"))
    assert error.value.code == "lost"
    assert error.value.code not in pipeline.DAMAGES  # or it would be remembered as the file's fault
    assert own.payload_digest(Path("b.mp3")) == DIGEST.digest
    assert len(fake.calls) == TRIES + 1


def test_a_cluster_that_loses_everything_ends_the_scan() -> None:
    own, _ = hand(*[Lost("its worker was lost")] * 100)
    with pytest.raises(MusictagError, match="lost all of the last 10 tasks") as error:
        for _ in range(100):
            with contextlib.suppress(FileError):
                own.payload_digest(Path("a.mp3"))
    assert not isinstance(error.value, FileError)


def test_a_cluster_on_which_nothing_can_be_heard_ends_the_scan_though_files_are_digested() -> None:
    own, _ = hand(*[DIGEST, *[Lost("its ear was lost")] * TRIES] * 100)
    with pytest.raises(MusictagError, match="the last 10 tasks") as error:
        for _ in range(100):
            own.payload_digest(Path("a.mp3"))
            with contextlib.suppress(FileError):
                own.track(Path("a.mp3")).segments()
    assert not isinstance(error.value, FileError)


def test_losses_between_answers_are_no_sign_of_anything() -> None:
    own, _ = hand(*[Lost("its worker was lost"), DIGEST] * 100)
    for _ in range(100):
        assert own.payload_digest(Path("a.mp3")) == DIGEST.digest


def test_a_thread_that_waits_for_a_cluster_is_told_when_the_scan_is_over() -> None:
    own, fake = hand(None, None)
    fake.on_wait = own.kill
    with pytest.raises(Closed):
        own.payload_digest(Path("a.mp3"))
    with pytest.raises(Closed):
        own.payload_digest(Path("b.mp3"))
    assert len(fake.calls) == 1


# ---------------------------------------------------------------- what goes out and comes home


def test_a_file_is_heard_where_it_was_digested_unless_that_machine_was_lost() -> None:
    own, fake = hand(DIGEST, Lost("its worker was lost"), HEARD, HEARD)
    own.payload_digest(Path("a.mp3"))
    own.track(Path("a.mp3")).segments()
    own.track(Path("b.mp3")).segments()
    assert [near for _, near in fake.calls] == ["", "node-1", "", ""]


def test_names_go_out_absolute_and_byte_for_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own, fake = hand(DIGEST, DIGEST)
    own.payload_digest(Path(os.fsdecode(b"caf\xe9.mp3")))
    own.payload_digest(tmp_path / ".." / "b.mp3")
    names = [request.path for request, _ in fake.calls]
    assert names == [
        os.fsencode(tmp_path) + b"/caf\xe9.mp3",
        os.fsencode(tmp_path.parent / "b.mp3"),
    ]


def test_what_is_wrong_with_a_file_comes_home_as_it_is() -> None:
    bad = Answer("n", "box", duration_s=12.0, code="truncated", reason="cut short", cure="copy it")
    own, _ = hand(bad)
    music = own.track(Path("a.mp3"))
    with pytest.raises(AudioError) as error:
        music.segments()
    assert error.value.args == (Path("a.mp3"), "truncated", "cut short", "copy it")
    assert music.duration_s == 12.0


def test_a_file_that_is_here_and_not_there_is_not_called_missing(tmp_path: Path) -> None:
    missing = Answer("n", "box", code="not_found", reason="there is no such file")
    own, _ = hand(missing, missing)
    path = tmp_path / "a.mp3"
    with pytest.raises(AudioError, match="there is no such file"):
        own.payload_digest(path)
    path.touch()
    with pytest.raises(AudioError, match=r"not there on box \(is its folder shared") as error:
        own.payload_digest(path)
    assert error.value.code == "not_shared"


def test_what_only_that_machine_may_not_read_names_it() -> None:
    own, _ = hand(Answer("n", "box", code="permission", reason="may not be read"))
    with pytest.raises(AudioError, match="may not be read on box"):
        own.payload_digest(Path("a.mp3"))


class Here:
    """A cluster of one that loses every third call: decodes and hears on the spot."""

    def __init__(self, model: checkpoint.Checkpoint) -> None:
        self.decoder = Decoder()
        self.ear = model.load()
        self.n_calls = 0
        self.lock = threading.Lock()

    def call(self, request: Request, near: str) -> Request:
        return request

    def answer(self, request: Request, timeout_s: float) -> Answer:
        with self.lock:
            self.n_calls += 1
            if self.n_calls % 3 == 0:
                raise Lost("its worker was lost")
            path = Path(os.fsdecode(request.path))
            music = self.decoder.track(path, n_segments=request.n_segments)
            found = Answer("n", "box")
            try:
                if request.what == "digest":
                    return found._replace(digest=self.decoder.payload_digest(path))
                segments = list(music.segments(most=request.most))
            except FileError as error:
                found = found._replace(code=error.code, reason=error.reason, cure=error.cure)
            else:
                taggram = self.ear.hear(torch.from_numpy(np.stack(segments))).tolist()
                found = found._replace(taggram=taggram)
            return found._replace(duration_s=music.duration_s, decoder=music.decoder)


def test_a_cluster_scan_says_what_a_scan_says(tiny: Path, tmp_path: Path) -> None:
    for kind, seconds in {"mp3": 3, "flac": 31, "aac": 3}.items():
        sounds.make(tmp_path, kind, seconds=seconds, rate_hz=16_000, channels=1)
    sounds.write(tmp_path / "silence.wav", "wav", np.zeros((48_000, 1), np.float32), 16_000)
    (tmp_path / "text.mp3").write_text("no music")
    (tmp_path / "gone.mp3").symlink_to(tmp_path / "nowhere")
    paths = sorted(tmp_path.iterdir())
    model = checkpoint.read(tiny)
    settings = Settings(device="cpu", jobs=2)

    def outcomes(hands: Hands | None) -> list[Outcome]:
        return list(pipeline.scan(paths, model, settings, cache=Cache(None), hands=hands))

    here = Here(model)
    with here.decoder:
        far = outcomes(Hands(here, 2))
    for one, other in zip(outcomes(None), far, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)  # batches differ
        assert (one.path, one.status, one.error) == (other.path, other.status, other.error)
        assert (one.duration_s, one.chosen, one.fields) == (
            *(other.duration_s, other.chosen, other.fields),
        )
    assert {outcome.status for outcome in far} == {"planned", "skipped", "failed"}


# ---------------------------------------------------------------- ears


class FakeEar:
    """Hears a segment's first sample; while it hears, `meanwhile` happens."""

    def __init__(self) -> None:
        self.batch_size = 4
        self.batches: list[int] = []
        self.gate = threading.Event()

    def hear(self, segments: torch.Tensor) -> torch.Tensor:
        self.gate.wait(10)
        self.batches.append(len(segments))
        if segments[0, 0] < 0:
            raise ValueError("a bug")
        return segments[:, :1]


def segments(*firsts: float) -> Any:
    return np.array([[first, 0.0] for first in firsts], np.float32)


@pytest.fixture
def ear(monkeypatch: pytest.MonkeyPatch) -> FakeEar:
    fake = FakeEar()
    monkeypatch.setattr(cluster, "_load", lambda *_: fake)
    return fake


def heard(ear: FakeEar, *requests: Any) -> list[Any]:
    async def all_of_them() -> list[Any]:
        listening = cluster.Listening((None,), "cpu", None, 1)
        tasks = [asyncio.create_task(listening.hear(request)) for request in requests]
        await asyncio.sleep(0)  # each has come before the first batch is heard
        ear.gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(all_of_them())


def test_an_ear_hears_what_several_tasks_send_in_one_batch(ear: FakeEar) -> None:
    requests = segments(1), segments(2, 3), segments(4, 5), segments(6), segments(7, 8, 9, 10, 11)
    assert heard(ear, *requests) == [[[row[0]] for row in r.tolist()] for r in requests]
    assert sum(ear.batches) == 11
    assert ear.batches == [3, 3, 5]  # four at most, unless one task alone sends more


def test_what_an_ear_cannot_do_is_told_to_those_who_asked_and_it_goes_on(ear: FakeEar) -> None:
    bad, good = heard(ear, segments(-1, 1, 1, 1), segments(2))
    assert isinstance(bad, ValueError)
    assert good == [[2]]


def test_one_who_asked_and_is_gone_does_not_stop_an_ear(ear: FakeEar) -> None:
    async def one_is_cancelled() -> Any:
        listening = cluster.Listening((None,), "cpu", None, 1)
        gone, other = (asyncio.create_task(listening.hear(segments(x))) for x in (1, 2))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        ear.gate.set()
        return await asyncio.wait_for(other, 10), await listening.hear(segments(3))

    assert asyncio.run(one_is_cancelled()) == ([[2]], [[3]])


def test_a_task_takes_an_ear_on_its_machine_and_none_that_is_silent() -> None:
    ears = {0: ("a", "A"), 1: ("b", "B"), 5: ("b", "C")}

    def taken(here: str, *silent: int) -> set[Any]:
        return {cluster._nearest(ears, here, frozenset(silent))[1] for _ in range(100)}

    assert taken("b") == {"B", "C"}
    assert taken("b", 5) == {"B"}
    assert taken("b", 1, 5) == {"A"}
    assert taken("elsewhere") == {"A", "B", "C"}
    assert taken("a", 0, 1, 5) == {"A"}  # all of them: then one may as well be asked


# ---------------------------------------------------------------- asking


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("--ray music", "--ray= music"),
        ("music --ray", "music --ray="),
        ("--ray --write music", "--ray= --write music"),
        ("--ray auto music", "--ray=auto music"),
        ("--ray local", "--ray=local"),
        ("--ray head:6379 music", "--ray=head:6379 music"),
        ("--ray 10.0.0.1:6379 music", "--ray=10.0.0.1:6379 music"),
        ("--ray [::1]:6379 music", "--ray=[::1]:6379 music"),
        ("--ray=head:6379 music", "--ray=head:6379 music"),
        ("--ray ./head:6379", "--ray= ./head:6379"),
        ("--ray ./auto", "--ray= ./auto"),
        ("--ray -- auto", "--ray= -- auto"),
        ("music -- --ray", "music -- --ray"),
    ],
)
def test_what_follows_ray_is_an_address_only_if_it_looks_like_one(given: str, meant: str) -> None:
    assert cli._addressed(given.split()) == meant.split()


def test_without_ray_the_option_says_how_to_get_it(
    musictag: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    result = musictag("scan", "--ray", tmp_path)
    assert result.code == 2
    assert "pip install 'musictag[ray]'" in result.stderr


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts somebody who answers to one caller, and gives the address."""
    monkeypatch.undo()  # this may connect, to itself
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with contextlib.ExitStack() as stack:

        def listen(answer: bytes) -> str:
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def speak() -> None:
                connection, _ = server.accept()
                with connection:
                    connection.recv(100)
                    connection.sendall(answer)

            thread = threading.Thread(target=speak)
            thread.start()
            stack.callback(thread.join)
            return f"127.0.0.1:{server.getsockname()[1]}"

        yield listen


GRPC = bytes((0, 0, 6, 4, 0, 0, 0, 0, 0)) + bytes(6)
"""A frame of settings."""


def test_an_address_that_is_none_is_wrong_usage(listener: Callable[..., str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = f"127.0.0.1:{server.getsockname()[1]}"
    for address, reason in {
        listener(b"HTTP/1.0 400 Bad Request\r\n\r\n"): "it is not Ray that answers there",
        nobody: "nobody answers",
        "head:port": "expected HOST:PORT",
        "ray://head:10001": "on one of the cluster's machines",
    }.items():
        with pytest.raises(UsageError, match=reason):
            cluster._whereabouts(address)
    assert cluster._whereabouts(head := listener(GRPC)) == head


def test_without_an_address_it_is_a_cluster_there_is_or_one_of_our_own(
    listener: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [cluster._whereabouts(a) for a in ("", "auto", "local")] == ["", "auto", "local"]
    note = tmp_path / "ray" / "ray_current_cluster"
    note.parent.mkdir()
    note.write_text(head := listener(GRPC))
    assert cluster._whereabouts("auto") == head
    note.write_text("127.0.0.1:1")  # left behind by one that was killed
    assert cluster._whereabouts("") == "local"
    with pytest.raises(UsageError, match="nobody answers"):
        cluster._whereabouts("auto")
    monkeypatch.setenv("RAY_ADDRESS", head := listener(GRPC))
    assert cluster._whereabouts("") == head
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UsageError, match="nobody answers"):
        cluster._whereabouts("")


class GoneError(Exception):
    """What Ray says of a machine that died."""


class TaskError(GoneError):
    """What Ray says of an exception in a task."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(cause)
        self.cause = cause


EXCEPTIONS = types.SimpleNamespace(
    RayError=GoneError, RayTaskError=TaskError, LocalRayletDiedError=type("Died", (GoneError,), {})
)


class FakeRay:
    """Runs on the spot what is sent to a machine, unless the machine is dead."""

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
    fit = cluster._fit(ray, ray.nodes)
    assert [node["NodeID"] for node in fit] == ["one", "three"]
    assert "two is left out: The node died" in caplog.text
    for ray, reason in (
        (FakeRay(one="1.2", two="1.1"), "on two musictag is 1.1, where the scan began 1.2"),
        (FakeRay(one="not installed"), "on one musictag is not installed"),
        (FakeRay(one=None), "none of the cluster's machines"),
    ):
        with pytest.raises(UsageError, match=reason):
            cluster._fit(ray, ray.nodes)


def test_a_machine_that_joins_during_the_scan_must_be_like_the_others() -> None:
    request = Request("digest", b"/a.mp3")
    with pytest.raises(UsageError, match=f"on {socket.gethostname()} musictag is .*, where the sc"):
        cluster.work(request, ("0.0.1", "1", "1", "1"), (), frozenset())


class Answers:
    """A Ray whose calls are what becomes of them, and are all there."""

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
        (GoneError("The worker died. It was ill"), Lost, "its worker was lost: The worker died"),
        (TaskError(GoneError("An object is lost")), Lost, "its worker was lost: An object is lost"),
        (TaskError(Lost("its ear was lost")), Lost, "its ear was lost"),
        (TaskError(UsageError("another version")), UsageError, "another version"),
        (TaskError(ValueError("a bug")), TaskError, "a bug"),
        (TaskError(TaskError(ValueError("a bug of an ear"))), TaskError, "a bug of an ear"),
    ],
)
def test_what_went_away_is_a_loss_and_a_bug_stays_one(
    error: Exception, expected: type[Exception], said: str
) -> None:
    calls = cluster._Calls(Answers(), cast("Any", None))
    with pytest.raises(expected, match=said):
        calls.answer(error, 0.0)


def test_an_ear_that_does_not_begin_is_left_out_while_there_are_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ears = cluster._Ears(Answers(), *cast("Any", (None, None, (), 0)))
    bad = [TaskError(MusictagError("no memory")), GoneError("The actor died. It was ill")]
    assert ears._ready(["node-1", *bad]) == {"node-1": "node-1"}
    assert "one of 3 models is left out: no memory" in caplog.text
    assert "one of 3 models is left out: no model could be started: The actor died" in caplog.text
    with pytest.raises(MusictagError, match="no memory"):
        ears._ready(bad)
    with pytest.raises(TaskError, match="a bug"):
        ears._ready(["node-1", TaskError(ValueError("a bug"))])


# ---------------------------------------------------------------- a real one

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is missing")
needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


def below(parent: int) -> Iterator[tuple[int, str]]:
    """The processes that a process started, and those that they started; with their titles."""
    parents, titles = {}, {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            number = int(entry.name)
            parents[number] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            titles[number] = (entry / "cmdline").read_text().replace("\0", " ")
    for number, title in titles.items():
        above = number
        while above in parents and above != parent:
            above = parents[above]
        if above == parent != number:
            yield number, title


def kill_one(program: subprocess.Popen[bytes], title: str) -> None:
    """A process with this title, in the middle of what the title says."""
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s and program.poll() is None:
        for number, _ in [found for found in below(program.pid) if found[1].startswith(title)]:
            os.kill(number, signal.SIGSTOP)
            if (number, title) in {(n, t[: len(title)]) for n, t in below(program.pid)}:
                os.kill(number, signal.SIGKILL)
                return
            os.kill(number, signal.SIGCONT)
        time.sleep(0.01)
    running = list(below(program.pid))
    program.kill()
    raise AssertionError(f"no {title} among {running}: {program.communicate()}")


def made_library(folder: Path) -> list[str]:
    """Tracks of two minutes, no two alike; their names."""
    folder.mkdir()
    music = sounds.chord(30, rate_hz=16_000, channels=1)
    names = [f"{n}.flac" for n in range(8)]
    for n, name in enumerate(names):
        sounds.write(folder / name, "flac", np.roll(np.tile(music, (4, 1)), n, 0), 16_000)
    return names


def scan_on(address: str, *arguments: object) -> subprocess.Popen[bytes]:
    words = ("scan", "--ray", address, "--write", "--format", "jsonl", *arguments)
    return subprocess.Popen(
        [sys.executable, "-m", "musictag", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@needs_ray
@needs_proc
def test_a_worker_and_an_ear_are_killed_and_every_file_is_tagged_exactly_once(
    musictag: Run, tmp_path: Path
) -> None:
    library = tmp_path / os.fsdecode(b"caf\xe9")
    names = made_library(library)
    # Two at once, however many cores there are, so that enough is left to do after a death.
    program = scan_on("local", library, "--jobs", "2")
    try:
        assert program.stdout is not None
        lines = [program.stdout.readline()]
        kill_one(program, "ray::work")
        lines.append(program.stdout.readline())
        kill_one(program, "ray::Listening")
        rest, stderr = program.communicate(timeout=300)
    finally:
        program.kill()
    records = [json.loads(line) for line in (*lines, *rest.splitlines())]
    assert [Path(record["path"]).name for record in records] == names
    assert {record["status"] for record in records} == {"written"}, stderr
    assert program.returncode == 0
    assert b"its worker was lost" in stderr
    assert b"its ear was lost" in stderr
    written = musictag("history", "1", "--json").records
    assert sorted(Path(record["path"]).name for record in written) == names
    again = musictag("scan", "--format", "jsonl", library).records
    assert {record["status"] for record in again} == {"unchanged"}


CLUSTER = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
machine = cluster.add_node(num_cpus=1)
print(cluster.address, flush=True)
sys.stdin.readline()
cluster.remove_node(machine, allow_graceful=False)
cluster.add_node(num_cpus=1)
sys.stdin.readline()
cluster.shutdown()
"""
"""A machine that only joins the others, and one that works; for a line, another for that one."""


@needs_ray
@pytest.mark.slow
def test_a_machine_that_joins_takes_the_place_of_one_that_went(tmp_path: Path) -> None:
    names = made_library(tmp_path / "music")
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as machines:
        assert machines.stdout is not None and machines.stdin is not None
        program = scan_on(machines.stdout.readline().strip(), tmp_path / "music")
        try:
            assert program.stdout is not None
            first = program.stdout.readline()
            machines.stdin.write("\n")
            machines.stdin.flush()
            rest, stderr = program.communicate(timeout=300)
        finally:
            program.kill()
            machines.communicate("\n")
    records = [json.loads(line) for line in (first, *rest.splitlines())]
    assert [Path(record["path"]).name for record in records] == names
    assert {record["status"] for record in records} == {"written"}, stderr
    assert b"was lost" in stderr
