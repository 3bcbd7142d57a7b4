"""Recipes: the bundled ones are the paper's, and each trains; mistakes in one's own are named."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import sounds
import torch

from musictag import Tagger
from musictag.errors import UsageError
from musictag.hearing import checkpoint
from musictag.hearing.network.architecture import AnyArchitecture, Architecture, Convolutional
from musictag.hearing.network.torch import make
from musictag.training import recipes
from musictag.training.evaluate import evaluate
from musictag.training.folder import read_folder
from musictag.training.run import Run
from musictag.training.settings import TrainSettings
from musictag.training.train import train

PAPER = {name: recipes.read(name).paper for name in recipes.names()}
COUNTED = [name for name, paper in PAPER.items() if paper and paper.parameters]


@pytest.mark.parametrize("name", COUNTED)
def test_networks_have_the_parameters_that_the_paper_prints(name: str) -> None:
    recipe = recipes.read(name)
    with torch.device("meta"):
        n = make(recipe.network).n_parameters(paper=True)
    assert recipe.paper is not None
    assert recipe.paper.parameters in (n // 1000, round(n / 1000))  # it cuts some, rounds others


def test_every_row_of_the_papers_table_is_there() -> None:
    rows = {paper.row for paper in PAPER.values() if paper}
    scattering = {
        *(f"Scat-4L-{n}H-{cell}" for n in (256, 512) for cell in ("LSTM", "BN-LSTM", "GRU")),
        *("Scat-5L-512H-GRU", "Scat-6L-512H-GRU", "Scat-4L-CNN"),
    }
    others = {f"{kind}-5L-512H-{cell}" for kind in ("Mel", "CQT") for cell in ("GRU", "LSTM")}
    assert rows == {*scattering, *others, "Mel or CQT"}


def test_the_papers_training_is_its_own() -> None:
    """Section 5.2, and no choice of ours beside it."""
    recipe = recipes.read("paper")
    settings = recipe.settings(dataset=Path(), output=Path())
    assert (settings.epochs, settings.learning_rate) == (300, 1e-5)
    assert settings.schedule == "exponential"
    ours = ("weight_decay", "gradient_norm", "averaging", "people", "absence", "moods", "voice")
    assert [getattr(settings, name) for name in ours] == [0] * len(ours)
    assert (settings.augmentations, settings.n_variants, settings.n_mixed) == ((), 1, 0)
    assert isinstance(recipe.network, Architecture)
    assert (recipe.network.summary, recipe.network.dropout) == ("last", 0.25)
    assert recipe.front_end.label == "paper"


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two to learn from, one to validate, one to test: noise is rock, a tone is slow."""
    folder = tmp_path_factory.mktemp("examples")
    clips, labels = ["id,file,start,duration,track,split"], ["id,rock,slow"]
    for i, split in enumerate(("train", "train", "validation", "test")):
        sound = sounds.noise(3.0, seed=i) if i % 2 else sounds.tone(300.0 + 100 * i, 3.0)
        (folder / f"{i}.flac").write_bytes(sounds.encode("flac", sound, 44_100))
        clips.append(f"{i},{i}.flac,0,3,{i},{split}")
        labels.append(f"{i},{i % 2},{1 - i % 2}")
    (folder / "clips.csv").write_text("\n".join(clips))
    (folder / "soft_labels.csv").write_text("\n".join(labels))
    return folder


def shrunk(network: AnyArchitecture) -> AnyArchitecture:
    if isinstance(network, Convolutional):
        few = (2,) * len(network.channels)
        return dataclasses.replace(network, channels=few, n_units=2)
    return dataclasses.replace(network, n_units=2, n_layers=2)


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("features")


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_trains_and_its_model_hears(
    name: str, examples: Path, features: Path, tmp_path: Path
) -> None:
    recipe = recipes.read(name)
    settings = recipe.settings(
        dataset=examples,
        output=tmp_path,
        features=features,
        architecture=shrunk(recipe.network),
        epochs=1,
        batch_size=1,
        n_variants=1,
        augmentations=(),
    )
    made = checkpoint.read(train(settings))
    assert made.training["settings"]["recipe"] == name
    judged = evaluate(made, read_folder(examples), split="test")
    heard = Tagger(made.directory, device="cpu").hear(examples / "3.flac")
    assert set(heard.probabilities) == {"rock", "slow"}
    assert judged


WRONG = {
    "[training]\nepocs = 3": r"\[training\]: unknown 'epocs', did you mean epochs\?",
    "[training]\nepochs = 'many'": r"\[training\]: epochs: expected int, got str",
    "[training]\ndataset = 'x'": "unknown 'dataset'",
    "[network]\ncell = 'rnn'": r"\[network\]: cell is 'rnn', must be 'gru'",
    "[front_end]\nkind = 'mfcc'": r"\[front_end\]: no front end 'mfcc'",
    "like = 'scat-5l-512h-gr'": "no recipe 'scat-5l-512h-gr', did you mean scat-5l-512h-gru",
    "like = 3": "like: expected str, got int",
    "network = 3": "network must be a table",
    "[netwrk]\nunits = 3": "unknown 'netwrk', did you mean network",
    "[paper]\nparameters = 3": "paper",
    "about = ": "Invalid value",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_mistake_in_a_recipe_is_named_with_its_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=WRONG[text]) as caught:
        recipes.read(str(path))
    if "like = 's" not in text:
        assert "mine.toml" in str(caught.value)


def test_recipes_that_are_like_each_other_are_refused(tmp_path: Path) -> None:
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    one.write_text(f"like = {str(other)!r}")
    other.write_text(f"like = {str(one)!r}")
    with pytest.raises(UsageError, match=re.escape("it is like itself")):
        recipes.read(str(one))


@pytest.mark.parametrize("content", [None, b"\xff\xfe\0"])
def test_a_recipe_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"mine\.toml"):
        recipes.read(str(path))


def test_ones_own_recipe_says_only_what_is_different(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'like = "mel-5l-512h-lstm"\n[front_end]\npool = 16\n[training]\nweight_decay = 0.1'
    )
    recipe = recipes.read(str(path))
    like = recipes.read("mel-5l-512h-lstm")
    assert recipe.front_end == dataclasses.replace(like.front_end, pool=16)  # type: ignore[type-var]
    assert recipe.network == like.network
    assert recipe.paper is None
    settings = recipe.settings(dataset=Path(), output=Path(), epochs=3)
    assert (settings.weight_decay, settings.epochs, settings.recipe) == (0.1, 3, "mine")


def test_a_front_end_of_another_kind_takes_nothing_over(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('like = "paper"\n[front_end]\nkind = "mel"')
    assert recipes.read(str(path)).front_end == recipes.read("mel-5l-512h-gru").front_end


def test_every_setting_of_training_but_places_can_stand_in_a_recipe() -> None:
    fields = {field.name for field in dataclasses.fields(TrainSettings)}
    assert set(recipes._types()) | set(recipes._NOT_HERE) == fields


def test_the_list_has_a_line_for_each_recipe() -> None:
    heading, *lines = recipes.listed()
    assert [line.split()[0] for line in lines] == recipes.names()
    assert "parameters" in heading
    assert max(map(len, lines)) <= 100


def test_a_run_that_began_before_there_was_a_setting_goes_on(
    examples: Path, features: Path, tmp_path: Path
) -> None:
    """As in a state that an older musictag kept."""
    from musictag.training import state  # noqa: PLC0415
    from musictag.training.features import prepare  # noqa: PLC0415

    recipe = recipes.read("scat-5l-512h-gru")
    settings = recipe.settings(
        dataset=examples, output=tmp_path, architecture=shrunk(recipe.network), n_variants=1
    )
    data = read_folder(examples)
    run = Run(settings, data, prepare(data, settings.front_end, features, kinds=settings.variants))
    kept = state.of(run)
    del kept["settings"]["crop"]
    state.check(run, kept, tmp_path)
    other = dataclasses.replace(settings, crop=0.5)
    run = Run(other, data, prepare(data, other.front_end, features, kinds=other.variants))
    with pytest.raises(UsageError, match="another crop"):
        state.check(run, kept, tmp_path)
