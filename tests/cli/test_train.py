"""`musictag train` and `musictag evaluate`."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import sounds
from program import TAGS, Run

from musictag.cli import train as train_command
from musictag.training import recipes
from musictag.training.settings import AUGMENTATIONS, TrainSettings


@pytest.fixture(scope="session")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones that are slow and noise that is rock, a few seconds each."""
    directory = tmp_path_factory.mktemp("data set")
    clips, labels = [], []
    for i, split in enumerate(("train", "train", "validation", "validation", "test", "test")):
        sound = sounds.noise(3.0, seed=i) if i % 2 else sounds.tone(300.0 + 100 * i, 3.0)
        (directory / f"{i}.flac").write_bytes(sounds.encode("flac", sound, 44_100))
        clips.append(f"{i},{i}.flac,0.0,3.0,{i},{split},{'rock' if i % 2 else ''}")
        labels.append(f"{i},{i % 2},{1 - i % 2}")
    (directory / "clips.csv").write_text(
        "\n".join(["id,file,start,duration,track,split,genre", *clips]) + "\n"
    )
    (directory / "soft_labels.csv").write_text("\n".join(["id,rock,slow", *labels]) + "\n")
    return directory


def test_a_model_is_trained_judged_and_used(
    musictag: Run, data_set: Path, tmp_path: Path, few_noises: None
) -> None:
    small = tmp_path / "small.toml"
    small.write_text("[network]\nn_units = 8\nn_layers = 1\n[training]\nepochs = 9\n")
    training = ("train", "--dataset", data_set, "-o", tmp_path / "run", "--epochs", "2")
    trained = musictag(*training, "--variants", "1", "--name", "ours", "--recipe", small)
    assert trained.code == 0, trained.stderr
    assert "features: 6 of 6 examples" in trained.stderr
    assert "epoch   2 of 2" in trained.stderr
    made = trained.stdout.strip()

    judged = musictag("evaluate", "--dataset", data_set, "--model", made, "--json")
    scores = json.loads(judged.stdout)
    assert (scores["model"], scores["split"], scores["n"]) == ("ours", "test", 2)
    assert set(scores["macro"]) >= {"roc_auc", "pr_auc", "brier", "ece"}
    assert set(scores["tags"]) == {"rock", "slow"}

    shown = musictag("evaluate", "--dataset", data_set, "--model", made)
    assert "macro average" in shown.stdout

    (record,) = musictag("scan", data_set / "4.flac", "--model", made, "--format", "jsonl").records
    assert (record["model"], set(record["probabilities"])) == ("ours", {"rock", "slow"})


def test_options_of_training_say_the_defaults_of_its_settings() -> None:
    """The command cannot ask for them: the help would load torch."""
    options = inspect.signature(train_command.train, eval_str=True).parameters
    said = {}
    for name, option in options.items():
        (text,) = [part.help or "" for part in option.annotation.__metadata__]
        if found := re.search(r"\[default: ([^\]]+)\]", text):
            said[name] = found[1]
    settings = {field.name.removeprefix("n_"): field for field in dataclasses.fields(TrainSettings)}
    numbers = {name: words for name, words in said.items() if re.fullmatch(r"[\d.]+", words)}
    assert len(numbers) == 13
    for name, words in numbers.items():
        assert float(words) == settings[name].default, name
    assert said["augment"] == "augment"
    assert TrainSettings.augmentations == AUGMENTATIONS
    assert said["bfloat16"] == "no-bfloat16"
    assert TrainSettings.bfloat16 is False
    assert said["recipe"] == recipes.DEFAULT
    default = recipes.read(recipes.DEFAULT)
    plain = TrainSettings(Path(), Path())
    assert (default.network, default.front_end) == (plain.architecture, plain.front_end)
    assert not default.training


def test_an_example_that_cannot_be_read_is_left_out_and_said(
    musictag: Run, data_set: Path, tiny: Path, tmp_path: Path
) -> None:
    directory = shutil.copytree(data_set, tmp_path / "damaged")
    labels = ",".join(TAGS)
    rows = [f"{i}" + ",1" * len(TAGS) for i in range(6)]
    (directory / "soft_labels.csv").write_text("\n".join([f"id,{labels}", *rows]) + "\n")
    (directory / "4.flac").write_bytes(b"not music at all")
    judging = ("evaluate", "--dataset", directory, "--model", tiny, "--json")
    result = musictag(*judging)
    assert result.code == 0
    assert (json.loads(result.stdout)["n"], json.loads(result.stdout)["left_out"]) == (1, 1)
    assert f"left out: {directory / '4.flac'}" in result.stderr
    (directory / "5.flac").unlink()
    result = musictag(*judging)
    assert (result.code, result.stdout) == (2, "")
    assert "no audio could be read" in result.stderr


# arguments, and what the complaint must name
WRONG_TRAINING = [
    (("train", "--dataset", "nowhere", "-o", "run"), "nowhere: there is no such folder\n"),
    (("evaluate", "--dataset", "."), ".: not a data set: neither clips.csv nor annot"),
    (("evaluate", "--dataset", "nowhere", "--split", "all"), "--split all: expected one of"),
    (
        ("evaluate", "--dataset", "nowhere", "--level", "all"),
        "--level all: expected one of",
    ),
    (("train", "--dataset", ".", "-o", "run", "--epochs", "0"), "epochs"),
    (("train", "--dataset", ".", "-o", "run", "--device", "tpu"), "tpu"),
    (("evaluate", "--dataset", "nowhere"), "nowhere"),
    (("evaluate", "--dataset", ".", "--model", "nothing"), "nothing"),
    (("evaluate",), "--dataset"),
]


@pytest.mark.parametrize(("arguments", "named"), WRONG_TRAINING)
def test_wrong_training_arguments_are_named(
    musictag: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: Any, named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = musictag(*arguments)
    assert result.code == 2
    assert named in result.stderr
    assert result.stdout == ""
