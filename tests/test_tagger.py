"""The Python API: what it returns, that its examples run, and that its host is left alone."""

from __future__ import annotations

import doctest
import json
import logging
import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import sounds
from waits import WAIT_S

import musictag
from musictag import tagger as tagger_module
from musictag.errors import AudioError, CheckpointError, UsageError
from musictag.hearing import checkpoint
from musictag.stores import journal as journals
from musictag.stores.journal import Journal
from musictag.tagger import Heard, Tagger

ROOT = Path(__file__).parents[1]


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return sounds.make(tmp_path / "Music", "flac", name="song.flac", seconds=31, rate_hz=16_000)


@pytest.fixture(autouse=True)
def music_folder(tmp_path: Path) -> None:
    (tmp_path / "Music").mkdir()


# ---------------------------------------------------------------- what it says


def test_a_track_is_heard_as_a_scan_hears_it(tiny: Path, song: Path) -> None:
    with Tagger(tiny, device="cpu") as tagger:
        heard = tagger.hear(song)
        (outcome,) = tagger.scan(song, cache=False)
    assert heard.path == song
    assert heard.duration_s == outcome.duration_s == 31
    assert heard.chosen == outcome.chosen
    assert heard.probabilities == pytest.approx(outcome.probabilities, abs=1e-5)
    assert heard.taggram.starts_s == (0, 2)
    rows = heard.taggram.rows
    assert [len(row) for row in rows] == [len(heard.taggram.tags)] * 2
    assert (heard.summary.shape, heard.summary.dtype) == ((4,), np.float32)
    first = heard.taggram.tags[0]
    assert heard.probabilities[first] == pytest.approx((rows[0][0] + rows[1][0]) / 2)


def test_the_networks_last_layer_makes_the_probabilities_of_the_summary(
    tiny: Path, tmp_path: Path
) -> None:
    """Checked with a single segment: the mean of two goes through no layer."""
    short = sounds.make(tmp_path, "flac", name="short.flac", seconds=5, rate_hz=16_000)
    with Tagger(tiny, device="cpu") as tagger:
        heard = tagger.hear(short)
    weights = checkpoint.read(tiny).arrays()
    logits = weights["output.weight"] @ heard.summary + weights["output.bias"]  # (K,)
    probabilities = list(heard.probabilities.values())
    assert probabilities == pytest.approx((1 / (1 + np.exp(-logits))).tolist(), abs=1e-6)


def test_the_model_is_loaded_once_and_again_after_closing(
    tiny: Path, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from musictag.hearing.checkpoint import Checkpoint  # noqa: PLC0415

    loaded: list[object] = []
    load = Checkpoint.load
    monkeypatch.setattr(
        Checkpoint, "load", lambda self, *a, **k: (loaded.append(a), load(self, *a, **k))[1]
    )
    with Tagger(os.fspath(tiny), device="cpu") as tagger:
        assert (tagger.model, loaded) == ("tiny", [])
        tagger.hear(song)
        tagger.hear(os.fspath(song))
        list(tagger.scan([song], cache=False))
        assert len(loaded) == 1
    tagger.hear(song)
    assert len(loaded) == 2
    tagger.close()


def test_a_file_that_is_none_is_explained(tiny: Path, tmp_path: Path) -> None:
    silent = sounds.write(tmp_path / "s.wav", "wav", sounds.silence(3), 44_100)
    with Tagger(tiny) as tagger:
        for path, code in ((tmp_path / "none.mp3", "not_found"), (silent, "silent")):
            with pytest.raises(AudioError) as failure:
                tagger.hear(path)
            assert failure.value.code == code
            assert os.fspath(path) in str(failure.value)


def test_what_makes_no_sense_is_refused_at_once(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="neither a directory"):
        Tagger("no such model")
    with pytest.raises(UsageError, match="expected auto, cpu"):
        Tagger(tiny, device="abacus")
    tagger = Tagger(tiny)
    with pytest.raises(UsageError, match="no such setting"):
        tagger.scan(tmp_path, genres=3)
    with pytest.raises(UsageError, match="when the Tagger is made"):
        tagger.scan(tmp_path, device="cpu")
    with pytest.raises(UsageError, match="missing"):
        tagger.scan(tmp_path / "missing")


def test_what_is_written_stands_in_the_journal_and_is_remembered(tiny: Path, song: Path) -> None:
    settings = {"fields": ["genre", "mood"], "existing": "replace"}
    with Tagger(tiny, device="cpu") as tagger:
        before = song.read_bytes()
        (planned,) = tagger.scan([song.parent], **settings)
        assert (planned.status, song.read_bytes()) == ("planned", before)
        (written,) = tagger.scan([song.parent], write=True, **settings)
        assert (written.status, written.from_cache) == ("written", True)
        assert [o.status for o in tagger.scan([song.parent], **settings)] == ["unchanged"]
    with Journal(journals.default_path()) as journal:
        (run,) = journal.runs()
    assert (run.n_files, run.ending, run.model) == (1, "complete", "tiny")
    assert run.command[-1] == "(from Python)"


def test_a_scan_that_is_left_leaves_no_thread(tiny: Path, song: Path) -> None:
    outcomes = Tagger(tiny, device="cpu").scan([song.parent], cache=False)
    assert next(outcomes).path == song
    outcomes.close()  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if t.name.startswith("musictag paths")]


# ---------------------------------------------------------------- its examples


@pytest.mark.parametrize("module", [tagger_module])
def test_examples_in_docstrings_run(module: ModuleType, song: Path) -> None:
    """As with `pytest --doctest-modules`, with a made sound for `song`."""
    result = doctest.testmod(module, extraglobs={"song": song})
    assert (result.failed, result.attempted > 5) == (0, True)


def test_examples_of_the_documentation_run(song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(song.parent.parent)
    (song.parent.parent / "song.flac").write_bytes(song.read_bytes())
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8").replace("```", "")
    examples = doctest.DocTestParser().get_doctest(text, {}, "python.md", "python.md", 0)
    assert len(examples.examples) > 8
    result = doctest.DocTestRunner().run(examples)
    assert result.failed == 0


# ---------------------------------------------------------------- its host


def test_importing_the_package_imports_nothing_else() -> None:
    script = (
        "import sys, musictag; print(sorted(m for m in sys.modules if m.startswith('musictag')));"
        "print(musictag.__version__); assert 'numpy' not in sys.modules;"
        "print(musictag.Outcome.__name__); assert 'numpy' not in sys.modules;"
        "print(musictag.Tagger.__name__); assert 'torch' not in sys.modules"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=WAIT_S
    )
    assert ended.stdout.split("\n")[:4] == [
        "['musictag']",
        musictag.__version__,
        "Outcome",
        "Tagger",
    ]
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = musictag.Nothing
    assert dir(musictag) == ["Outcome", "Tagger", "__version__"]


HOST = """
import gc, json, locale, logging, os, signal, sys, threading, warnings
import torch
import numpy
import scipy.fft  # which adds a filter for warnings of its own

def state():
    handlers = {s: str(signal.getsignal(s)) for s in signal.valid_signals()}
    loggers = {
        name: (logger.level, list(map(str, logger.handlers)), logger.propagate, logger.disabled)
        for name, logger in [("", logging.root), *logging.root.manager.loggerDict.items()]
        if isinstance(logger, logging.Logger) and (name == "" or "musictag" in name)
    }
    loggers = {name: kept for name, kept in loggers.items() if kept != (0, [], True, False)}
    return {
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "signals": handlers,
        "loggers": loggers,
        "last resort": str(logging.lastResort and logging.lastResort.formatter),
        "garbage": [gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()],
        "warnings": list(map(str, warnings.filters)),
        "locale": locale.setlocale(locale.LC_ALL),
        "streams": [id(sys.stdin), id(sys.stdout), id(sys.stderr)],
        "hooks": [id(sys.excepthook), id(threading.excepthook)],
        "path": list(sys.path),
        "floats": numpy.geterr(),
        "torch": [
            torch.get_num_threads(),
            torch.get_num_interop_threads(),
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            str(torch.get_default_dtype()),
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.benchmark,
            torch.backends.cuda.matmul.allow_tf32,
            torch.get_float32_matmul_precision(),
            bool(torch.tensor([1e-40]) * 1 > 0),  # subnormal numbers are not flushed
            str(torch.initial_seed()) and len(torch.get_rng_state()),
        ],
    }

from musictag import process
def refuse(*_, **__): raise AssertionError("the process is its program's")
process.for_a_program = process.keep_freed = refuse
if without_mkl:
    from musictag.hearing.kernels import mkl
    mkl.is_there = lambda: False
before = state()
import musictag
def hear():
    with musictag.Tagger(model, device="cpu") as tagger:
        duration_s = tagger.hear(song).duration_s
        (outcome,) = tagger.scan([song], cache=False)
        assert outcome.status == "planned", outcome
    return duration_s
if threaded:
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(1) as pool:
        duration_s = pool.submit(hear).result()
else:
    duration_s = hear()
after = state()
print(json.dumps([duration_s, [name for name in before if before[name] != after[name]]]))
"""


@pytest.mark.parametrize(("threaded", "without_mkl"), [(False, False), (True, True)])
def test_the_host_is_left_as_it_was(
    tiny: Path, song: Path, threaded: bool, without_mkl: bool
) -> None:
    given = {
        "model": os.fspath(tiny),
        "song": os.fspath(song),
        "threaded": threaded,
        "without_mkl": without_mkl,
    }
    script = "\n".join(f"{name} = {value!r}" for name, value in given.items()) + HOST
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "OPENBLAS_"))}
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
        env=environment,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout) == [31.0, []], "duration, and what has changed"


def heard_by(model: Path, song: Path) -> Heard:
    with musictag.Tagger(model, device="cpu") as tagger:
        heard: Heard = tagger.hear(song)
    return heard


def test_it_works_in_a_process_started_by_spawn(tiny: Path, song: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        far = pool.submit(heard_by, tiny, song).result(WAIT_S)
    here = heard_by(tiny, song)
    assert far == here
    np.testing.assert_array_equal(far.summary, here.summary)


def test_threads_that_share_a_tagger_take_turns(tiny: Path, song: Path) -> None:
    with Tagger(tiny, device="cpu") as tagger, ThreadPoolExecutor(3) as pool:
        first, *others = pool.map(tagger.hear, [song] * 3)
    assert others == [first] * 2
    for other in others:
        np.testing.assert_array_equal(other.summary, first.summary)


def test_nothing_is_logged_where_nobody_listens(
    tiny: Path, song: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []
    try:
        with Tagger(tiny, device="cpu") as tagger:
            tagger.hear(song)
    finally:
        root.handlers = handlers
    assert capfd.readouterr() == ("", "")
