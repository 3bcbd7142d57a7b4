"""Features: computed once, kept, and computed again when the audio changes."""

from __future__ import annotations

from pathlib import Path

import pytest
import sounds
import torch
from labelled import write_audible

from musictag.errors import DataSetError
from musictag.hearing.scattering.plan import FrontEnd
from musictag.hearing.scattering.torch import Scattering
from musictag.training import features, reading
from musictag.training.dataset import Example
from musictag.training.features import prepare
from musictag.training.folder import read_folder
from musictag.training.reading import read_samples


@pytest.fixture
def audible(tmp_path: Path) -> Path:
    return write_audible(tmp_path)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The examples whose audio is read, as it happens."""
    read: list[str] = []
    original = reading.read_samples

    def listening(example: Example) -> object:
        read.append(example.id)
        return original(example)

    monkeypatch.setattr(reading, "read_samples", listening)
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


def test_noise_is_computed_once_beside_the_examples(
    audible: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "N_NOISES", 9)  # more than one batch
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
