"""The options of `scan` that are settings, in the order of the help text."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import typer

from musictag import config
from musictag.cli import completion, options
from musictag.cli.options import TO_HEAR, TO_SAY, TO_SCAN, TO_WATCH, TO_WRITE

DEFAULTS = config.Settings()


def given(arguments: Mapping[str, Any]) -> dict[str, object]:
    """The arguments of a command that are settings. An empty list counts as not given."""
    names = DEFAULTS.__dataclass_fields__.keys() & arguments.keys()
    return {name: arguments[name] for name in names if arguments[name] != []}


_Command = TypeVar("_Command", bound=Callable[..., None])


def like(other: Callable[..., None]) -> Callable[[_Command], _Command]:
    """Give a command that takes `**arguments` the options of another one that are settings, behind
    its first two."""

    def with_options(command: _Command) -> _Command:
        own = inspect.signature(command, eval_str=True)
        first, second, *rest = (p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD)
        settings = [
            parameter
            for name, parameter in inspect.signature(other, eval_str=True).parameters.items()
            if name in DEFAULTS.__dataclass_fields__
        ]
        parameters = [first, second, *settings, *rest]
        command.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return with_options


Exclude = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GLOB",
        help="Leave out files and folders that match GLOB. May be repeated.",
        rich_help_panel=TO_SCAN,
    ),
]
NewerThan = Annotated[
    str | None,
    typer.Option(
        metavar="WHEN",
        help="Scan only files changed since a date (2026-11-01), within an age (12h, 7d, 2w), or "
        "later than a file.",
        rich_help_panel=TO_SCAN,
    ),
]
OnlyMissing = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        help="Scan only files that lack one of these fields: genre,mood.",
        autocompletion=completion.fields,
        rich_help_panel=TO_SCAN,
    ),
]
Where = Annotated[
    str | None,
    typer.Option(
        metavar="CONDITION",
        help="""Scan only files for which this holds: 'genre = Unknown and not artist ~ "Bach"'.""",
        rich_help_panel=TO_SCAN,
    ),
]
Fields = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        help="Fields to write: some of genre,mood,instrument,vocals. "
        f"[default: {','.join(DEFAULTS.fields).lower()}]",
        autocompletion=completion.fields,
        rich_help_panel=TO_WRITE,
    ),
]
Existing = Annotated[
    str | None,
    typer.Option(
        metavar="POLICY",
        help="What to do with existing values: keep (fill only empty fields), merge or "
        "replace; or one policy per field: genre=replace,mood=merge. [default: keep]",
        autocompletion=completion.policies,
        rich_help_panel=TO_WRITE,
    ),
]
MaxGenres = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help=f"Write at most N genres. [default: {DEFAULTS.max_genres}]",
        rich_help_panel=TO_WRITE,
    ),
]
MaxMoods = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help=f"Write at most N moods. [default: {DEFAULTS.max_moods}]",
        rich_help_panel=TO_WRITE,
    ),
]
MaxInstruments = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help=f"Write at most N instruments. [default: {DEFAULTS.max_instruments}]",
        rich_help_panel=TO_WRITE,
    ),
]
MaxVocals = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help=f"Write at most N values for vocals. [default: {DEFAULTS.max_vocals}]",
        rich_help_panel=TO_WRITE,
    ),
]
Join = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="Write several values as one, separated by TEXT. [default: one entry per value]",
        rich_help_panel=TO_WRITE,
    ),
]
Style = Annotated[
    bool | None,
    typer.Option(
        "--style/--no-style",
        help="Write specific genres (Techno) into STYLE and their families (Electronic) into "
        "GENRE. [default: no]",
        rich_help_panel=TO_WRITE,
    ),
]
Comment = Annotated[
    str | None,
    typer.Option(
        metavar="TEMPLATE",
        help="Write a part of the comment: '[{mood}; {genre}; {vocals}]'. The rest of the comment "
        "stays.",
        rich_help_panel=TO_WRITE,
    ),
]
Grouping = Annotated[
    str | None,
    typer.Option(
        metavar="TEMPLATE",
        help="The same for the grouping.",
        rich_help_panel=TO_WRITE,
    ),
]
Provenance = Annotated[
    bool | None,
    typer.Option(
        "--provenance/--no-provenance",
        help="Write MUSICTAG_MODEL, MUSICTAG_DATE and MUSICTAG_PROBABILITIES as well. "
        "[default: no]",
        rich_help_panel=TO_WRITE,
    ),
]
Sure = Annotated[
    str | None,
    typer.Option(
        metavar="HOW",
        help="How sure to be: careful, balanced, bold, or the share of listeners who would agree, "
        "such as 0.7. [default: balanced]",
        autocompletion=completion.sure,
        rich_help_panel=TO_SAY,
    ),
]
Whitelist = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Write only the genres in this text file, which has one per line.",
        rich_help_panel=TO_SAY,
    ),
]
Drop = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        help="Never write these words: Choral,Spacey.",
        rich_help_panel=TO_SAY,
    ),
]
Rename = Annotated[
    str | None,
    typer.Option(
        metavar="TABLE",
        help="Write other words: Indian=World,Swing=Jazz. Several may become one.",
        rich_help_panel=TO_SAY,
    ),
]
Parents = Annotated[
    str | None,
    typer.Option(
        metavar="HOW",
        help="What to do with a family beside its members (Electronic beside Techno): add it, "
        "write it only, or write none. [default: none]",
        autocompletion=completion.parents,
        rich_help_panel=TO_SAY,
    ),
]
Thresholds = Annotated[
    str | None,
    typer.Option(
        metavar="TABLE",
        help="How sure to be of single values: Pop=0.6,Happy=0.5.",
        rich_help_panel=TO_SAY,
    ),
]
ByAlbum = Annotated[
    bool | None,
    typer.Option(
        "--by-album/--no-by-album",
        help="Give all tracks of an album the same genre, from the mean over them; compilations "
        "stay track by track. [default: no]",
        rich_help_panel=TO_SAY,
    ),
]
Segments = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Hear N evenly spaced segments of 29 s per track. [default: the whole track]",
        rich_help_panel=TO_HEAR,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        metavar="N",
        help=f"Decoding processes, at most {config.MOST_JOBS}. [default: one per core]",
        rich_help_panel=TO_HEAR,
    ),
]
Cpu = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        help="Take at most this share of the cores, such as 25%, and step back for other programs. "
        "[default: as much as there is]",
        rich_help_panel=TO_HEAR,
    ),
]
PauseOnBattery = Annotated[
    bool | None,
    typer.Option(
        "--pause-on-battery/--no-pause-on-battery",
        help="Wait while the machine runs on its battery (needs psutil). [default: no]",
        rich_help_panel=TO_HEAR,
    ),
]
BatchSize = Annotated[
    str | None,
    typer.Option(
        metavar="N|auto",
        help="Segments heard at once. auto: up to 64 per CPU core; on a GPU as many as fit its "
        "memory, fewer when it runs out. [default: auto]",
        parser=options.number_or_word,
        rich_help_panel=TO_HEAR,
    ),
]
Cache = Annotated[
    bool | None,
    typer.Option(
        "--cache/--no-cache",
        help="Remember what was heard for later scans. [default: yes]",
        rich_help_panel=TO_HEAR,
    ),
]
Settle = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="Take a file for whole when it has not changed for so long. "
        f"[default: {DEFAULTS.settle:g}]",
        rich_help_panel=TO_WATCH,
    ),
]
Poll = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="Look at everything every so often, for network shares, whose changes the system does "
        "not report. [default: when the system reports a change]",
        rich_help_panel=TO_WATCH,
    ),
]
