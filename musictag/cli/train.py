"""`musictag train`: a new model from music and labels."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from musictag import config
from musictag.cli import completion, options, signals
from musictag.cli.datasets import fetch, say_contents
from musictag.cli.endings import complain, endings

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
        int,
        typer.Option(
            metavar="N",
            help="Epochs to train; 0 keeps the weights of --start-from and learns only how sure "
            "it has to be before it says something.",
            rich_help_panel=HOW,
        ),
    ] = 60,
    batch_size: Annotated[
        int,
        typer.Option(
            metavar="N", help="Examples per step, over all processes.", rich_help_panel=HOW
        ),
    ] = 64,
    learning_rate: Annotated[
        float, typer.Option(metavar="X", help="Highest learning rate.", rich_help_panel=HOW)
    ] = 1e-3,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Seed of everything random.", rich_help_panel=HOW)
    ] = 0,
    variants: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Versions of each example's sound: the original and N-1 with other speed, "
            "equaliser, noise and bandwidth.",
            rich_help_panel=HOW,
        ),
    ] = 3,
    wide: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Further versions, up to two semitones faster or slower.",
            rich_help_panel=HOW,
        ),
    ] = 0,
    mixed: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Further versions, mixed with another example whose labels they share.",
            rich_help_panel=HOW,
        ),
    ] = 0,
    crop: Annotated[
        float,
        typer.Option(
            metavar="X",
            help="Share of each example that one step hears; half of it takes half the time.",
            rich_help_panel=HOW,
        ),
    ] = 1.0,
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
        bool,
        typer.Option(
            help="Vary coefficients in every epoch and mix examples.", rich_help_panel=HOW
        ),
    ] = True,
    patience: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Stop after N epochs without a better score; 0: never.",
            rich_help_panel=HOW,
        ),
    ] = 0,
    tags: Annotated[
        str,
        typer.Option(
            metavar="FILE|mtat50|all",
            help="Tags to learn: one per line of FILE, MagnaTagATune's 50, or all of the data set.",
            parser=options.name,
            rich_help_panel=LABELS,
        ),
    ] = "all",
    people: Annotated[
        float,
        typer.Option(
            metavar="X",
            help="How far tags given by people (column people or genre of clips.csv) raise labels, "
            "from 0 to 1.",
            rich_help_panel=LABELS,
        ),
    ] = 0.6,
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
        float,
        typer.Option(
            metavar="X",
            help="How far the columns quadrant and moods move labels, from 0 to 1.",
            rich_help_panel=LABELS,
        ),
    ] = 0.5,
    voice: Annotated[
        float,
        typer.Option(
            metavar="X",
            help="How far the column voice moves labels, from 0 to 1.",
            rich_help_panel=LABELS,
        ),
    ] = 0.5,
    balance: Annotated[
        float,
        typer.Option(
            metavar="X",
            help="How much more rare tags count: each tag's loss is weighed by its share of all "
            "music to the power of -X.",
            rich_help_panel=LABELS,
        ),
    ] = 0.0,
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
        bool,
        typer.Option(
            help="Multiply in half precision: faster on GPUs and on CPUs with AMX or AVX-512 BF16.",
            rich_help_panel=MACHINE,
        ),
    ] = False,
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
        from musictag.training import datasets, magnatagatune, ranks  # noqa: PLC0415
        from musictag.training import settings as asked  # noqa: PLC0415

        settings = asked.TrainSettings(
            dataset=magnatagatune.directory_of(dataset) or Path(dataset),
            output=output,
            name=name,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
            start=checkpoint.find(start_from).directory if start_from else None,
            n_variants=variants,
            n_wide=wide,
            n_mixed=mixed,
            crop=crop,
            freeze=asked.layers_of(freeze) if freeze else (),
            tags=datasets.tags_of(tags),
            people=people,
            absence=absence,
            moods=moods,
            voice=voice,
            balance=balance,
            augmentations=asked.AUGMENTATIONS if augment else (),
            patience=patience,
            bfloat16=bfloat16,
            features=features,
            device=ranks.own_device(found),
            workers=workers,
            resume=resume,
        )
        _train(dataset, settings)


def _train(dataset: str, settings: TrainSettings) -> None:
    """Fetch the data set if needed and train, in each of the processes that torchrun started."""
    from musictag.report.progress import Progress  # noqa: PLC0415
    from musictag.training import ranks  # noqa: PLC0415
    from musictag.training.train import train as run  # noqa: PLC0415

    try:
        with ranks.joined(settings.device) as group, Progress(sys.stderr) as progress:
            if not group.first:  # it has nothing to clean up, and may be waiting for others
                signals.leave_to_the_system()
            group.once(lambda: fetch(dataset, progress))
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
