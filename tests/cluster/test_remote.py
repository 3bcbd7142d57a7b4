"""Decoders whose files are on a cluster: what is given out again, and what comes home.

No test needs Ray: the cluster is a fake that loses what it is told to lose.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import sounds

from musictag.audio.decoder import Closed, Decoder
from musictag.cluster import remote
from musictag.cluster.messages import Answer, Lost, Request
from musictag.cluster.remote import TRIES, RemoteDecoder, Workers
from musictag.config import Settings
from musictag.errors import AudioError, FileError, MusictagError
from musictag.hearing import checkpoint
from musictag.outcome import Outcome
from musictag.scan import known, pipeline
from musictag.stores import summary
from musictag.stores.cache import Cache

DIGEST = Answer("node-1", "box", digest=b"d" * 32)
HEARD = Answer("node-1", "box", duration_s=58.0, decoder="ffmpeg", taggram=[[0.5], [0.25]])


@dataclass
class Fake:
    """A transport that returns what it was given: an answer, an error, or None for a late one."""

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


def decoder(*answers: Answer | BaseException | None) -> tuple[RemoteDecoder, Fake]:
    fake = Fake(list(answers))
    return Workers(fake, 2).decoder(), fake


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_PAUSES_S", (0.0,) * TRIES)


# ---------------------------------------------------------------- what is lost


def test_a_file_whose_worker_is_lost_is_given_out_again() -> None:
    own, fake = decoder(Lost("the worker was lost"), None, Lost("and again"), HEARD)
    music = own.track(Path("a.mp3"), n_segments=3)
    assert list(music.segments()) == []
    assert (music.taggram, music.duration_s, music.decoder) == ([[0.5], [0.25]], 58.0, "ffmpeg")
    assert [request.n_segments for request, _ in fake.calls] == [3, 3, 3]


def test_a_file_that_is_lost_every_time_is_reported_and_the_next_one_goes_on() -> None:
    own, fake = decoder(*[Lost("the worker was lost: out of memory")] * TRIES, DIGEST)
    with pytest.raises(
        AudioError, match="lost 3 times in a row: the worker was lost: out of"
    ) as error:
        own.payload_digest(Path("a.mp3"))
    assert error.value.code == "lost"
    assert error.value.code not in known.DAMAGES  # or it would be remembered as the file's fault
    assert own.payload_digest(Path("b.mp3")) == DIGEST.digest
    assert len(fake.calls) == TRIES + 1


def test_a_cluster_that_loses_everything_ends_the_scan() -> None:
    own, _ = decoder(*[Lost("the worker was lost")] * 100)
    with pytest.raises(MusictagError, match="lost all of the last 10 tasks") as error:
        for _ in range(100):
            with contextlib.suppress(FileError):
                own.payload_digest(Path("a.mp3"))
    assert not isinstance(error.value, FileError)


def test_a_cluster_on_which_nothing_can_be_heard_ends_the_scan_though_files_are_digested() -> None:
    own, _ = decoder(*[DIGEST, *[Lost("the ear was lost")] * TRIES] * 100)
    with pytest.raises(MusictagError, match="the last 10 tasks") as error:
        for _ in range(100):
            own.payload_digest(Path("a.mp3"))
            with contextlib.suppress(FileError):
                own.track(Path("a.mp3")).segments()
    assert not isinstance(error.value, FileError)


def test_losses_between_answers_do_not_end_the_scan() -> None:
    own, _ = decoder(*[Lost("the worker was lost"), DIGEST] * 100)
    for _ in range(100):
        assert own.payload_digest(Path("a.mp3")) == DIGEST.digest


def test_a_thread_that_waits_for_a_cluster_is_told_when_the_scan_is_over() -> None:
    own, fake = decoder(None, None)
    fake.on_wait = own.kill
    with pytest.raises(Closed):
        own.payload_digest(Path("a.mp3"))
    with pytest.raises(Closed):
        own.payload_digest(Path("b.mp3"))
    assert len(fake.calls) == 1


# ---------------------------------------------------------------- what goes out and comes home


def test_a_file_is_heard_where_it_was_digested_unless_that_machine_was_lost() -> None:
    own, fake = decoder(DIGEST, Lost("the worker was lost"), HEARD, HEARD)
    own.payload_digest(Path("a.mp3"))
    own.track(Path("a.mp3")).segments()
    own.track(Path("b.mp3")).segments()
    assert [near for _, near in fake.calls] == ["", "node-1", "", ""]


def test_names_go_out_absolute_and_byte_for_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own, fake = decoder(DIGEST, DIGEST)
    own.payload_digest(Path(os.fsdecode(b"caf\xe9.mp3")))
    own.payload_digest(tmp_path / ".." / "b.mp3")
    names = [request.path for request, _ in fake.calls]
    assert names == [
        os.fsencode(tmp_path) + b"/caf\xe9.mp3",
        os.fsencode(tmp_path.parent / "b.mp3"),
    ]


def test_an_error_of_a_file_comes_home_unchanged() -> None:
    bad = Answer("n", "box", duration_s=12.0, code="truncated", reason="cut short", cure="copy it")
    own, _ = decoder(bad)
    music = own.track(Path("a.mp3"))
    with pytest.raises(AudioError) as error:
        music.segments()
    assert error.value.args == (Path("a.mp3"), "truncated", "cut short", "copy it")
    assert music.duration_s == 12.0


def test_a_file_that_is_here_and_not_there_is_not_called_missing(tmp_path: Path) -> None:
    missing = Answer("n", "box", code="not_found", reason="there is no such file")
    own, _ = decoder(missing, missing)
    path = tmp_path / "a.mp3"
    with pytest.raises(AudioError, match="there is no such file"):
        own.payload_digest(path)
    path.touch()
    with pytest.raises(AudioError, match=r"not found on box \(is its folder shared") as error:
        own.payload_digest(path)
    assert error.value.code == "not_shared"


def test_an_error_that_only_that_machine_has_names_it() -> None:
    own, _ = decoder(Answer("n", "box", code="permission", reason="may not be read"))
    with pytest.raises(AudioError, match="may not be read on box"):
        own.payload_digest(Path("a.mp3"))


class Here:
    """A cluster of this process, which loses every third call."""

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
                raise Lost("the worker was lost")
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
                hearing = self.ear.hear(np.stack(segments))
                taggram = hearing.probabilities.tolist()
                found = found._replace(taggram=taggram, summaries=[hearing.summaries])
            return found._replace(duration_s=music.duration_s, decoder=music.decoder)


def summaries_in(cache: Cache) -> list[list[float]]:
    """Means and spreads of all tracks."""
    cache.flush()
    assert cache._database is not None
    rows = cache._database.execute("SELECT numbers FROM summary ORDER BY digest").fetchall()
    return [[*mean, *spread] for mean, spread in (summary.unpacked(blob) for (blob,) in rows)]


def test_a_cluster_scan_says_what_a_scan_says(tiny: Path, tmp_path: Path) -> None:
    for kind, seconds in {"mp3": 3, "flac": 31, "aac": 3}.items():
        sounds.make(tmp_path, kind, seconds=seconds, rate_hz=16_000, channels=1)
    sounds.write(tmp_path / "silence.wav", "wav", np.zeros((48_000, 1), np.float32), 16_000)
    (tmp_path / "text.mp3").write_text("no music")
    (tmp_path / "gone.mp3").symlink_to(tmp_path / "nowhere")
    paths = sorted(tmp_path.iterdir())
    model = checkpoint.read(tiny)
    settings = Settings(device="cpu", jobs=2)

    def outcomes(cache: Cache, workers: Workers | None) -> list[Outcome]:
        return list(pipeline.scan(paths, model, settings, cache=cache, workers=workers))

    here = Here(model)
    with here.decoder, Cache(tmp_path.with_name("far")) as cache:
        far = outcomes(cache, Workers(here, 2))
        summaries = summaries_in(cache)
    with Cache(tmp_path.with_name("near")) as cache:
        near = outcomes(cache, None)
        assert summaries_in(cache) == [pytest.approx(each, abs=1e-3) for each in summaries]
    assert len(summaries) == 3
    for one, other in zip(near, far, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)  # batches differ
        assert (one.path, one.status, one.error) == (other.path, other.status, other.error)
        assert (one.duration_s, one.chosen, one.fields) == (
            *(other.duration_s, other.chosen, other.fields),
        )
    assert {outcome.status for outcome in far} == {"planned", "skipped", "failed"}
