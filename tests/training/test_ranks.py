"""Training in several processes: the same model as in one, and an end that all of them share."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import one_rank
import pytest
import torch
from labelled import write_learnable
from safetensors.torch import load_file
from waits import WAIT_S

from musictag.errors import MusictagError, UsageError
from musictag.hearing import checkpoint
from musictag.training import ranks
from musictag.training.features import prepare
from musictag.training.folder import read_folder
from musictag.training.ranks import ALONE, Ranks
from musictag.training.record import EpochResult
from musictag.training.run import Run
from musictag.training.settings import TrainSettings
from musictag.training.train import train

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@contextmanager
def torchrun(*command: object, **popen: Any) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    process = subprocess.Popen(
        [*TORCHRUN, *map(str, command)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **popen,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=WAIT_S)


# -- the arithmetic --------------------------------------------------------------------------------


@pytest.mark.parametrize("n_examples", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("n_ranks", [1, 2, 3, 4])
def test_shares_are_the_batch_and_their_weighted_means_its_mean(
    n_examples: int, n_ranks: int
) -> None:
    batch = torch.arange(float(n_examples))
    shares = [Ranks(rank, n_ranks).share(n_examples) for rank in range(n_ranks)]
    counted = torch.cat([batch[mine] for mine, weight in shares if weight])
    assert torch.equal(counted, batch)
    mean = sum(weight * float(batch[mine].mean()) for mine, weight in shares)
    assert mean == pytest.approx(float(batch.mean()))
    sizes = [weight * n_examples for _, weight in shares]
    assert max(sizes) - min(sizes) < 1.001


def test_alone_a_rank_hears_all_and_waits_for_nobody() -> None:
    assert ALONE.share(5) == (slice(0, 5), 1.0)
    assert ALONE.once(lambda: 3) == 3
    assert ALONE.gather([1, 2]) == [1, 2]
    loss = torch.tensor(2.0)
    assert ALONE.add_up(loss, []) is loss


def test_without_torchrun_there_is_one_rank_on_the_device_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert ranks.own_device("cuda:1") == "cuda:1"
    with ranks.joined("cpu") as group:
        assert group is ALONE


@pytest.mark.parametrize(
    ("asked", "local", "expected"),
    [
        ("cpu", "1", "cpu"),
        ("cuda", "0", "cuda:0"),
        ("cuda", "1", "cuda:1"),
        ("cuda", "2", "--nproc-per-node 2 at most"),
        ("cuda:1", "0", "each on a GPU of its own"),
        ("mps", "0", "--device mps: several processes train on cpu, or on cuda"),
    ],
)
def test_each_process_has_a_gpu_of_its_own(
    monkeypatch: pytest.MonkeyPatch, asked: str, local: str, expected: str
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", local)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    if " " not in expected:
        assert ranks.own_device(asked) == expected
        return
    with pytest.raises(UsageError, match=re.escape(expected)):
        ranks.own_device(asked)


def test_a_lost_process_is_said_with_the_cure() -> None:
    said = r"--resume goes on \(Connection closed by peer\)$"
    with pytest.raises(MusictagError, match=said), ranks._lost_ranks_named():
        raise RuntimeError("Connection closed by peer\nException raised from …")


def test_each_rank_drops_out_apart_and_draws_all_else_alike(tmp_path: Path) -> None:
    settings = write_learnable(tmp_path)
    dataset = read_folder(settings.dataset)
    features = prepare(dataset, settings.front_end, settings.features or Path())
    inside, after = [], []
    for rank, step in ((0, 0), (1, 0), (0, 1), (1, 1)):
        run = Run(settings, dataset, features, Ranks(rank, 2))
        run.n_steps = step
        torch.manual_seed(5)
        with run._own_dropout():
            inside.append(float(torch.rand(())))
        after.append(float(torch.rand(())))
    assert len(set(inside)) == 4
    assert len(set(after)) == 1


# -- two processes ---------------------------------------------------------------------------------


def test_two_processes_make_the_model_that_one_makes(tmp_path: Path) -> None:
    """24 examples: 9 are no even share, of 23 the last batch leaves a process without any; all of
    the augmentation; early stopping; and each goes on where the other stopped."""
    plain = write_learnable(tmp_path)
    plain = dataclasses.replace(
        plain, architecture=dataclasses.replace(plain.architecture, dropout=0.0)
    )
    alone = [
        dataclasses.replace(plain, batch_size=9, output=tmp_path / "9"),
        dataclasses.replace(plain, batch_size=23, patience=1, output=tmp_path / "23"),
    ]
    several = [dataclasses.replace(s, output=tmp_path / f"{s.batch_size} by 2") for s in alone]
    for settings in alone:
        one_rank.train_and_keep(settings)
    kept = dataclasses.replace(alone[0], output=tmp_path / "9 after epoch 2", resume=True)
    runs = tmp_path / "runs"
    runs.write_bytes(pickle.dumps([*several, kept]))
    with torchrun(one_rank.__file__, runs) as process:
        _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    back = dataclasses.replace(several[0], output=tmp_path / "9 by 2 after epoch 2", resume=True)
    train(back)

    assert_same(alone[0], several[0])
    assert_same(alone[1], several[1])
    assert_same(alone[0], kept)
    assert_same(alone[0], back)
    assert "2 processes" in record(several[0])["device"]


@pytest.fixture
def endless(tmp_path: Path) -> TrainSettings:
    return dataclasses.replace(write_learnable(tmp_path), epochs=100_000)


def wait_for(there: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not there():
        assert process.poll() is None, process.communicate(timeout=WAIT_S)
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds a process by its environment")
def test_a_dead_process_ends_all_and_the_run_can_go_on(
    endless: TrainSettings, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    runs.write_bytes(pickle.dumps([endless]))
    with torchrun(one_rank.__file__, runs) as process:
        wait_for((endless.output / "state.pt").exists, process)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        (second,) = (
            p for p in children if b"\0RANK=1\0" in Path(f"/proc/{p}/environ").read_bytes()
        )
        os.kill(int(second), signal.SIGKILL)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert stderr.count("MusictagError: another process of this run has ended; the same") == 1

    def see_it_go_on(news: object) -> None:
        if isinstance(news, EpochResult):
            assert news.epoch > 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(dataclasses.replace(endless, resume=True), tell=see_it_go_on)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_all_and_only_the_first_speaks(
    endless: TrainSettings, number: signal.Signals
) -> None:
    with torchrun(*command(endless)) as process:
        assert process.stderr is not None
        lines = []
        while not lines or "epoch   2 of" not in lines[-1]:
            lines.append(process.stderr.readline())
            assert lines[-1], lines
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode != 0
    assert stdout == ""
    said = [line for line in stderr.splitlines() if line.startswith("musictag: ")]
    assert said == ["musictag: interrupted; the same command with --resume goes on"]


@pytest.mark.slow
def test_what_is_wrong_is_said_once(endless: TrainSettings, tmp_path: Path) -> None:
    wrong = dataclasses.replace(endless, dataset=tmp_path / "nowhere")
    with torchrun(*command(wrong)) as process:
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (1, "")  # torchrun's
    assert stderr.count("musictag: ") == 1
    assert f"musictag: {wrong.dataset}: there is no such folder" in stderr


def command(settings: TrainSettings) -> list[object]:
    given = ("--dataset", settings.dataset, "--output", settings.output, "--device", "cpu")
    kept = ("--features", settings.features, "--variants", 1, "--epochs", settings.epochs)
    return ["-m", "musictag", "train", *given, *kept]


def record(settings: TrainSettings) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((settings.output / "run.json").read_text())
    return found


def assert_same(one: TrainSettings, other: TrainSettings) -> None:
    """To rounding: sums of gradients are added in another order."""
    histories = [record(settings)["history"] for settings in (one, other)]
    assert len(histories[0]) == len(histories[1]) >= 2
    for then, now in zip(*histories, strict=True):
        assert now["loss"] == pytest.approx(then["loss"], abs=1e-5)
        assert now["roc_auc"] == pytest.approx(then["roc_auc"], abs=1e-3)
        assert now["correlation"] == pytest.approx(then["correlation"], abs=1e-5)
    weights = [load_file(s.output / "model" / checkpoint.WEIGHTS) for s in (one, other)]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, atol=1e-4, rtol=1e-3)
