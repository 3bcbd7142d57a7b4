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
from musictag.hearing.spectra.cqt import Cqt
from musictag.hearing.spectra.mel import Mel
from musictag.training import augment, features, reading, variants
from musictag.training.batches import Examples
from musictag.training.dataset import Example
from musictag.training.features import prepare
from musictag.training.folder import read_folder
from musictag.training.reading import read_samples
from musictag.training.variants import Variants

SHORT = FrontEnd(n_samples=65_536)
"""The paper's coefficients of four seconds."""


@pytest.fixture
def audible(tmp_path: Path) -> Path:
    return write_audible(tmp_path)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The examples whose audio is read, as it happens."""
    read: list[str] = []
    original = reading.read_samples

    def listening(example: Example, n_samples: int) -> object:
        read.append(example.id)
        return original(example, n_samples)

    monkeypatch.setattr(reading, "read_samples", listening)
    return read


def test_features_are_the_front_ends_and_a_broken_clip_is_named(
    audible: Path, tmp_path: Path
) -> None:
    dataset = read_folder(audible)
    made = prepare(dataset, SHORT, tmp_path / "f")
    assert list(made.broken) == ["b"]
    assert "b.wav" in made.broken["b"]
    samples = torch.from_numpy(read_samples(dataset.examples[1], SHORT.n_samples))
    expected = Scattering(SHORT)(samples[None])
    torch.testing.assert_close(made.read(["a1"]).float(), expected, rtol=1e-3, atol=1e-3)


def test_features_are_computed_once_and_again_when_audio_changes(
    audible: Path, tmp_path: Path, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "SHARD_SIZE", 2)
    first = prepare(read_folder(audible), SHORT, tmp_path / "f")
    assert sorted(computed) == ["a0", "a1", "b", "d"]
    computed.clear()
    again = prepare(read_folder(audible), SHORT, tmp_path / "f")
    assert computed == []
    assert again.broken == first.broken
    assert torch.equal(first.read(["a0", "d"]), again.read(["a0", "d"]))

    sounds.write(audible / "b.wav", "wav", sounds.chord(29, rate_hz=16_000, channels=1), 16_000)
    repaired = prepare(read_folder(audible), SHORT, tmp_path / "f")
    assert sorted(computed) == ["b", "d"]  # the broken one's shard, nothing else
    assert repaired.broken == {}


def test_features_are_believed_where_the_audio_is_not(
    audible: Path, tmp_path: Path, computed: list[str]
) -> None:
    first = prepare(read_folder(audible), SHORT, tmp_path / "f")
    computed.clear()
    for path in audible.glob("*.wav"):
        path.unlink()
    again = prepare(read_folder(audible), SHORT, tmp_path / "f")
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
        prepare(read_folder(audible), SHORT, tmp_path / "f", tell=die)
    computed.clear()
    prepare(read_folder(audible), SHORT, tmp_path / "f")
    assert sorted(computed) == ["b", "d"]
    assert not [path for path in (tmp_path / "f").rglob("*") if path.suffix == ".part"]


def test_noise_is_computed_once_beside_the_examples(
    audible: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "N_NOISES", 9)  # more than one batch
    found = prepare(read_folder(audible), SHORT, tmp_path)
    noise = found.noise()
    assert noise is not None
    assert noise.shape == (features.N_NOISES, 433, 16)
    written = features.place(tmp_path, SHORT) / features.NOISE
    then = written.stat().st_mtime_ns
    prepare(read_folder(audible), SHORT, tmp_path)
    assert written.stat().st_mtime_ns == then
    written.unlink()
    assert prepare(read_folder(audible), SHORT, tmp_path).noise() is not None


def test_variants_are_of_training_examples_only_and_differ(audible: Path, tmp_path: Path) -> None:
    made = prepare(read_folder(audible), SHORT, tmp_path / "f", kinds=Variants(2))
    assert made.variants == (0, 1)
    plain, varied = made.read(["a0", "a0"], [0, 1])
    assert not torch.allclose(plain, varied, atol=0.1)
    with pytest.raises(KeyError):
        made.read(["d"], [1])


def test_a_mixed_variant_holds_both_sounds_and_a_wide_one_is_another_recording(
    audible: Path, tmp_path: Path
) -> None:
    dataset = read_folder(audible)
    made = prepare(dataset, SHORT, tmp_path / "f", kinds=Variants(1, n_wide=1, n_mixed=1))
    assert made.variants == (0, 1001, 2001)
    assert made.partners == {(2001, "a0"): "a1", (2001, "a1"): "a0"}
    one, other = (torch.from_numpy(read_samples(e, SHORT.n_samples)) for e in dataset.examples[:2])
    seed = variants.seed("a0", 2001)
    expected = Scattering(SHORT)(augment.overlay(one, other, seed)[None])
    torch.testing.assert_close(made.read(["a0"], [2001]).float(), expected, rtol=1e-3, atol=1e-3)
    plain, wide = made.read(["a0", "a0"], [0, 1001])
    assert not torch.allclose(plain, wide, atol=0.1)


def test_labels_of_what_is_mixed_are_those_of_both(audible: Path, tmp_path: Path) -> None:
    dataset = read_folder(audible)
    dataset.labels[:2] = torch.tensor([[0.5, 0.1, 0.2], [0.5, 0.0, 0.5]]).numpy()
    made = prepare(dataset, SHORT, tmp_path / "f", kinds=Variants(1, n_mixed=1))
    examples = Examples(dataset, made, [0, 1], torch.device("cpu"))
    torch.manual_seed(0)
    seen = [labels for _ in range(8) for _, some in examples.batches(2) for labels in some]
    mixed = torch.tensor([0.75, 0.1, 0.1])  # there are no vocals where neither has any
    apart = torch.from_numpy(dataset.labels[:2])
    assert any(torch.allclose(row, mixed) for row in seen)
    assert all(any(torch.allclose(row, one) for one in (mixed, *apart)) for row in seen)


def test_what_is_mixed_is_computed_again_when_its_partner_changes(
    audible: Path, tmp_path: Path, computed: list[str]
) -> None:
    kinds = Variants(1, n_mixed=1)
    prepare(read_folder(audible), SHORT, tmp_path / "f", kinds=kinds)
    table = audible / "clips.csv"
    rows = table.read_text()
    prepare(read_folder(audible), SHORT, tmp_path / "f", kinds=kinds)
    computed.clear()
    table.write_text(rows.replace("b,b.wav,0,29,b,validation", "b,b.wav,0,29,b,train"))
    prepare(read_folder(audible), SHORT, tmp_path / "f", kinds=kinds)
    assert sorted(set(computed)) == ["a0", "a1", "b"]  # three in the ring now


def test_another_front_end_has_its_own_place(tmp_path: Path) -> None:
    front_ends = (
        *(FrontEnd(), FrontEnd(exactness="high"), FrontEnd(normalisation="log")),
        *(Mel(), Mel(pool=16), Cqt(), Cqt(pool=16)),
    )
    places = {features.place(tmp_path, front_end) for front_end in front_ends}
    assert len(places) == len(front_ends)


def test_features_that_were_kept_by_earlier_versions_are_found_again(tmp_path: Path) -> None:
    """They take days to compute."""
    assert features.place(tmp_path, FrontEnd()).name == "log-renormalised-ff86a8df"


def test_no_readable_audio_at_all_is_an_error(audible: Path, tmp_path: Path) -> None:
    for path in audible.glob("*.wav"):
        path.unlink()
    with pytest.raises(DataSetError, match="no audio could be read"):
        prepare(read_folder(audible), SHORT, tmp_path / "f")
