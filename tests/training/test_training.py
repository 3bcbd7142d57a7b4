"""Training runs: that they learn, can be killed, and become checkpoints."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from labelled import TAGS, write_audible, write_learnable
from safetensors.torch import load_file
from waits import WAIT_S

from musictag.errors import UsageError
from musictag.hearing import checkpoint
from musictag.hearing.network.architecture import Architecture
from musictag.hearing.scattering.plan import FrontEnd
from musictag.training.batches import hear
from musictag.training.dataset import DataSet
from musictag.training.evaluate import evaluate
from musictag.training.features import prepare
from musictag.training.folder import read_folder
from musictag.training.record import EpochResult
from musictag.training.run import Run
from musictag.training.schedule import one_cycle
from musictag.training.settings import AUGMENTATIONS, TrainSettings, layers_of
from musictag.training.train import FeatureProgress, train


@pytest.fixture
def learnable(tmp_path: Path) -> TrainSettings:
    return write_learnable(tmp_path)


@pytest.fixture
def audible(tmp_path: Path) -> Path:
    return write_audible(tmp_path)


def test_training_learns_what_can_be_learned_and_leaves_a_checkpoint(
    learnable: TrainSettings,
) -> None:
    told: list[FeatureProgress | EpochResult] = []
    settings = dataclasses.replace(learnable, epochs=25, augmentations=("shift", "knobs", "mask"))
    directory = train(settings, tell=told.append)
    assert torch.tensor([1e-40]) * 1 > 0, "the program's numbers are as they were"
    results = [value for value in told if isinstance(value, EpochResult)]
    assert [r.epoch for r in results] == list(range(1, 26))
    assert results[-1].loss < 0.8 * results[0].loss
    assert max(r.roc_auc for r in results) > 0.95

    made = checkpoint.read(directory)
    assert made.tags == TAGS
    assert set(made.thresholds) == {"Rock", "Classical", "Instrumental"}
    record = json.loads((settings.output / "run.json").read_text())
    assert len(record["history"]) == 25
    assert record["epoch"] == 25
    assert record["data"]["n_train"] == 24
    assert record["settings"]["learning_rate"] == 0.02
    assert str(settings.dataset.parent) not in (directory / checkpoint.CONFIG).read_text()
    assert not (settings.output / "state.pt").exists()
    assert "epoch 25" in (settings.output / "curves.svg").read_text()


def test_killed_and_resumed_is_uninterrupted_bit_for_bit(
    learnable: TrainSettings, tmp_path: Path
) -> None:
    whole = train(dataclasses.replace(learnable, output=tmp_path / "whole"))

    def die_in_epoch_3(value: object) -> None:
        if isinstance(value, EpochResult) and value.epoch == 3:
            raise KeyboardInterrupt  # its weights have moved, and were not saved

    with pytest.raises(KeyboardInterrupt):
        train(learnable, tell=die_in_epoch_3)
    torch.manual_seed(123)  # whatever the next process begins with
    epochs: list[int] = []
    resumed = train(
        dataclasses.replace(learnable, resume=True),
        tell=lambda value: epochs.append(value.epoch) if isinstance(value, EpochResult) else None,
    )
    assert epochs == [3, 4]
    weights = [load_file(directory / checkpoint.WEIGHTS) for directory in (whole, resumed)]
    assert weights[0].keys() == weights[1].keys()
    for name in weights[0]:
        assert torch.equal(weights[0][name], weights[1][name]), name


NOT_NEEDED = (
    *("av", "soundfile", "soxr", "audioread", "mutagen"),
    *("kymatio", "scipy", "rich", "typer", "platformdirs"),
)


def test_with_features_at_hand_training_needs_no_decoder(
    learnable: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine with a GPU may have torch, numpy and safetensors, and nothing else."""
    for name in (*NOT_NEEDED, "musictag.audio.track"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it raises
    assert train(dataclasses.replace(learnable, epochs=1)).exists()


def test_nor_does_importing_it() -> None:
    blocked = f"import sys; sys.modules.update(dict.fromkeys({NOT_NEEDED!r}));"
    subprocess.run(
        [sys.executable, "-c", blocked + "import musictag.training.train"],
        check=True,
        timeout=WAIT_S,
    )


def test_another_seed_makes_another_model(learnable: TrainSettings, tmp_path: Path) -> None:
    results: list[list[float]] = []
    for seed in (0, 0, 1):
        losses: list[float] = []
        settings = dataclasses.replace(
            learnable, seed=seed, epochs=1, output=tmp_path / f"run{len(results)}"
        )
        train(settings, tell=lambda v, to=losses: to.append(getattr(v, "loss", 0.0)))  # type: ignore[misc]
        results.append(losses)
    assert results[0] == results[1] != results[2]


@pytest.mark.parametrize(
    "change",
    [
        {"people": 0.5},
        {"absence": 0.5},
        {"moods": 0.5},
        {"voice": 0.5},
        {"balance": 0.5},
        {"crop": 0.5},
        {"smoothing": 0.5},
        {"schedule": "constant"},
        {"averaging": 0.0},
        *({"augmentations": (name,)} for name in AUGMENTATIONS if name != "noise"),
    ],
    ids=str,
)
def test_every_setting_makes_another_model(
    learnable: TrainSettings, tmp_path: Path, change: dict[str, object]
) -> None:
    clips, table = (learnable.dataset / name for name in ("clips.csv", "soft_labels.csv"))
    text = re.sub(",train,$", ",train,rock,Q1,no", clips.read_text(), flags=re.MULTILINE)
    text = re.sub(",validation,$", ",validation,,,", text, flags=re.MULTILINE)
    clips.write_text(text.replace(",genre", ",genre,quadrant,voice", 1))
    if "moods" in change:
        table.write_text(table.read_text().replace("no vocals", "happy", 1))
    plain = dataclasses.replace(
        learnable, augmentations=(), epochs=2, people=0, absence=0, moods=0, voice=0
    )
    other = dataclasses.replace(plain, **change, output=tmp_path / "other")  # type: ignore[arg-type]
    one, two = (load_file(train(s) / "weights.safetensors") for s in (plain, other))
    assert any(not torch.equal(one[name], two[name]) for name in one)


def test_a_model_learns_from_models_before_it(learnable: TrainSettings, tmp_path: Path) -> None:
    teacher = train(learnable)
    taught = dataclasses.replace(
        learnable, output=tmp_path / "pupil", teachers=(teacher,), teaching=1.0
    )
    dataset = read_folder(taught.dataset)
    run = Run(taught, dataset, prepare(dataset, FrontEnd(), taught.features or Path()))
    opinion = hear(checkpoint.read(teacher).network(), run.training)
    np.testing.assert_allclose(run.training.labels.numpy(), opinion, rtol=1e-5)
    record = checkpoint.read(train(taught)).training
    assert record["teachers"] == [learnable.name]
    assert str(tmp_path) not in json.dumps(record)


def test_training_begins_with_another_models_weights(
    learnable: TrainSettings, tmp_path: Path
) -> None:
    first = train(dataclasses.replace(learnable, epochs=25))
    again = dataclasses.replace(learnable, output=tmp_path / "again", start=first, people=0.0)
    dataset = read_folder(again.dataset)
    features_ = prepare(dataset, FrontEnd(), again.features or Path())
    run = Run(again, dataset, features_)
    run.begin()
    for name, tensor in checkpoint.read(first).network().state_dict().items():
        assert torch.equal(run.model.state_dict()[name], tensor), name
    record = checkpoint.read(train(again)).training
    assert record["start"]["digest"] == checkpoint.read(first).digest
    assert str(tmp_path) not in json.dumps(record)


def test_without_an_epoch_only_thresholds_are_learned(
    learnable: TrainSettings, tmp_path: Path
) -> None:
    first = train(learnable)
    unsure = json.loads((first / checkpoint.CONFIG).read_text())
    fitted = dict(unsure["thresholds"])
    unsure["thresholds"] = dict.fromkeys(fitted, 0.99)
    (first / checkpoint.CONFIG).write_text(json.dumps(unsure))
    again = dataclasses.replace(learnable, output=tmp_path / "again", start=first, epochs=0)
    refitted = checkpoint.read(train(again))
    assert refitted.weights_sha256 == unsure["weights_sha256"]
    assert refitted.vocabulary.thresholds == pytest.approx(fitted)
    assert refitted.training["validation"].keys() == {"roc_auc", "correlation"}
    with pytest.raises(UsageError, match="model to start from"):
        dataclasses.replace(again, start=None)


def test_of_other_tags_those_in_common_keep_their_rows_too(
    learnable: TrainSettings, tmp_path: Path
) -> None:
    first = train(learnable)
    table = learnable.dataset / "soft_labels.csv"
    table.write_text(table.read_text().replace("rock", "polka", 1))
    (learnable.dataset / "tag_statistics.csv").unlink()
    again = dataclasses.replace(learnable, output=tmp_path / "again", start=first)
    dataset = read_folder(again.dataset)
    run = Run(again, dataset, prepare(dataset, FrontEnd(), again.features or Path()))
    run.begin()
    found = run.model.state_dict()
    for name, tensor in checkpoint.read(first).network().state_dict().items():
        if not name.startswith("output."):
            assert torch.equal(found[name], tensor), name
            continue
        assert not torch.equal(found[name][0], tensor[0]), name  # rock has become polka
        assert torch.equal(found[name][1:], tensor[1:]), name
    prior = run.training.labels[:, 0].mean().logit()
    torch.testing.assert_close(found["output.bias"][0], prior)


def test_a_model_of_fewer_tags_is_cut_from_one_of_more(
    learnable: TrainSettings, tmp_path: Path
) -> None:
    whole = train(learnable)
    some = dataclasses.replace(
        learnable, output=tmp_path / "some", start=whole, tags=("no vocals", "rock"), epochs=1
    )
    cut = checkpoint.read(train(dataclasses.replace(some, learning_rate=0.0, averaging=0.0)))
    assert cut.tags == ("no vocals", "rock")
    before = checkpoint.read(whole).network().state_dict()
    for name, tensor in cut.network().state_dict().items():
        expected = before[name][[2, 0]] if name.startswith("output.") else before[name]
        torch.testing.assert_close(tensor, expected, msg=name)


@pytest.mark.parametrize("layers", [(0,), (0, 1)])  # one, and all below the output
def test_frozen_layers_keep_their_weights(
    learnable: TrainSettings, layers: tuple[int, ...]
) -> None:
    settings = dataclasses.replace(learnable, freeze=layers, epochs=2)
    dataset = read_folder(settings.dataset)
    run = Run(settings, dataset, prepare(dataset, FrontEnd(), settings.features or Path()))
    run.begin()
    before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    run.epoch()
    for name, tensor in run.model.state_dict().items():
        frozen = name.endswith(tuple(f"_l{layer}" for layer in layers)) or name in ("mean", "std")
        assert torch.equal(tensor, before[name]) == frozen, name
    with pytest.raises(UsageError, match="no layer 2 to freeze, only 0 to 1"):
        train(dataclasses.replace(settings, freeze=(2,)))


def test_layers_are_named_by_a_number_or_a_range() -> None:
    assert layers_of("2") == (2,)
    assert layers_of("0-3") == (0, 1, 2, 3)
    for text in ("", "-1", "3-0", "two", "0-", "0-3-5"):
        with pytest.raises(UsageError, match="a number or a range such as 0-3"):
            layers_of(text)


def test_a_model_with_another_front_end_is_refused(
    learnable: TrainSettings, tmp_path: Path
) -> None:
    teacher = train(learnable)
    config = json.loads((teacher / "config.json").read_text())
    config["front_end"]["exactness"] = "high"
    (teacher / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match=f"{learnable.name} is of no use"):
        train(dataclasses.replace(learnable, output=tmp_path / "pupil", teachers=(teacher,)))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"people": 1.5}, "people must be from 0 to 1"),
        ({"learning_rate": -0.001}, "learning_rate must be at least 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be at least 0"),
        ({"moods": -0.5}, "moods must be from 0 to 1"),
        ({"balance": -1}, "balance must be at least 0"),
        ({"crop": 0.0}, "crop must be more than 0 and at most 1"),
        ({"patience": -1}, "patience must be at least 0"),
        ({"seed": 10**30}, "seed must be from"),
        ({"schedule": "cosine"}, "one-cycle, exponential, constant"),
        ({"augmentations": ("echo",)}, "no augmentation echo"),
    ],
)
def test_settings_that_cannot_be_are_named(
    learnable: TrainSettings, change: dict[str, object], complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        dataclasses.replace(learnable, **change)  # type: ignore[arg-type]


def test_resuming_with_other_settings_is_refused_by_name(learnable: TrainSettings) -> None:
    def die(value: object) -> None:
        if isinstance(value, EpochResult) and value.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(learnable, tell=die)
    with pytest.raises(UsageError, match="another batch_size, learning_rate"):
        train(dataclasses.replace(learnable, batch_size=4, learning_rate=0.1, resume=True))


def test_a_run_is_never_overwritten_and_a_finished_one_is_not_trained_again(
    learnable: TrainSettings,
) -> None:
    settings = dataclasses.replace(learnable, epochs=1)
    directory = train(settings)
    with pytest.raises(UsageError, match="holds a run already"):
        train(settings)
    before = {path: path.stat().st_mtime_ns for path in directory.iterdir()}
    told: list[object] = []
    assert train(dataclasses.replace(settings, resume=True), tell=told.append) == directory
    assert told == []
    assert {path: path.stat().st_mtime_ns for path in directory.iterdir()} == before


def test_training_stops_early_when_validation_no_longer_gains(learnable: TrainSettings) -> None:
    told: list[object] = []
    settings = dataclasses.replace(learnable, epochs=40, patience=2, learning_rate=0.0)
    train(settings, tell=told.append)
    assert [r.best for r in told if isinstance(r, EpochResult)] == [True, False, False]


@pytest.mark.parametrize(("patience", "counts"), [(0, 2), (5, 1)])
def test_with_patience_the_best_epoch_counts_and_without_the_last(
    learnable: TrainSettings, monkeypatch: pytest.MonkeyPatch, patience: int, counts: int
) -> None:
    settings = dataclasses.replace(learnable, patience=patience)
    dataset = read_folder(settings.dataset)
    run = Run(settings, dataset, prepare(dataset, FrontEnd(), settings.features or Path()))
    run.begin()
    weights = {}
    for epoch, score in ((1, 0.9), (2, 0.5)):
        monkeypatch.setattr(run, "evaluate", lambda score=score: (score, score))
        run.epoch()
        weights[epoch] = {k: v.clone() for k, v in run.average.state_dict().items()}
    found = load_file(run.finish() / checkpoint.WEIGHTS)
    for name, tensor in weights[counts].items():
        torch.testing.assert_close(found[name], tensor)
    assert json.loads((settings.output / "run.json").read_text())["epoch"] == counts


def test_thresholds_are_for_the_weights_that_ship(learnable: TrainSettings) -> None:
    settings = dataclasses.replace(learnable, half=True)
    dataset = read_folder(settings.dataset)
    run = Run(settings, dataset, prepare(dataset, FrontEnd(), settings.features or Path()))
    run.begin()
    run.epoch()
    shipped = load_file(run.finish() / checkpoint.WEIGHTS)
    for name, tensor in run.average.state_dict().items():
        assert torch.equal(tensor, shipped[name].float()), name


def test_standardisation_is_fitted_on_the_training_split_alone(learnable: TrainSettings) -> None:
    dataset = read_folder(learnable.dataset)
    made = prepare(dataset, FrontEnd(), learnable.features or Path())
    run = Run(learnable, dataset, made)
    run.begin()
    x = made.read([f"c{i}" for i in range(24)]).double()
    torch.testing.assert_close(run.model.mean, x.mean(dim=(0, 2)).float())
    torch.testing.assert_close(run.model.std, x.std(dim=(0, 2), correction=0).float())


def test_the_network_has_the_ends_that_the_data_need(learnable: TrainSettings) -> None:
    other = dataclasses.replace(learnable, architecture=Architecture(n_units=8, n_layers=2))
    made = checkpoint.read(train(other))
    assert (made.architecture["n_coefficients"], made.architecture["n_tags"]) == (6, 3)


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [one_cycle(i / 100) for i in range(101)]
    assert rates[10] == max(rates) == 1
    assert rates[0] == pytest.approx(0.04)
    assert rates[-1] == pytest.approx(0)
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_a_trained_model_is_evaluated_on_audio_as_a_scan_would_hear_it(
    audible: Path, tmp_path: Path
) -> None:
    settings = TrainSettings(
        dataset=audible,
        output=tmp_path / "run",
        epochs=1,
        n_variants=1,
        architecture=Architecture(n_units=8, n_layers=1, n_tags=3),
    )
    progress: list[object] = []
    directory = train(settings, tell=progress.append)
    dataset = read_folder(audible)
    assert isinstance(progress[0], DataSet)
    assert progress[0].examples == dataset.examples
    assert progress[1] == FeatureProgress(done=4, total=4)
    assert read_run(settings)["data"]["broken"].keys() == {"b"}
    told: list[tuple[int, int]] = []
    found = evaluate(
        checkpoint.read(directory),
        dataset,
        split="train",
        n_resamples=5,
        tell=lambda done, total: told.append((done, total)),
    )
    assert (found.n, found.n_tracks, found.split) == (2, 1, "train")
    assert told == [(2, 2)]
    with pytest.raises(UsageError, match="no examples in its test split"):
        evaluate(checkpoint.read(directory), dataset, split="test")


def read_run(settings: TrainSettings) -> dict[str, dict[str, object]]:
    loaded: dict[str, dict[str, object]] = json.loads((settings.output / "run.json").read_text())
    return loaded
