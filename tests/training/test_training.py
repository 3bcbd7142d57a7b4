"""Training and judging: data sets, features, runs that can be killed, scores done by hand."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sounds
import torch
from labelled import TAGS, clip, data_set, write_folder, write_learnable
from safetensors.torch import load_file

from musictag.errors import AudioError, DataSetError, UsageError
from musictag.hearing import checkpoint
from musictag.hearing.network.architecture import Architecture
from musictag.hearing.scattering.plan import FrontEnd
from musictag.hearing.scattering.torch import Scattering
from musictag.training import augment, features, scores
from musictag.training.dataset import DataSet, Example, read_folder, read_samples
from musictag.training.evaluate import evaluate
from musictag.training.features import prepare
from musictag.training.thresholds import choose_thresholds, n_decided_otherwise
from musictag.training.train import (
    AUGMENTATIONS,
    EpochResult,
    FeatureProgress,
    Run,
    TrainSettings,
    hear,
    one_cycle,
    train,
)

# -- made here -------------------------------------------------------------------------------------


@pytest.fixture
def learnable(tmp_path: Path) -> TrainSettings:
    return write_learnable(tmp_path)


# -- data sets -------------------------------------------------------------------------------------


def test_a_folder_data_set_is_read_row_by_row(tmp_path: Path) -> None:
    rows = [clip("a", genre="rock", start=1.5), clip("b", "test", file="x/b.opus", duration=3)]
    folder = write_folder(tmp_path, rows, [[0.1, 0.2, 0.3], [1, 0, 0.5]])
    (folder / "tag_statistics.csv").write_text("tag,share\nclassical,0.2\nrock,0.1\nno vocals,.3\n")
    dataset = read_folder(folder)
    assert dataset.tags == TAGS
    assert dataset.examples == (
        Example("a", folder / "a.wav", 1.5, 29, "a", "train", "rock"),
        Example("b", folder / "x/b.opus", 0, 3, "b", "test", ""),
    )
    np.testing.assert_allclose(dataset.labels, [[0.1, 0.2, 0.3], [1, 0, 0.5]])
    assert dataset.shares == {"rock": 0.1, "classical": 0.2, "no vocals": 0.3}
    assert dataset.rows("test") == [1]


def test_without_statistics_the_training_labels_say_how_common_a_tag_is(tmp_path: Path) -> None:
    rows = [clip("a"), clip("b"), clip("c", "test")]
    folder = write_folder(tmp_path, rows, [[0.25, 0, 0], [0.75, 0, 1], [1, 1, 1]])
    assert read_folder(folder).shares == {"rock": 0.5, "classical": 0.0, "no vocals": 0.5}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"split": "dev"}, r"clips.csv:3: split is 'dev'"),
        ({"start": "soon"}, r"clips.csv:3: 'soon' is not a number"),
        ({"duration": 0}, r"clips.csv:3: starts at 0.0 s, lasts 0.0 s"),
        ({"id": "a"}, r"clips.csv: a is there twice"),
        ({"track": "a"}, r"clips.csv: track a is in two splits"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, change: dict[str, object], complaint: str) -> None:
    folder = write_folder(tmp_path, [clip("a"), clip("b", "test") | change], [[0] * 3] * 2)
    with pytest.raises(DataSetError, match=complaint):
        read_folder(folder)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("soft_labels.csv", "id,rock\na,0.5\n", "no labels for b"),
        ("soft_labels.csv", "id,rock\na,0.5\nb,1.5\n", "soft_labels.csv:3: .* between 0 and 1"),
        ("soft_labels.csv", "id,rock\na,0.5\nb\n", "soft_labels.csv:3: wrong number of columns"),
        ("clips.csv", "id,file\na,a.wav\n", "no column start, duration, track, split"),
        ("clips.csv", "id,file,start,duration,track,split\n", "no examples"),
        ("tag_statistics.csv", "tag,share\nrock,0.1\n", "no share for classical, no vocals"),
    ],
)
def test_a_wrong_table_is_named(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    folder = write_folder(tmp_path, [clip("a"), clip("b")], [[0] * 3] * 2)
    (folder / name).write_text(text)
    with pytest.raises(DataSetError, match=complaint):
        read_folder(folder)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match=r"soft_labels.csv: No such file or directory$"):
        read_folder(tmp_path)


def test_the_digest_is_that_of_labels_and_splits_not_of_the_place(tmp_path: Path) -> None:
    def digest(place: str, split: str, label: float) -> str:
        folder = write_folder(tmp_path / place, [clip("a", split)], [[label, 0, 0]])
        return read_folder(folder).digest()

    first = digest("x", "train", 0.5)
    assert digest("y", "train", 0.5) == first
    assert digest("y", "test", 0.5) != first
    assert digest("y", "train", 0.6) != first


def test_an_example_is_its_stretch_padded_to_a_segment(tmp_path: Path) -> None:
    noise = sounds.noise(40, rate_hz=16_000, channels=1)
    path = sounds.write(tmp_path / "a.wav", "wav", noise, 16_000)

    def stretch(start_s: float, duration_s: float) -> np.ndarray:
        return read_samples(Example("a", path, start_s, duration_s, "a", "train"))

    expected = np.zeros(464_000, dtype=np.float32)
    expected[: 20 * 16_000] = noise[160_000:480_000, 0]
    np.testing.assert_allclose(stretch(10, 20), expected, atol=1e-4)  # 16 bits
    np.testing.assert_allclose(stretch(0, 40), noise[:464_000, 0], atol=1e-4)  # a segment at most
    assert not stretch(30, 10.3)[160_000:].any()  # tables round: a little less is all right
    with pytest.raises(AudioError, match=r"ends at 40.0 s, before example a does"):
        stretch(20, 21)


# -- features --------------------------------------------------------------------------------------


@pytest.fixture
def audible(tmp_path: Path) -> Path:
    """Three examples with audio: two stretches of one file, and one that is broken."""
    folder = tmp_path / "data"
    folder.mkdir()
    tone = sounds.chord(40, rate_hz=16_000, channels=1)
    sounds.write(folder / "a.wav", "wav", tone, 16_000)
    (folder / "b.wav").write_bytes(b"RIFF, but then nothing")
    rows = [
        clip("a0", file="a.wav", track="a"),
        clip("a1", file="a.wav", track="a", start=10),
        clip("b", "validation"),
        clip("d", "validation", file="a.wav", start=0, duration=12),
    ]
    return write_folder(folder, rows, [[0.5, 0.1, 0.2]] * 4)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The examples whose audio is read, as it happens."""
    read: list[str] = []
    original = features.read_samples

    def listening(example: Example) -> object:
        read.append(example.id)
        return original(example)

    monkeypatch.setattr(features, "read_samples", listening)
    return read


def test_features_are_the_front_ends_and_a_broken_clip_is_named(
    audible: Path, tmp_path: Path
) -> None:
    dataset = read_folder(audible)
    made = prepare(dataset, FrontEnd(), tmp_path / "f")
    assert list(made.broken) == ["b"]
    assert "b.wav" in made.broken["b"]
    samples = torch.from_numpy(read_samples(dataset.examples[1]))
    expected = Scattering(FrontEnd())(samples[None])
    torch.testing.assert_close(made.read(["a1"]).float(), expected, rtol=1e-3, atol=1e-3)


def test_features_are_computed_once_and_again_when_audio_changes(
    audible: Path, tmp_path: Path, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "SHARD_SIZE", 2)
    first = prepare(read_folder(audible), FrontEnd(), tmp_path / "f")
    assert sorted(computed) == ["a0", "a1", "b", "d"]
    computed.clear()
    again = prepare(read_folder(audible), FrontEnd(), tmp_path / "f")
    assert computed == []
    assert again.broken == first.broken
    assert torch.equal(first.read(["a0", "d"]), again.read(["a0", "d"]))

    sounds.write(audible / "b.wav", "wav", sounds.chord(29, rate_hz=16_000, channels=1), 16_000)
    repaired = prepare(read_folder(audible), FrontEnd(), tmp_path / "f")
    assert sorted(computed) == ["b", "d"]  # the broken one's shard, nothing else
    assert repaired.broken == {}


def test_features_are_believed_where_the_audio_is_not(
    audible: Path, tmp_path: Path, computed: list[str]
) -> None:
    first = prepare(read_folder(audible), FrontEnd(), tmp_path / "f")
    computed.clear()
    for path in audible.glob("*.wav"):
        path.unlink()
    again = prepare(read_folder(audible), FrontEnd(), tmp_path / "f")
    assert computed == []
    assert torch.equal(first.read(["a1"]), again.read(["a1"]))


def test_a_killed_computation_goes_on_where_it_was(
    audible: Path, tmp_path: Path, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "SHARD_SIZE", 2)

    def die(done: int, total: int) -> None:
        assert (done, total) == (2, 4)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(read_folder(audible), FrontEnd(), tmp_path / "f", tell=die)
    computed.clear()
    prepare(read_folder(audible), FrontEnd(), tmp_path / "f")
    assert sorted(computed) == ["b", "d"]
    assert not [path for path in (tmp_path / "f").rglob("*") if path.suffix == ".part"]


def test_noise_is_computed_once_beside_the_examples(audible: Path, tmp_path: Path) -> None:
    found = prepare(read_folder(audible), FrontEnd(), tmp_path)
    noise = found.noise()
    assert noise is not None
    assert noise.shape == (features.N_NOISES, 433, 114)
    written = features.place(tmp_path, FrontEnd()) / features.NOISE
    then = written.stat().st_mtime_ns
    prepare(read_folder(audible), FrontEnd(), tmp_path)
    assert written.stat().st_mtime_ns == then
    written.unlink()
    assert prepare(read_folder(audible), FrontEnd(), tmp_path).noise() is not None


def test_variants_are_of_training_examples_only_and_differ(audible: Path, tmp_path: Path) -> None:
    made = prepare(read_folder(audible), FrontEnd(), tmp_path / "f", n_variants=2)
    assert made.n_variants == 2
    plain, varied = made.read(["a0", "a0"], [0, 1])
    assert not torch.allclose(plain, varied, atol=0.1)
    with pytest.raises(KeyError):
        made.read(["d"], [1])


def test_another_front_end_has_its_own_place(tmp_path: Path) -> None:
    places = {
        features.place(tmp_path, front_end)
        for front_end in (FrontEnd(), FrontEnd(exactness="high"), FrontEnd(normalisation="log"))
    }
    assert len(places) == 3


def test_no_readable_audio_at_all_is_an_error(audible: Path, tmp_path: Path) -> None:
    for path in audible.glob("*.wav"):
        path.unlink()
    with pytest.raises(DataSetError, match="no audio could be read"):
        prepare(read_folder(audible), FrontEnd(), tmp_path / "f")


# -- augmentation ----------------------------------------------------------------------------------


def test_a_variant_is_the_same_for_the_same_seed_and_keeps_the_length() -> None:
    samples = torch.randn(46_400, generator=torch.Generator().manual_seed(1))
    once, twice, other = (augment.vary(samples, seed) for seed in (1, 1, 2))
    assert once.shape == samples.shape
    assert torch.equal(once, twice)
    assert not torch.allclose(once, other)


def test_speed_moves_a_tone_by_at_most_six_percent() -> None:
    n = 160_000
    tone = torch.sin(2 * math.pi * 1000 * torch.arange(n) / 16_000)
    found = []
    for seed in range(12):
        spectrum = torch.fft.rfft(augment.vary(tone, seed)).abs()
        found.append(float(spectrum.argmax()) * 16_000 / n)
    assert 935 < min(found) < 970
    assert 1030 < max(found) < 1065


def test_more_gain_in_feature_space_is_more_gain_of_the_samples() -> None:
    scattering = Scattering(FrontEnd())
    moves = features.responses(FrontEnd(), scattering)
    samples = torch.randn(1, 464_000, generator=torch.Generator().manual_seed(3)) * 0.05
    louder = scattering(samples * 10 ** (6 / 20)) - scattering(samples)
    by_order = slice(1, None)  # order 0 of noise crosses zero, where logarithms are steep
    torch.testing.assert_close(
        louder.mean(2)[0, by_order], 6 * moves[0, by_order], atol=0.02, rtol=0
    )
    assert moves[0, 1:77].min() > 0.11  # ln 10 / 20 per dB
    assert moves[:, 77:].abs().max() < 0.01  # ratios of order 2 do not move


def test_an_equaliser_without_gain_changes_nothing_and_knobs_differ_per_example() -> None:
    x = torch.zeros(3, 5, 4)
    assert torch.equal(augment.turn_knobs(x, torch.zeros(9, 5)), x)
    turned = augment.turn_knobs(x, torch.ones(9, 5))
    assert torch.equal(turned, turned[:, :1, :1].expand(3, 5, 4))
    assert turned[:, 0, 0].unique().numel() == 3


def test_a_shift_turns_each_example_in_time() -> None:
    torch.manual_seed(0)
    x = torch.arange(7.0).expand(50, 2, 7)
    shifted = augment.shift(x)
    for row in shifted:
        assert torch.equal(row, x[0].roll(-int(row[0, 0]), dims=1))
    assert shifted[:, 0, 0].unique().numel() > 3


def test_a_mixture_has_mixed_labels() -> None:
    torch.manual_seed(0)
    labels = torch.eye(6)
    x, y = augment.mix(labels[:, :, None].expand(6, 6, 2), labels, 0.4)
    torch.testing.assert_close(x[:, :, 0], y)
    torch.testing.assert_close(y.sum(dim=1), torch.ones(6))
    assert not torch.equal(y, labels)


def test_noise_has_no_tags_and_the_rest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augment, "NOISE_SHARE", 0.5)
    features_, labels = torch.ones(200, 3, 4), torch.full((200, 2), 0.5)
    found, tags = augment.hush(features_, labels, torch.full((5, 3, 4), 7, dtype=torch.float16))
    noisy = tags[:, 0] == 0
    assert 60 < int(noisy.sum()) < 140
    assert (found[noisy] == 7).all()
    assert (tags[noisy] == 0).all()
    assert (found[~noisy] == 1).all()
    assert (tags[~noisy] == 0.5).all()


def test_noises_go_from_silence_to_loud_and_from_white_to_brown() -> None:
    noise = augment.noises(64, 16_000)
    assert torch.equal(noise, augment.noises(64, 16_000))
    assert not noise[:8].any()
    noise = noise[8:]
    level_db = 10 * noise.square().mean(dim=1).log10()
    assert level_db.min() < -60
    assert level_db.max() > -20
    power = torch.fft.rfft(noise).abs().square()
    treble = power[:, 4000:].sum(dim=1) / power.sum(dim=1)
    assert treble.min() < 0.01  # brown
    assert treble.max() > 0.4  # white


def test_masks_put_stretches_to_the_mean_and_touch_nothing_else() -> None:
    torch.manual_seed(0)
    mean = torch.arange(40.0)
    x = torch.full((20, 40, 30), -1.0)
    masked = augment.mask(x, mean)
    hidden = masked != x
    torch.testing.assert_close(masked[hidden], mean[None, :, None].expand_as(x)[hidden])
    frames, coefficients = hidden.all(dim=1).sum(dim=1), hidden.all(dim=2).sum(dim=1)
    assert 0 < frames.max() <= 2 * 5
    assert 0 < coefficients.max() <= 2 * 4


# -- training --------------------------------------------------------------------------------------


def test_training_learns_what_can_be_learned_and_leaves_a_checkpoint(
    learnable: TrainSettings,
) -> None:
    told: list[FeatureProgress | EpochResult] = []
    settings = dataclasses.replace(learnable, epochs=25, augmentations=("shift", "knobs", "mask"))
    directory = train(settings, tell=told.append)
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
    subprocess.run([sys.executable, "-c", blocked + "import musictag.training.train"], check=True)


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
    table = learnable.dataset / "clips.csv"
    table.write_text(re.sub(",train,$", ",train,rock", table.read_text(), flags=re.MULTILINE))
    plain = dataclasses.replace(learnable, augmentations=(), epochs=2)
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


def test_other_tags_keep_all_but_the_last_layer(learnable: TrainSettings, tmp_path: Path) -> None:
    first = train(learnable)
    table = learnable.dataset / "soft_labels.csv"
    table.write_text(table.read_text().replace("rock", "polka", 1))
    (learnable.dataset / "tag_statistics.csv").unlink()
    again = dataclasses.replace(learnable, output=tmp_path / "again", start=first)
    dataset = read_folder(again.dataset)
    run = Run(again, dataset, prepare(dataset, FrontEnd(), again.features or Path()))
    run.begin()
    for name, tensor in checkpoint.read(first).network().state_dict().items():
        same = torch.equal(run.model.state_dict()[name], tensor)
        assert same != name.startswith("output."), name


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


# -- thresholds ------------------------------------------------------------------------------------


def test_a_threshold_lies_between_those_that_carry_the_tag_and_those_that_do_not() -> None:
    labels = [[0.9, 0.1, 0.5]] * 10 + [[0.1, 0.9, 0.5]] * 10
    heard = np.array([[0.8, 0.3, 0.2]] * 10 + [[0.4, 0.7, 0.2]] * 10)
    dataset = data_set(labels, tracks="abcdefghijklmnopqrst", shares=(0.2, 0.2, 0.1))
    thresholds = choose_thresholds(heard, dataset, range(20))
    assert thresholds == {
        # each then moves to the middle of the empty hundredth above it
        "Rock": pytest.approx(0.605),  # midway between 0.8 and 0.4
        "Classical": pytest.approx(0.505),
        "Instrumental": pytest.approx(0.205),  # all sound 0.2: midway to 0 would be too low
    }


def test_a_sure_label_counts_also_beyond_the_prevalence() -> None:
    """Half of these tracks are surely rock, of which only a tenth were to be expected."""
    labels = [[0.9, 0.1, 0]] * 2 + [[0.3, 0.1, 0]] * 8 + [[0.1, 0.1, 0]] * 10
    heard = np.array([[0.8, 0.1, 0]] * 2 + [[0.5, 0.1, 0]] * 8 + [[0.3, 0.1, 0]] * 10)
    dataset = data_set(labels, tracks="abcdefghijklmnopqrst", shares=(0.1, 0.1, 0.1))
    assert choose_thresholds(heard, dataset, range(20))["Rock"] == pytest.approx(0.405)


def test_a_threshold_stands_where_no_rounding_moves_a_track_across() -> None:
    labels = [[0.9, 0.1, 0.5]] * 10 + [[0.1, 0.9, 0.5]] * 10
    heard = np.array([[0.8, 0.3, 0.2]] * 10 + [[0.4, 0.7, 0.2]] * 10)
    heard[3:5, 0] = 0.6001, 0.6021  # right above the middle of 0.4 and 0.8
    dataset = data_set(labels, tracks="abcdefghijklmnopqrst", shares=(0.2, 0.2, 0.1))
    threshold = choose_thresholds(heard, dataset, range(20))["Rock"]
    assert np.abs(heard[:, 0] - threshold).min() > 0.003


@pytest.mark.parametrize(("share", "lowest"), [(0.05, 0.2), (0.2, 0.4), (0.4, 0.5)])
def test_no_threshold_is_below_twice_the_prevalence_or_a_fifth(share: float, lowest: float) -> None:
    """Everything sounds 0.05 or 0.1 like it: ranked well, but nobody should read it."""
    labels = [[0.9, 0.1, 0.5]] * 5 + [[0.1, 0.9, 0.5]] * 15
    heard = np.array([[0.1, 0.5, 0.2]] * 5 + [[0.05, 0.5, 0.2]] * 15)
    dataset = data_set(labels, tracks="abcdefghijklmnopqrst", shares=(share, 0.4, 0.1))
    assert choose_thresholds(heard, dataset, range(20))["Rock"] == pytest.approx(lowest + 0.005)


def test_with_enough_genres_by_people_all_genres_share_the_lowest_precise_threshold() -> None:
    """Above 0.4 what sounds like rock is rock, below it is classical."""
    n = 40
    rock = np.linspace(0.9, 0.23, n)
    said = ["rock" if p > 0.4 else "classical" for p in rock]
    dataset = data_set([[0.5, 0.5, 0.5]] * n, tracks="".join(chr(200 + i) for i in range(n)))
    examples = [
        dataclasses.replace(e, genre=g) for e, g in zip(dataset.examples, said, strict=True)
    ]
    people = dataclasses.replace(dataset, examples=tuple(examples))
    heard = np.stack([rock, np.full(n, 0.1), np.full(n, 0.5)], axis=1)
    with_people = choose_thresholds(heard, people, range(n))
    assert with_people["Rock"] == with_people["Classical"]
    n_right, n_written = sum(g == "rock" for g in said), int((rock >= with_people["Rock"]).sum())
    assert n_right / n_written == pytest.approx(0.9, abs=0.05)
    alone = choose_thresholds(heard, dataset, range(n))
    assert alone["Instrumental"] == with_people["Instrumental"]
    assert alone["Rock"] != alone["Classical"]


def test_tracks_that_would_get_other_values_are_counted() -> None:
    dataset = data_set([[0.5, 0.5, 0.5]] * 3, tracks="aab")
    heard = np.array([[0.6, 0.1, 0.1], [0.6, 0.1, 0.1], [0.6, 0.1, 0.1]])
    value, thresholds = "Rock", {"Rock": 0.5}

    def changed(other: list[float]) -> int:
        table = heard.copy()
        table[:, dataset.tags.index("rock")] = other
        return n_decided_otherwise(heard, table, dataset, range(3), thresholds)

    assert dataset.tags[0] == value.lower()
    assert changed([0.6, 0.6, 0.6]) == 0
    assert changed([0.45, 0.6, 0.6]) == 0  # the track's mean is 0.525
    assert changed([0.3, 0.6, 0.6]) == 1
    assert changed([0.3, 0.6, 0.4]) == 2


def test_synonyms_are_merged_before_a_threshold_is_chosen() -> None:
    tags = ("classical", "classic")
    table, names = scores.merge_values(np.array([[0.2, 0.6], [0.5, 0.1]]), tags)
    assert names == ["Classical"]
    assert table[:, 0].tolist() == [0.6, 0.5]
    assert scores.value_shares({"classical": 0.1, "classic": 0.02}) == {"Classical": 0.1}


# -- the whole of it -------------------------------------------------------------------------------


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
