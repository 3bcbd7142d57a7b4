"""`musictag playlist`: some of what is remembered, chosen by what was heard."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from musictag import config
from musictag.cli import completion, options, remembered, results, streams
from musictag.cli.endings import check_word, complain, endings
from musictag.errors import UsageError

if TYPE_CHECKING:
    from musictag.cli.remembered import Remembered
    from musictag.library.choosing import Choice
    from musictag.library.collection import Track

SUFFIXES = ("m3u8", "xspf", "nsp")
FORMS = (*SUFFIXES, "paths")
NAMES = ("relative", "absolute")
MOST_ALIKE = 50
"""Tracks of a list by likeness, unless --limit says otherwise: it would have no end."""
TO_CHOOSE = "Which tracks"
TO_LIST = "The list"


def playlist(  # noqa: PLR0913  # one argument per option
    *,
    genre: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORD",
            help="Tracks of this genre. May be repeated: one of them is enough.",
            rich_help_panel=TO_CHOOSE,
        ),
    ] = None,
    mood: Annotated[
        list[str] | None,
        typer.Option(metavar="WORD", help="The same for moods.", rich_help_panel=TO_CHOOSE),
    ] = None,
    instrument: Annotated[
        list[str] | None,
        typer.Option(metavar="WORD", help="The same for instruments.", rich_help_panel=TO_CHOOSE),
    ] = None,
    vocals: Annotated[
        list[str] | None,
        typer.Option(metavar="WORD", help="The same for vocals.", rich_help_panel=TO_CHOOSE),
    ] = None,
    unwanted: Annotated[
        list[str] | None,
        typer.Option(
            "--not",
            metavar="WORD",
            help="Leave out tracks with this value of any field. May be repeated.",
            rich_help_panel=TO_CHOOSE,
        ),
    ] = None,
    least: Annotated[
        float | None,
        typer.Option(
            "--min",
            metavar="P",
            help="Share of listeners who would agree with each of these words (or, of --not, that "
            "it does not fit), at least. [default: what a scan asks of each value]",
            rich_help_panel=TO_CHOOSE,
        ),
    ] = None,
    like: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="The most alike first, as in musictag similar. May be repeated.",
            parser=options.path,
            rich_help_panel=TO_CHOOSE,
        ),
    ] = None,
    not_same_album: Annotated[
        bool,
        typer.Option(
            "--not-same-album",
            help="Leave out tracks of the albums of --like.",
            rich_help_panel=TO_CHOOSE,
        ),
    ] = False,
    not_same_artist: Annotated[
        bool,
        typer.Option(
            "--not-same-artist",
            help="Leave out tracks of the artists of --like.",
            rich_help_panel=TO_CHOOSE,
        ),
    ] = False,
    within: Annotated[
        list[Path] | None,
        typer.Option(
            "--in",
            metavar="DIR",
            help="Look only below DIR. May be repeated. [default: all that is remembered]",
            parser=options.path,
            rich_help_panel=TO_CHOOSE,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help=f"List N tracks, at most. [default: all that fit; with --like {MOST_ALIKE}]",
            rich_help_panel=TO_LIST,
        ),
    ] = None,
    shuffle: Annotated[
        bool,
        typer.Option(
            "--shuffle",
            help="Draw N of all that fit, in random order; with --like shuffle the most alike. "
            "[default: those that fit best, in this order]",
            rich_help_panel=TO_LIST,
        ),
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="With --shuffle: the same list again for the same N.",
            rich_help_panel=TO_LIST,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write the list into FILE.m3u8, FILE.xspf or FILE.nsp (rules for Navidrome). "
            "[default: print it]",
            show_default=False,
            parser=options.path,
            rich_help_panel=TO_LIST,
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace FILE if it exists.", rich_help_panel=TO_LIST),
    ] = False,
    names: Annotated[
        str | None,
        typer.Option(
            "--names",
            metavar="HOW",
            help="relative (to the folder of FILE) or absolute. [default: relative in an m3u8 "
            "file, else absolute]",
            autocompletion=completion.one_of(*NAMES),
            rich_help_panel=TO_LIST,
        ),
    ] = None,
    hear: Annotated[
        bool,
        typer.Option(
            "--hear",
            help="First hear what has not been heard.",
            rich_help_panel=options.TO_HEAR,
        ),
    ] = False,
    model: options.Model = None,
    device: options.Device = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORM",
            help="m3u8, xspf, nsp or paths (one per line). [default: by FILE's name, else m3u8]",
            autocompletion=completion.one_of(*FORMS),
            rich_help_panel=options.TO_PRINT,
        ),
    ] = None,
) -> None:
    """Make a playlist of what musictag scan has heard: by words, by likeness, or both.

    Nothing is decoded. A word is one of the model's (musictag models info lists them) or your own
    for it; a genre that is a family stands for its members, too.
    """
    with endings():
        shape = _form(form, output)
        if least is not None and not 0 <= least <= 1:
            raise UsageError(f"--min {least:g}: a share of listeners is from 0 to 1")
        if (not_same_album or not_same_artist) and not like:
            raise UsageError("--not-same-album and --not-same-artist go by --like FILE")
        if seed is not None and not shuffle:
            raise UsageError("--seed says how to shuffle: it needs --shuffle")
        folder = _folder(names, shape, output)
        if output is not None:
            results.check(output, force=force)
        settings = config.override(config.load(), {"model": model, "device": device})
        wanted = {"GENRE": genre, "MOOD": mood, "INSTRUMENT": instrument, "VOCALS": vocals}
        with remembered.opened(settings) as memory:
            from musictag.library.choosing import choice  # noqa: PLC0415

            chosen = choice(
                memory.opinion.vocabulary,
                {field: _words(given) for field, given in wanted.items()},
                _words(unwanted),
                least,
            )
            if shape == "nsp":
                _check_rules(least=least, like=like, within=within, seed=seed, hear=hear)
                from musictag.library import playlists  # noqa: PLC0415

                lines = playlists.smart(chosen, limit=limit, shuffle=shuffle)
                _put(list(lines), output, "rules for Navidrome")
                return
            if like:
                found = _alike(
                    memory,
                    chosen,
                    like,
                    within or [],
                    hear=hear,
                    same_album=not not_same_album,
                    same_artist=not not_same_artist,
                )
                found = found[: limit or MOST_ALIKE]
            else:
                found = _fitting(memory, chosen, within or [], hear=hear)
            if shuffle:
                # no secret: a list to listen to
                random.Random(seed).shuffle(found)
            found = _listable(found[:limit])
        _put_tracks(found, shape, folder, output)


def _form(form: str | None, output: Path | None) -> str:
    """The format, by its name or by the file's; UsageError if they do not agree."""
    if form is not None:
        check_word("--format", form, FORMS)
    if output is None:
        return form or "m3u8"
    suffix = output.suffix.lower().removeprefix(".")
    if suffix not in SUFFIXES:
        raise UsageError(f"{output}: expected a name that ends with .m3u8, .xspf or .nsp")
    if form not in (None, suffix):
        raise UsageError(f"{output}: its name says {suffix}, and --format says {form}")
    return suffix


def _folder(names: str | None, form: str, output: Path | None) -> Path | None:
    """The folder from which names are seen; None for absolute names."""
    if names is not None:
        check_word("--names", names, NAMES)
        if form in ("nsp", "paths"):
            raise UsageError(f"--names: {form} has no names that could be {names}")
        if names == "relative" and output is None:
            raise UsageError("--names relative: relative to the folder of a file: it needs -o FILE")
    relative = names == "relative" or (names is None and form == "m3u8" and output is not None)
    return output.absolute().parent if relative and output is not None else None


def _words(given: Sequence[str] | None) -> list[str]:
    """Options may be repeated, and hold several words with commas, which no value has in it."""
    return [word.strip() for text in given or () for word in text.split(",")]


def _check_rules(**given: object) -> None:
    """UsageError for what the rules of a smart playlist cannot express."""
    names = {"least": "--min", "like": "--like", "within": "--in"}
    for name, value in given.items():
        if value not in (None, False, []):
            option = names.get(name, f"--{name}")
            raise UsageError(
                f"{option}: the rules of a smart playlist are about fields in files and cannot "
                "say this; m3u8 and xspf can"
            )


def _fitting(
    memory: Remembered, choice: Choice, below: Sequence[Path], *, hear: bool
) -> list[Track]:
    """The tracks that fit, the best first; only those are kept in memory."""
    opinion = memory.opinion
    found = []
    for track in memory.each(below, summaries=opinion.needs_summaries, hear=hear):
        by_tag = opinion.by_tag(track)
        fit = choice.fit(by_tag)
        if fit is not None and opinion.is_music(by_tag):
            found.append((-fit, bytes(track.path), track))
    found.sort(key=lambda one: one[:2])
    return [track for _, _, track in found]


def _alike(
    memory: Remembered,
    choice: Choice,
    like: Sequence[Path],
    below: Sequence[Path],
    *,
    hear: bool,
    same_album: bool,
    same_artist: bool,
) -> list[Track]:
    """The tracks that fit, the most alike first."""
    from musictag.library import similar  # noqa: PLC0415

    models = memory.heard(like)
    neighbours = similar.Neighbours(memory.tracks(below, summaries=True, hear=hear))
    try:
        nearest = neighbours.nearest([track.summary for track in models if track.summary])
    except ValueError as error:
        raise UsageError(f"{like[0]}: {error}") from error
    nearest = similar.without_relatives(
        nearest, models, same_album=same_album, same_artist=same_artist
    )
    return [track for _, track in nearest if _fits(memory, choice, track)]


def _fits(memory: Remembered, choice: Choice, track: Track) -> bool:
    by_tag = memory.opinion.by_tag(track)
    return choice.fit(by_tag) is not None and memory.opinion.is_music(by_tag)


def _listable(tracks: Sequence[Track]) -> list[Track]:
    from musictag.library.playlists import can_be_listed  # noqa: PLC0415
    from musictag.report.text import counted  # noqa: PLC0415

    found = [track for track in tracks if can_be_listed(track)]
    if n := len(tracks) - len(found):
        complain(f"{counted(n, 'track')} left out, with a line break in the name")
    return found


def _put_tracks(
    tracks: Sequence[Track], form: str, folder: Path | None, output: Path | None
) -> None:
    from musictag.library import playlists  # noqa: PLC0415
    from musictag.report.text import counted, music_text  # noqa: PLC0415

    if not tracks:
        raise UsageError("no track fits: ask for less, or for a lower --min")
    length = music_text(sum(track.duration_s for track in tracks))
    lines: Iterator[str]
    if form == "paths":
        lines = iter(playlists.paths(tracks, None))
    else:
        lines = {"m3u8": playlists.m3u8, "xspf": playlists.xspf}[form](tracks, folder)
    _put(lines, output, f"{counted(len(tracks), 'track')}, {length}")


def _put(lines: Iterator[str] | list[str], output: Path | None, what: str) -> None:
    """Write the list, or print it."""
    if output is None:
        streams.prepare_stdout("csv")
        for line in lines:
            typer.echo(line)
        return
    with (
        results.writing(output) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as file,
    ):
        file.writelines(f"{line}\n" for line in lines)
    complain(f"{output}: {what}")
