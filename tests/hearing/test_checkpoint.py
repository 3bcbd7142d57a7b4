"""A model on disk: what is saved is what is heard, and what is damaged is named."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from waits import WAIT_S

from musictag.errors import CheckpointError
from musictag.hearing import checkpoint
from musictag.hearing.checkpoint import Checkpoint
from musictag.hearing.network.architecture import Architecture
from musictag.hearing.network.recurrent import Tagger
from musictag.hearing.scattering.plan import FrontEnd
from musictag.hearing.scattering.torch import Scattering
from musictag.vocabulary import Calibration, magnatagatune

FRONT_END = FrontEnd(n_samples=29_000, T=512, hop=256)
TAGS = ("rock", "slow", "piano")


def make(directory: Path, *, half: bool = False, tags: tuple[str, ...] = TAGS) -> Checkpoint:
    torch.manual_seed(0)
    n = Scattering(FRONT_END).n_coefficients
    model = Tagger(Architecture(n_coefficients=n, n_units=8, n_layers=2, n_tags=len(TAGS)))
    model.initialise()
    model.mean += 3
    return checkpoint.save(
        directory,
        model,
        front_end=FRONT_END,
        tags=tags,
        vocabulary=magnatagatune().with_thresholds({"Rock": 0.5}),
        name="tiny",
        training={"epochs": 1},
        half=half,
    )


def sound() -> torch.Tensor:
    return 0.1 * torch.randn(2, 29_000, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("has_mkl", [True, False])
def test_what_was_saved_is_what_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_mkl: bool
) -> None:
    monkeypatch.setattr("musictag.hearing.kernels.mkl.multiplies_bfloat16", lambda: False)
    if not has_mkl:
        monkeypatch.setattr("musictag.hearing.kernels.mkl.is_there", lambda: False)
    made = make(tmp_path / "tiny")
    torch.manual_seed(0)
    scattering = Scattering(FRONT_END)
    model = Tagger(Architecture(scattering.n_coefficients, n_units=8, n_layers=2, n_tags=3))
    model.initialise()
    model.mean += 3
    wanted = model.eval()(scattering(sound())).sigmoid()
    heard = checkpoint.read(made.directory).load().hear(sound().numpy())
    # with oneMKL envelopes have other lengths, see mkl_rates
    atol = 1e-3 if has_mkl else 1e-5
    np.testing.assert_allclose(heard.probabilities, wanted.detach(), atol=atol, rtol=1e-5)


def test_a_checkpoint_describes_itself(tmp_path: Path) -> None:
    make(tmp_path / "tiny")
    found = checkpoint.find(tmp_path / "tiny")
    assert (found.name, found.tags, found.thresholds) == ("tiny", TAGS, {"Rock": 0.5})
    assert found.training == {"epochs": 1}


def test_a_model_of_format_1_gets_the_table_of_its_time(tmp_path: Path) -> None:
    made = make(tmp_path / "tiny")
    as_format_1(made.directory, thresholds={"Rock": 0.5, "Jazz": 0.1})
    found = checkpoint.read(made.directory)
    assert found.vocabulary == made.vocabulary
    assert found.digest == made.digest
    assert [value.name for value in found.vocabulary.values] == ["Rock", "Slow", "Piano"]


def test_what_tags_mean_is_stored_with_the_model(tmp_path: Path) -> None:
    known = magnatagatune().with_calibration({"Slow": Calibration(2.0, 0.5)})
    known = known.with_thresholds({"Rock": 0.25, "Polka": 0.5})
    made = replace(make(tmp_path / "tiny"), vocabulary=known)
    saved = checkpoint.save(
        made.directory,
        made.network(),
        front_end=FRONT_END,
        tags=TAGS,
        vocabulary=known,
        name="tiny",
        training={},
    )
    assert saved.vocabulary == known.of(TAGS)
    assert saved.thresholds == {"Rock": 0.25}
    assert saved.vocabulary.calibration == {"Slow": Calibration(2.0, 0.5)}


def test_a_vocabulary_must_cover_the_tags(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no value for 'polka'"):
        make(tmp_path / "tiny", tags=("rock", "slow", "polka"))


def test_half_precision_is_half_as_large_and_heard_nearly_alike(tmp_path: Path) -> None:
    whole, half = make(tmp_path / "whole"), make(tmp_path / "half", half=True)
    sizes = [(c.directory / "weights.safetensors").stat().st_size for c in (whole, half)]
    assert sizes[1] < 0.6 * sizes[0]
    ours, wanted = (c.load().hear(sound().numpy()).probabilities for c in (half, whole))
    np.testing.assert_allclose(ours, wanted, atol=2e-3)


def test_hearing_twice_gives_the_same(tmp_path: Path) -> None:
    ear = make(tmp_path / "tiny").load()
    once, twice = (ear.hear(sound().numpy()) for _ in range(2))
    np.testing.assert_array_equal(once.probabilities, twice.probabilities)
    np.testing.assert_array_equal(once.summaries, twice.summaries)


def test_the_digest_is_of_what_decides_probabilities(tmp_path: Path) -> None:
    made = make(tmp_path / "tiny")
    assert (
        replace(made, vocabulary=magnatagatune(), name="other", training={}).digest == made.digest
    )
    assert replace(made, tags=("a", "b", "c")).digest != made.digest
    assert replace(made, weights_sha256="0").digest != made.digest
    assert replace(made, front_end={**made.front_end, "exactness": "high"}).digest != made.digest


def test_describing_a_checkpoint_loads_no_torch(tmp_path: Path) -> None:
    make(tmp_path / "tiny")
    program = (
        "import sys; from musictag.hearing import checkpoint;"
        "checkpoint.find(sys.argv[1]); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "tiny"], check=True, timeout=WAIT_S)


def test_saving_leaves_no_temporary_file(tmp_path: Path) -> None:
    make(tmp_path / "tiny")
    make(tmp_path / "tiny")
    names = sorted(path.name for path in (tmp_path / "tiny").iterdir())
    assert names == ["config.json", "weights.safetensors"]


def edited(change: Callable[[dict[str, object]], object]) -> Callable[[Path], None]:
    def edit(directory: Path) -> None:
        config = json.loads((directory / "config.json").read_text())
        change(config)
        (directory / "config.json").write_text(json.dumps(config))

    return edit


def section(name: str, **settings: object) -> Callable[[Path], None]:
    """One section of config.json, with other settings in it."""

    def change(config: dict[str, object]) -> None:
        part = config[name]
        assert isinstance(part, dict)
        part.update(settings)

    return edited(change)


def as_format_1(directory: Path, **changes: object) -> None:
    """config.json as it was before models brought their vocabulary."""

    def change(config: dict[str, object]) -> None:
        for section in ("vocabulary", "calibration"):
            del config[section]
        config.update({"format": 1, **changes})

    edited(change)(directory)


def in_format_1(**changes: object) -> Callable[[Path], None]:
    return lambda directory: as_format_1(directory, **changes)


def vocabulary(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    return edited(lambda config: change(config["vocabulary"]))  # type: ignore[arg-type]


def spoil_weights(directory: Path) -> None:
    path = directory / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def weights(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Other weights, which config.json names as its own: made so by a stranger, not by damage."""

    def edit(directory: Path) -> None:
        path = directory / "weights.safetensors"
        path.write_bytes(change(path.read_bytes()))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        edited(lambda config: config.update(weights_sha256=digest))(directory)

    return edit


def header(**claims: object) -> Callable[[Path], None]:
    def change(content: bytes) -> bytes:
        size = struct.unpack("<Q", content[:8])[0]
        claimed = json.dumps(json.loads(content[8 : 8 + size]) | claims).encode()
        return struct.pack("<Q", len(claimed)) + claimed + content[8 + size :]

    return weights(change)


def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def edit(content: bytes) -> bytes:
        found = safetensors.torch.load(content)
        change(found)
        return safetensors.torch.save(found)

    return weights(edit)


def replaced_by_a_link(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


# what happened to the directory, and what the message must say
DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda d: (d / "config.json").unlink(), "config.json"),
    "no weights": (lambda d: (d / "weights.safetensors").unlink(), "there is no such file"),
    "a flipped bit": (spoil_weights, "not the weights that config.json names"),
    "not JSON": (lambda d: (d / "config.json").write_text("{"), "not JSON"),
    "deep JSON": (lambda d: (d / "config.json").write_text("[" * 100_000), "not JSON"),
    "another JSON": (lambda d: (d / "config.json").write_text("[]"), "not a musictag checkpoint"),
    "a newer format": (edited(lambda c: c.update(format=3)), "not a musictag checkpoint"),
    "no tags": (edited(lambda c: c.pop("tags")), "tags is missing"),
    "tags of another type": (edited(lambda c: c.update(tags="rock")), "should be a list"),
    "a threshold that is none": (edited(lambda c: c.update(thresholds={"Rock": "x"})), "x"),
    "a tag without a value": (
        edited(lambda c: c.update(tags=["rock", "slow", "polka"])),
        "no value for 'polka'",
    ),
    "a tag that the old table lacks": (
        in_format_1(tags=["rock", "slow", "polka"]),
        "no value for 'polka'",
    ),
    "an old threshold that is none": (in_format_1(thresholds={"Rock": "x"}), "x"),
    "a value without its tag": (
        vocabulary(lambda v: v["values"]["GENRE"].update({"Pop": {"tags": ["pop"]}})),
        "names 'pop', which the model has not",
    ),
    "no vocabulary": (edited(lambda c: c.pop("vocabulary")), "vocabulary is missing"),
    "a value that moves the cursor": (
        vocabulary(lambda v: v["values"]["GENRE"].update({"\x1b[2J": {"tags": ["rock"]}})),
        "control character",
    ),
    "a threshold for no value": (
        edited(lambda c: c.update(thresholds={"Polka": 0.5})),
        "threshold for 'Polka', which is no value",
    ),
    "a calibration that falls": (
        edited(lambda c: c.update(calibration={"Rock": [-1, 0]})),
        "calibration of -1",
    ),
    "a calibration that is one number": (
        edited(lambda c: c.update(calibration={"Rock": [1]})),
        "not enough values",
    ),
    "a calibration of nothing": (
        edited(lambda c: c.update(calibration={"Rock": [1, float("nan")]})),
        "calibration of 1.0 and nan",
    ),
    "tags without number": (
        edited(lambda c: c.update(tags=[f"tag {n}" for n in range(10_001)])),
        "10001 tags are more than",
    ),
    "an unknown setting": (
        edited(lambda c: c.update(front_end={"window": 1})),
        "unknown setting window",
    ),
    "an unknown cell": (edited(lambda c: c.update(architecture={"cell": "rnn"})), "rnn"),
    "a network of another size": (
        section("architecture", n_units=16),
        "has shape",
    ),
    "a network that would fill the memory": (
        section("architecture", n_units=10**6),
        "has shape",
    ),
    "a network of another depth": (
        section("architecture", n_layers=3),
        "is missing",
    ),
    "too few tags": (in_format_1(tags=["rock"]), "1 tags, the network has 3"),
    "a network for fewer tags": (section("architecture", n_tags=2), "3 tags, the network has 2"),
    "a tag twice": (edited(lambda c: c.update(tags=["rock"] * 3)), "a tag stands in it twice"),
    "a threshold of nothing": (
        edited(lambda c: c.update(thresholds={"Rock": float("nan")})),
        "threshold of nan",
    ),
    "a truth for a number": (
        section("architecture", n_layers=True),
        "n_layers is True",
    ),
    "no layers": (
        section("architecture", n_layers=0),
        "n_layers is 0",
    ),
    "a size in words": (
        section("architecture", n_units="4"),
        "n_units is '4'",
    ),
    "no hop": (
        section("front_end", hop=0),
        "hop is 0",
    ),
    "a segment that would fill the memory": (
        section("front_end", n_samples=10**12),
        "n_samples is 1000000000000",
    ),
    "frames that would fill the memory": (
        section("front_end", n_samples=2**22, hop=1),
        "hop is 1",
    ),
    "a threshold beyond all numbers": (
        edited(lambda c: c.update(thresholds={"Rock": 10**400})),
        "too large",
    ),
    "deep settings": (
        lambda d: (d / "config.json").write_text(
            (d / "config.json").read_text().replace('"T": 512', '"T": ' + "[" * 990 + "]" * 990)
        ),
        "recursion|T is|not JSON",
    ),
    "a config without end": (
        lambda d: replaced_by_a_link(d / "config.json", "/dev/zero"),
        "not a regular file",
    ),
    "weights without end": (
        lambda d: replaced_by_a_link(d / "weights.safetensors", "/dev/zero"),
        "not a regular file",
    ),
    "weights far larger than the network": (
        lambda d: os.truncate(d / "weights.safetensors", 2**40),
        "far too large for its network",
    ),
    "a header that is longer than the file": (
        weights(lambda content: struct.pack("<Q", 2**62) + content[8:]),
        "header",
    ),
    "a header that is not JSON": (
        weights(lambda content: content[:8] + b"[" * (len(content) - 8)),
        "header",
    ),
    "a header that claims a huge tensor": (
        header(mean={"dtype": "F32", "shape": [2**40, 2**20], "data_offsets": [0, 4]}),
        "weights.safetensors",
    ),
    "a header that claims what is not there": (
        header(mean={"dtype": "F32", "shape": [2**20], "data_offsets": [0, 2**22]}),
        "weights.safetensors",
    ),
    "a header with offsets backwards": (
        header(mean={"dtype": "F32", "shape": [1], "data_offsets": [2**63, 4]}),
        "weights.safetensors",
    ),
    "numbers of another kind": (
        header(mean={"dtype": "C64", "shape": [0], "data_offsets": [0, 0]}),
        "weights.safetensors",
    ),
    "weights that are no numbers": (
        tensors(lambda ts: ts["output.bias"].fill_(float("nan"))),
        "output.bias contains NaN or infinity",
    ),
    "weights that are whole numbers": (
        tensors(lambda ts: ts.update({"output.bias": ts["output.bias"].long()})),
        "output.bias is of int64",
    ),
    "a pickle for weights": (
        weights(lambda _: pickle.dumps({"mean": 1})),
        "weights.safetensors",
    ),
    "a front end of another size": (
        section("front_end", T=1024),
        "coefficients",
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_checkpoint_is_named(tmp_path: Path, what: str) -> None:
    damage, message = DAMAGE[what]
    directory = make(tmp_path / "tiny").directory
    damage(directory)
    with pytest.raises(CheckpointError, match=message) as caught:
        checkpoint.read(directory).load()
    assert str(tmp_path) in str(caught.value)


def test_a_model_that_gives_no_probabilities_says_so(tmp_path: Path) -> None:
    directory = make(tmp_path / "tiny").directory
    tensors(lambda ts: ts["std"].zero_())(directory)
    ear = checkpoint.read(directory).load()
    with pytest.raises(CheckpointError, match="give no probabilities"):
        ear.hear(sound().numpy())


def test_tags_must_be_as_many_as_the_network_has(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 tags"):
        make(tmp_path / "tiny", tags=("rock", "slow"))


def test_an_unknown_name_lists_the_models_there_are() -> None:
    with pytest.raises(CheckpointError, match=f"no-such-model.*{checkpoint.DEFAULT}"):
        checkpoint.find("no-such-model")


# -- the models that come with the program

N_TAGS = {"listener-5l-512h-gru": 140, "scat-5l-512h-gru": 50}


@pytest.fixture(scope="module", params=N_TAGS)
def shipped(request: pytest.FixtureRequest) -> Checkpoint:
    return checkpoint.find(request.param)


def test_all_shipped_models_are_looked_at_and_one_is_the_default() -> None:
    assert checkpoint.packaged() == sorted(N_TAGS)
    assert checkpoint.find().name == "listener-5l-512h-gru"


def test_the_shipped_model_is_the_papers_network(shipped: Checkpoint) -> None:
    a = shipped.architecture
    assert (a["cell"], a["n_layers"], a["n_units"], a["n_coefficients"]) == ("gru", 5, 512, 433)
    assert len(shipped.tags) == N_TAGS[shipped.name]


def test_the_shipped_model_takes_at_most_20_megabytes(shipped: Checkpoint) -> None:
    assert sum(path.stat().st_size for path in shipped.directory.iterdir()) <= 20_000_000


def test_the_shipped_model_has_a_threshold_for_every_value(shipped: Checkpoint) -> None:
    not_music = {value.name for value in shipped.vocabulary.not_music}
    assert set(shipped.thresholds) == set(shipped.vocabulary.by_name) | not_music


def test_the_shipped_model_has_a_card(shipped: Checkpoint) -> None:
    card = (shipped.directory / "README.md").read_text(encoding="utf-8")
    assert card.startswith(f"# Model card: {shipped.name}\n")
