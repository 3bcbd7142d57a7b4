"""`musictag train`: a new model from music and labels."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from musictag import config
from musictag.cli import completion, options, signals
from musictag.cli.datasets import fetch, say_contents
from musictag.cli.endings import complain, endings
from musictag.errors import UsageError

if TYPE_CHECKING:
    from musictag.report.progress import Progress
    from musictag.training.dataset import DataSet
    from musictag.training.record import EpochResult
    from musictag.training.settings import TrainSettings
    from musictag.training.train import FeatureProgress

DATA = "Data and result"
HOW = "How to train"
LABELS = "What to teach"
MACHINE = "What to run on"


def _list_recipes(wanted: bool) -> None:
    if not wanted:
        return
    with endings():
        from musictag.training import recipes  # noqa: PLC0415

        for line in recipes.listed():
            typer.echo(line)
    raise typer.Exit


def train(  # noqa: PLR0913  # one argument per option
    *,
    dataset: Annotated[
        str,
        typer.Option(
            metavar="DIR|mtat",
            help="A folder with clips.csv (id, file, start, duration, track, split) and "
            "soft_labels.csv (id, one column per tag), or one laid out like MagnaTagATune. mtat is "
            "MagnaTagATune itself, downloaded if needed (3 GB); mtat:DIR keeps it in DIR.",
            show_default=False,
            parser=options.name,
            rich_help_panel=DATA,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Where to keep the run.",
            show_default=False,
            parser=options.path,
            rich_help_panel=DATA,
        ),
    ],
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Front end, network and settings: a name from --list-recipes, or a TOML file "
            "(docs/training.md). Other options overrule it. [default: scat-5l-512h-gru]",
            autocompletion=completion.recipes,
            parser=options.name,
            show_default=False,
            rich_help_panel=DATA,
        ),
    ] = None,
    list_recipes: Annotated[  # noqa: ARG001  # its callback acts
        bool,
        typer.Option(
            "--list-recipes",
            help="List the recipes, and exit.",
            callback=_list_recipes,
            is_eager=True,
            rich_help_panel=DATA,
        ),
    ] = False,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="Name of the model.", rich_help_panel=DATA)
    ] = "my-model",
    start_from: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|DIR",
            help="Start with the weights of this model. With a few epochs and a lower rate, this "
            "adapts a model to labels of your own. Its tags may be others: those in common are "
            "taken over.",
            show_default=False,
            autocompletion=completion.models,
            rich_help_panel=DATA,
        ),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where to keep features. [default: in the output]",
            parser=options.path,
            rich_help_panel=DATA,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Continue where the same command stopped.",
            rich_help_panel=DATA,
        ),
    ] = False,
    epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Epochs to train; 0 keeps the weights of --start-from and learns only how sure "
            "it has to be before it says something. [default: 60]",
            rich_help_panel=HOW,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Examples per step, over all processes. [default: 64]",
            rich_help_panel=HOW,
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            metavar="X", help="Highest learning rate. [default: 0.001]", rich_help_panel=HOW
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Seed of everything random. [default: 0]", rich_help_panel=HOW
        ),
    ] = None,
    variants: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Versions of each example's sound: the original and N-1 with other speed, "
            "equaliser, noise and bandwidth. [default: 3]",
            rich_help_panel=HOW,
        ),
    ] = None,
    wide: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Further versions, up to two semitones faster or slower. [default: 0]",
            rich_help_panel=HOW,
        ),
    ] = None,
    mixed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Further versions, mixed with another example whose labels they share. "
            "[default: 0]",
            rich_help_panel=HOW,
        ),
    ] = None,
    crop: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="Share of each example that one step hears; half of it takes half the time. "
            "[default: 1]",
            rich_help_panel=HOW,
        ),
    ] = None,
    freeze: Annotated[
        str | None,
        typer.Option(
            metavar="N|N-N",
            help="Layers to leave as they are, from 0 on: one (2) or several (0-3).",
            show_default=False,
            rich_help_panel=HOW,
        ),
    ] = None,
    augment: Annotated[
        bool | None,
        typer.Option(
            help="Vary coefficients in every epoch and mix examples. [default: augment]",
            rich_help_panel=HOW,
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Stop after N epochs without a better score; 0: never. [default: 0]",
            rich_help_panel=HOW,
        ),
    ] = None,
    tags: Annotated[
        str,
        typer.Option(
            metavar="FILE|mtat50|all",
            help="Tags to learn: one per line of FILE, MagnaTagATune's 50, or all of the data set.",
            parser=options.name,
            rich_help_panel=LABELS,
        ),
    ] = "all",
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Learn the N most frequent tags of the data set, in the place of --tags. "
            "MagnaTagATune has 188.",
            show_default=False,
            rich_help_panel=LABELS,
        ),
    ] = None,
    split: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="With MagnaTagATune: a folder with published lists of the clips in each split, in "
            "files whose names begin with train, valid and test. Other clips are left out. "
            "[default: by folder, 12 : 1 : 3]",
            show_default=False,
            parser=options.path,
            rich_help_panel=DATA,
        ),
    ] = None,
    people: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="How far tags given by people (column people or genre of clips.csv) raise labels, "
            "from 0 to 1. [default: 0.6]",
            rich_help_panel=LABELS,
        ),
    ] = None,
    absence: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="How far to lower genres that the given ones rule out, from 0 to 1. "
            "[default: as --people]",
            show_default=False,
            rich_help_panel=LABELS,
        ),
    ] = None,
    moods: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="How far the columns quadrant and moods move labels, from 0 to 1. [default: 0.5]",
            rich_help_panel=LABELS,
        ),
    ] = None,
    voice: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="How far the column voice moves labels, from 0 to 1. [default: 0.5]",
            rich_help_panel=LABELS,
        ),
    ] = None,
    balance: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="How much more rare tags count: each tag's loss is weighed by its share of all "
            "music to the power of -X. [default: 0]",
            rich_help_panel=LABELS,
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=f"Where to run the model: {options.DEVICES}",
            autocompletion=completion.devices,
            rich_help_panel=MACHINE,
        ),
    ] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Decoding threads. [default: one per core]", rich_help_panel=MACHINE
        ),
    ] = None,
    bfloat16: Annotated[
        bool | None,
        typer.Option(
            help="Multiply in half precision: faster on GPUs and on CPUs with AMX or AVX-512 BF16. "
            "[default: no-bfloat16]",
            rich_help_panel=MACHINE,
        ),
    ] = None,
) -> None:
    """Train a model on music and labels, and print the directory of the model.

    The run can be killed at any time: the same command with --resume continues
    it. `musictag scan --model DIR` uses the model. With several GPUs or
    machines: `torchrun --nproc-per-node N -m musictag train …`.
    """
    with endings():
        from musictag.hearing import checkpoint  # noqa: PLC0415
        from musictag.hearing.devices import find_device  # noqa: PLC0415

        found = find_device(config.override(config.load(), {"device": device}).device)
        from musictag.training import datasets, magnatagatune, ranks, recipes  # noqa: PLC0415
        from musictag.training import settings as asked  # noqa: PLC0415

        given = {
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "seed": seed,
            "n_variants": variants,
            "n_wide": wide,
            "n_mixed": mixed,
            "crop": crop,
            "freeze": None if freeze is None else asked.layers_of(freeze),
            "people": people,
            "absence": absence,
            "moods": moods,
            "voice": voice,
            "balance": balance,
            "augmentations": {None: None, True: asked.AUGMENTATIONS, False: ()}[augment],
            "patience": patience,
            "bfloat16": bfloat16,
        }
        settings = recipes.read(recipe or recipes.DEFAULT).settings(
            dataset=magnatagatune.directory_of(dataset) or Path(dataset),
            output=output,
            name=name,
            start=checkpoint.find(start_from).directory if start_from else None,
            tags=datasets.tags_of(tags),
            split=split,
            features=features,
            device=ranks.own_device(found),
            workers=workers,
            resume=resume,
            **{name: value for name, value in given.items() if value is not None},
        )
        if top and tags != "all":
            raise UsageError("--top chooses tags, and so does --tags: give one of them")
        _train(dataset, settings, top)


def _train(dataset: str, settings: TrainSettings, top: int | None) -> None:
    """Fetch the data set if needed and train, in each of the processes that torchrun started."""
    from musictag.report.progress import Progress  # noqa: PLC0415
    from musictag.training import datasets, ranks  # noqa: PLC0415
    from musictag.training.train import train as run  # noqa: PLC0415

    try:
        with ranks.joined(settings.device) as group, Progress(sys.stderr) as progress:
            if not group.first:  # it has nothing to clean up, and may be waiting for others
                signals.leave_to_the_system()
            group.once(lambda: fetch(dataset, progress))
            if top:
                chosen = datasets.most_frequent(settings.dataset, top)
                settings = dataclasses.replace(settings, tags=chosen)
            made = run(settings, tell=lambda news: _tell(news, progress), ranks=group)
        if group.first:
            typer.echo(made)
    except KeyboardInterrupt:
        complain("interrupted; the same command with --resume continues")
        raise


def _tell(news: DataSet | FeatureProgress | EpochResult, progress: Progress) -> None:
    from musictag.training.dataset import DataSet  # noqa: PLC0415
    from musictag.training.train import FeatureProgress  # noqa: PLC0415

    if isinstance(news, DataSet):
        say_contents(news, progress)
    elif isinstance(news, FeatureProgress):
        progress.step("features", news.done, news.total, "examples")
    else:
        progress.say(
            f"epoch {news.epoch:3} of {news.epochs}   loss {news.loss:.4f}   "
            f"ROC-AUC {news.roc_auc:.4f}   correlation {news.correlation:.4f}   "
            f"{news.seconds:.0f} s, {news.left_s / 60:.0f} min left"
            f"{'   best' if news.best else ''}"
        )
