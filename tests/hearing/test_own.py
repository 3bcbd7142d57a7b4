"""A model of one's own words: a base that hears, and a head on what it makes of tracks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from learned import own_model

from musictag.errors import CheckpointError
from musictag.hearing import checkpoint, own
from musictag.hearing.head import Head
from musictag.vocabulary import parse

HEAD = Head(
    of_mean=np.array([[1, 0], [0, 2]], np.float32),
    of_spread=np.array([[0, 0], [1, 0]], np.float32),
    typical_spread=np.array([0.5, 0.5], np.float32),
    bias=np.array([0, -1], np.float32),
)


def sigmoid(x: float) -> float:
    return 1 / (1 + np.exp(-x))


def test_a_head_weighs_mean_and_spread() -> None:
    found = HEAD(np.array([[2, 3]], np.float32), np.array([[1.5, 0]], np.float32))
    assert found[0].tolist() == pytest.approx([sigmoid(2), sigmoid(6 - 1 + 1)])


def test_one_segment_has_the_typical_spread() -> None:
    mean = np.array([[2, 3]], np.float32)
    usual = HEAD(mean, np.array([[0.5, 0.5]], np.float32))
    assert HEAD(mean).tolist() == usual.tolist()
    assert HEAD(mean, np.zeros((1, 2), np.float32)).tolist() == usual.tolist()


def test_own_words_stand_beside_the_base_s_values_of_other_fields() -> None:
    base = parse(
        {
            "values": {
                "GENRE": {"Rock": {"tags": ["rock"]}},
                "MOOD": {"Acoustic": {"tags": ["acoustic"]}, "Slow": {"tags": ["slow", "calm"]}},
            },
            "not music": {"speech": {"tags": ["speech"]}},
            "words": {"guitar music": ["Rock"], "sleepy": ["Slow"]},
        }
    ).with_thresholds({"Slow": 0.4})
    mine = parse({"values": {"GENRE": {"acoustic": {"tags": ["acoustic"]}}}})
    both = own.beside(mine, base)
    assert list(both.by_name) == ["acoustic", "Slow"]
    assert both.tags == {"acoustic", "slow", "calm", "speech"}
    assert both.thresholds == {"Slow": 0.4}
    assert both.words == {"sleepy": ("Slow",)}


def test_it_hears_with_its_base_and_says_its_own_words(tmp_path: Path, tiny: Path) -> None:
    model, base = own_model(tmp_path / "mine", tiny), checkpoint.read(tiny)
    assert model.heard_by.digest == base.digest != model.digest
    assert model.tags[:2] == ("Schlager", "Polka")
    assert "rock" not in model.tags
    assert "slow" in model.tags
    samples = np.random.default_rng(0).normal(size=(2, 464_000)).astype(np.float32) / 10
    ear = model.load()
    heard, plain = ear.hear(samples), base.load().hear(samples)
    assert heard.probabilities[:, :2].tolist() == [pytest.approx([0.9, 0.01], abs=1e-6)] * 2
    slow, where = model.tags.index("slow"), base.tags.index("slow")
    assert heard.probabilities[:, slow] == pytest.approx(plain.probabilities[:, where], abs=1e-6)
    assert heard.summaries == pytest.approx(plain.summaries, abs=1e-6)
    batch = ear.batch(464_000)
    batch.add(samples[0])
    assert batch.begin().result().probabilities[0] == pytest.approx(
        heard.probabilities[0], abs=1e-5
    )


def test_the_base_s_values_can_stay_away(tmp_path: Path, tiny: Path) -> None:
    model = own_model(tmp_path / "mine", tiny, with_base=False)
    assert model.tags == ("Schlager", "Polka")
    assert {value.field for value in model.vocabulary.values} == {"GENRE"}


def test_a_base_of_one_s_own_is_copied(tmp_path: Path, tiny: Path) -> None:
    base = shutil.copytree(tiny, tmp_path / "base model")
    own_model(tmp_path / "mine", base)
    shutil.rmtree(base)
    assert checkpoint.find(tmp_path / "mine").heard_by.name == "tiny"


def test_a_base_that_comes_with_musictag_is_not_copied(tmp_path: Path) -> None:
    own_model(tmp_path / "mine", checkpoint.find().directory)
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
        "config.json",
        "weights.safetensors",
    ]
    assert checkpoint.find(tmp_path / "mine").heard_by == checkpoint.find()


def changed(directory: Path, **base: object) -> Path:
    path = directory / "config.json"
    config = json.loads(path.read_text())
    config["base"].update(base)
    path.write_text(json.dumps(config))
    return directory


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        ({"name": "gone", "digest": "0"}, "was learned on the model gone, which is not here"),
        ({"digest": "0"}, "was learned on another tiny than the one here"),
    ],
)
def test_a_base_that_is_not_here_is_named(
    tmp_path: Path, tiny: Path, base: dict[str, object], reason: str
) -> None:
    own_model(tmp_path / "mine", tiny)
    with pytest.raises(CheckpointError, match=reason):
        checkpoint.read(changed(tmp_path / "mine", **base))


def test_a_base_has_no_base(tmp_path: Path, tiny: Path) -> None:
    own_model(tmp_path / "mine", tiny)
    shutil.rmtree(tmp_path / "mine" / "base")
    (tmp_path / "mine" / "base").symlink_to(tmp_path / "mine")
    with pytest.raises(CheckpointError, match="missing"):
        checkpoint.read(tmp_path / "mine")


def test_damaged_weights_are_noticed(tmp_path: Path, tiny: Path) -> None:
    model = own_model(tmp_path / "mine", tiny)
    path = tmp_path / "mine" / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(CheckpointError, match="not the weights that config"):
        model.load()
