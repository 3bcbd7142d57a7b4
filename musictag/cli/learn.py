"""`musictag learn`: one's own words, from the files that have them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from musictag import config
from musictag.cli import completion, options, remembered, settings, streams
from musictag.cli.endings import check_word, complain, endings, nothing_to_do
from musictag.errors import DataSetError, UsageError

if TYPE_CHECKING:
    from musictag.cli.remembered import Remembered
    from musictag.cli.tagged import Tagged
    from musictag.training.own.learning import Learned
    from musictag.training.own.words import Reading

FORMS = ("table", "jsonl")
FORMS_OF_DOUBT = (*FORMS, "paths")
TO_LEARN = "What to learn from"
TO_DOUBT = "Wrong tags"
RESULT = "The model"


def learn(  # noqa: PLR0913  # one argument per option
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR",
            help="Folders and music files.",
            parser=options.path,
            rich_help_panel=TO_LEARN,
        ),
    ],
    *,
    field: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The field whose words to learn: genre, mood, instrument or vocals.",
            autocompletion=completion.field,
            rich_help_panel=TO_LEARN,
        ),
    ] = "genre",
    min_count: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=2,
            help="Learn words that N tracks have, or more.",
            rich_help_panel=TO_LEARN,
        ),
    ] = 15,
    split_at: Annotated[
        str,
        typer.Option(
            metavar="CHARS",
            help="Split values at these characters: with / Hip-Hop/Rap is Hip-Hop and Rap. "
            "[default: values stay whole]",
            show_default=False,
            rich_help_panel=TO_LEARN,
        ),
    ] = "",
    mapped: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="VALUE=WORD",
            help="Read VALUE as WORD; VALUE= leaves it out. May be repeated.",
            rich_help_panel=TO_LEARN,
        ),
    ] = None,
    exclude: settings.Exclude = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Save the model in this folder, whose name is the model's. Without it nothing is "
            "saved.",
            show_default=False,
            parser=options.path,
            rich_help_panel=RESULT,
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace a model that was learned earlier.",
            rich_help_panel=RESULT,
        ),
    ] = False,
    without_base: Annotated[
        bool,
        typer.Option(
            "--without-base",
            help="Leave out the values of other fields that the base model gives.",
            rich_help_panel=RESULT,
        ),
    ] = False,
    doubt: Annotated[
        bool,
        typer.Option(
            "--doubt",
            help="List the files whose own words are least likely, instead.",
            rich_help_panel=TO_DOUBT,
        ),
    ] = False,
    number: Annotated[
        int | None,
        typer.Option(
            "-n",
            "--number",
            metavar="N",
            min=1,
            help="List N files. [default: 20]",
            rich_help_panel=TO_DOUBT,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|DIR",
            help="The base model, which hears. [default: the bundled model]",
            autocompletion=completion.models,
            rich_help_panel=options.TO_HEAR,
        ),
    ] = None,
    device: options.Device = None,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORM",
            help="table or jsonl; with --doubt also paths (one per line).",
            rich_help_panel=options.TO_PRINT,
        ),
    ] = "table",
) -> None:
    """Learn your own words from the files that have them, for scan --model DIR.

    The words in a field are learned on top of what the model hears. Each is judged on albums and
    artists that it was not learned from, and written only where that is precise. Files are read
    and never written; tagged ones that have not been heard are heard first.
    """
    with endings():
        _check(form, field, output, doubt=doubt, number=number, overwrite=overwrite)
        arguments = {"model": model, "device": device, "exclude": exclude or None}
        chosen = config.override(config.load(), arguments)
        from musictag.hearing import own  # noqa: PLC0415
        from musictag.training.own.words import Reading  # noqa: PLC0415

        reading = Reading(split_at, _map(mapped or ()))
        if output is not None:
            own.check_place(output, overwrite=overwrite)
        with remembered.opened(chosen) as memory:
            tagged, n_failed = _tagged(memory, folders, field.upper(), reading, min_count)
            began_s = time.monotonic()
            learned = _learned(tagged, field.upper(), min_count)
            _say_contradictions(learned, tagged)
            streams.prepare_stdout("csv" if form == "paths" else form)
            if doubt:
                _print_doubts(learned, tagged, form, number or 20)
            else:
                _print_words(learned, form)
                _say_result(learned, time.monotonic() - began_s)
                _save(learned, memory, output, with_base=not without_base)
        raise typer.Exit(1 if n_failed else 0)


def _check(
    form: str,
    field: str,
    output: Path | None,
    *,
    doubt: bool,
    number: int | None,
    overwrite: bool,
) -> None:
    """UsageError for options that make no sense, or none together."""
    from musictag.vocabulary import FIELDS  # noqa: PLC0415

    check_word("--format", form, FORMS_OF_DOUBT if doubt else FORMS)
    check_word("--field", field.lower(), [name.lower() for name in FIELDS])
    if doubt and output is not None:
        raise UsageError("--doubt saves no model: leave out --output")
    if number is not None and not doubt:
        raise UsageError("-n says how many files to doubt: it needs --doubt")
    if overwrite and output is None:
        raise UsageError("--overwrite needs --output")


def _map(pairs: Sequence[str]) -> Mapping[str, str]:
    from musictag.vocabulary import check_name  # noqa: PLC0415

    found = {}
    for pair in pairs:
        value, equals, word = pair.rpartition("=")
        if not equals or not value.strip():
            raise UsageError(f"--map {pair!r}: expected VALUE=WORD")
        try:
            if word.strip():
                check_name(word.strip())
        except ValueError as error:
            raise UsageError(f"--map {pair!r}: {error}") from None
        found[value.strip()] = word.strip()
    return found


def _tagged(
    memory: Remembered, folders: Sequence[Path], field: str, reading: Reading, min_count: int
) -> tuple[list[Tagged], int]:
    """The tagged files, all heard, and how many files failed. What cannot be learned is found out
    before anything is heard."""
    from musictag import files  # noqa: PLC0415
    from musictag.cli.session import opened_journal  # noqa: PLC0415
    from musictag.cli.tagged import Tags  # noqa: PLC0415
    from musictag.report.text import counted  # noqa: PLC0415
    from musictag.training.own.learning import learnable  # noqa: PLC0415

    with opened_journal(write=False) as journal:
        tags = Tags(memory, field, reading, journal)
        found = tags.of(files.walk(folders, exclude=memory.settings.exclude))
        name = field.lower()
        if not tags.n_files:
            raise UsageError(f"{folders[0]}: no music files are here")
        complain(f"{len(found):,} of {counted(tags.n_files, 'file')} have a {name}")
        if tags.n_ours:
            ours = counted(tags.n_ours, "other file")
            complain(f"{ours} with nothing but what musictag wrote: not learned from")
        learnable([one.words for one in found], [one.origin for one in found], field, min_count)
        n_failed = tags.n_failed
        if unheard := [one.path for one in found if one.summary is None]:
            n_failed += memory.hear(unheard)
            found = tags.heard(found)
            if not found:
                raise DataSetError("none of the tagged files could be heard")
    return found, n_failed


def _learned(tagged: Sequence[Tagged], field: str, min_count: int) -> Learned:
    from musictag.cli.tagged import to_learn  # noqa: PLC0415
    from musictag.report.progress import Progress  # noqa: PLC0415
    from musictag.training.own import learning  # noqa: PLC0415

    with Progress(sys.stderr) as progress:

        def tell(done: int, total: int) -> None:
            if sys.stderr.isatty():  # elsewhere lines about a few seconds are of no use
                progress.step("learning", done, total, "steps")

        return learning.learn(to_learn(tagged), field, min_count=min_count, tell=tell)


def _say_contradictions(learned: Learned, tagged: Sequence[Tagged]) -> None:
    if learned.contradictory:
        names = ", ".join(os.fspath(tagged[row].path) for row in learned.contradictory[:4])
        more = ", …" if len(learned.contradictory) > 4 else ""
        complain(
            f"{len(learned.contradictory):,} files hold the same sound with different words, and "
            f"nothing was learned from them: {names}{more}"
        )


def _print_words(learned: Learned, form: str) -> None:
    from musictag.report import learned as report  # noqa: PLC0415

    words, left_out = learned.judgement.words, learned.labels.left_out
    lines: Iterator[str]
    if form == "jsonl":
        lines = report.records(words, left_out)
    else:
        lines = report.table(learned.field, words, left_out, sys.stdout)
    for line in lines:
        typer.echo(line)


def _say_result(learned: Learned, took_s: float) -> None:
    from musictag.report.text import counted, time_text  # noqa: PLC0415

    auc = learned.judgement.macro_roc_auc
    complain(
        f"learned from {counted(len(learned.rows), 'track')} in {time_text(took_s)}; on albums and "
        f"artists kept back the mean ROC-AUC is {auc.value:.2f} ({auc.low:.2f}–{auc.high:.2f})"
    )


def _save(learned: Learned, memory: Remembered, output: Path | None, *, with_base: bool) -> None:
    from musictag.training.own import learning  # noqa: PLC0415

    if output is None:
        learning.check_audible(learned)
        complain("nothing was saved: -o my-words keeps what was learned")
        return
    name = Path(os.path.realpath(output)).name
    base = memory.model.heard_by
    learning.save(learned, output, base=base, name=name, with_base=with_base)
    complain(f"saved; to use it: musictag scan --model {output}")


def _print_doubts(learned: Learned, tagged: Sequence[Tagged], form: str, number: int) -> None:
    from musictag.report import learned as report  # noqa: PLC0415
    from musictag.training.own import learning  # noqa: PLC0415

    found = learning.doubts(learned)
    if not found:
        nothing_to_do("no word can be told by ear, so none can be doubted")
    with_paths = [(tagged[doubt.row].path, doubt) for doubt in found[:number]]
    for line in report.doubts(with_paths, form, sys.stdout):
        typer.echo(line)
