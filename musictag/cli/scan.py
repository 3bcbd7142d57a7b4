"""`musictag scan`: hear music and show, or write, what would change."""

from __future__ import annotations

import contextlib
import functools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from musictag import config
from musictag.cli import completion, help, options
from musictag.cli.endings import endings
from musictag.cli.listing import Listing
from musictag.cli.options import TO_HEAR, TO_PRINT, TO_SCAN, TO_WRITE
from musictag.cli.session import Output, Session

if TYPE_CHECKING:
    from musictag.hearing.checkpoint import Checkpoint
    from musictag.scan.ports import Workers

SUMMARY = "Hear music and show what would be written; with --write, write it."
DEFAULTS = config.Settings()


class Command(help.Command):
    """`scan`, whose option --ray may stand without a value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, with_address(args))


_ADDRESS = re.compile(r"auto|local|ray://.*|[^/\s]+:\d+")


def with_address(args: list[str]) -> list[str]:
    """Give a lone `--ray` an empty value.

    The word after it is its value only if it looks like an address; it may just as well be a path
    to scan.
    """
    end = args.index("--") if "--" in args else len(args)
    found: list[str] = []
    for arg in args[:end]:
        if found[-1:] == ["--ray="] and _ADDRESS.fullmatch(arg):
            found[-1] += arg
        else:
            found.append("--ray=" if arg == "--ray" else arg)
    return found + args[end:]


def scan(  # noqa: PLR0913  # one argument per option
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH",
            help="Music files and folders.",
            show_default=False,
            parser=options.path,
            rich_help_panel=TO_SCAN,
        ),
    ] = None,
    *,
    files_from: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Scan the files listed in FILE; - is standard input.",
            rich_help_panel=TO_SCAN,
        ),
    ] = None,
    null: Annotated[
        bool,
        typer.Option(
            "-0",
            "--null",
            help="The names in the list end with NUL instead of newline.",
            rich_help_panel=TO_SCAN,
        ),
    ] = False,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GLOB",
            help="Leave out files and folders that match GLOB. May be repeated.",
            rich_help_panel=TO_SCAN,
        ),
    ] = None,
    write: Annotated[
        bool,
        typer.Option(
            "--write",
            help="Write the tags. Without it no file is touched.",
            rich_help_panel=TO_WRITE,
        ),
    ] = False,
    fields: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Fields to write: some of genre,mood,instrument,vocals. "
            f"[default: {','.join(DEFAULTS.fields).lower()}]",
            autocompletion=completion.fields,
            rich_help_panel=TO_WRITE,
        ),
    ] = None,
    existing: Annotated[
        str | None,
        typer.Option(
            metavar="POLICY",
            help="What to do with existing values: keep (fill only empty fields), merge or "
            "replace; or one policy per field: genre=replace,mood=merge. [default: keep]",
            autocompletion=completion.policies,
            rich_help_panel=TO_WRITE,
        ),
    ] = None,
    max_genres: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help=f"Write at most N genres. [default: {DEFAULTS.max_genres}]",
            rich_help_panel=TO_WRITE,
        ),
    ] = None,
    max_moods: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help=f"Write at most N moods. [default: {DEFAULTS.max_moods}]",
            rich_help_panel=TO_WRITE,
        ),
    ] = None,
    max_instruments: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help=f"Write at most N instruments. [default: {DEFAULTS.max_instruments}]",
            rich_help_panel=TO_WRITE,
        ),
    ] = None,
    max_vocals: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help=f"Write at most N values for vocals. [default: {DEFAULTS.max_vocals}]",
            rich_help_panel=TO_WRITE,
        ),
    ] = None,
    join: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Write several values as one, separated by TEXT. [default: one entry per value]",
            rich_help_panel=TO_WRITE,
        ),
    ] = None,
    preserve_mtime: options.PreserveMtime = None,
    hardlinks: options.Hardlinks = None,
    model: options.Model = None,
    device: options.Device = None,
    segments: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Hear N evenly spaced segments of 29 s per track. [default: the whole track]",
            rich_help_panel=TO_HEAR,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            metavar="N",
            help=f"Decoding processes, at most {config.MOST_JOBS}. [default: one per core]",
            rich_help_panel=TO_HEAR,
        ),
    ] = None,
    batch_size: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto",
            help="Segments heard at once. auto: up to 64 per CPU core; on a GPU as many as fit its "
            "memory, fewer when it runs out. [default: auto]",
            parser=options.number_or_word,
            rich_help_panel=TO_HEAR,
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="[ADDRESS]",
            help="Decode and hear on a Ray cluster: HOST:PORT, auto (the cluster that this machine "
            "belongs to) or local (a new one on this machine). Without ADDRESS: auto if there is "
            "one, else local.",
            rich_help_panel=TO_HEAR,
        ),
    ] = None,
    cache: Annotated[
        bool | None,
        typer.Option(
            "--cache/--no-cache",
            help="Remember what was heard for later scans. [default: yes]",
            rich_help_panel=TO_HEAR,
        ),
    ] = None,
    form: options.Form = "table",
    quiet: options.Quiet = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="Also show unchanged tracks.", rich_help_panel=TO_PRINT
        ),
    ] = False,
    log_file: options.LogFile = None,
) -> None:
    """Hear music and show what would be written; with --write, write it.

    The table shows what changes. jsonl, csv and tsv have one record for every file.
    Lasting settings belong in config.toml in musictag's configuration folder.
    """
    with endings():
        settings = config.override(
            config.load(),
            {
                "fields": fields,
                "existing": existing,
                "max_genres": max_genres,
                "max_moods": max_moods,
                "max_instruments": max_instruments,
                "max_vocals": max_vocals,
                "join": join,
                "preserve_mtime": preserve_mtime,
                "hardlinks": hardlinks,
                "exclude": exclude or None,
                "segments": segments,
                "model": model,
                "device": device,
                "jobs": jobs,
                "batch_size": batch_size,
                "cache": cache,
            },
        )
        output = Output(form, quiet=quiet, verbose=verbose, log_file=log_file)
        listing = Listing(tuple(paths or ()), files_from, null=null, exclude=settings.exclude)
        with Session(output, settings) as session:
            _scan(session, output, settings, listing, ray=ray, write=write)
        raise typer.Exit(session.exit_code)


def _scan(
    session: Session,
    output: Output,
    settings: config.Settings,
    listing: Listing,
    *,
    ray: str | None,
    write: bool,
) -> None:
    """Check everything that was asked for, then load the libraries that open files, then scan."""
    if ray is None:
        from musictag.audio import spawn  # noqa: PLC0415

        session.enter(spawn.ahead())
    from musictag.hearing import checkpoint  # noqa: PLC0415
    from musictag.report.tally import Tally  # noqa: PLC0415

    paths, count = listing.open()
    model = checkpoint.find(settings.model)
    output.prepare()
    report = session.report(
        settings.fields,
        summary=functools.partial(Tally.summary, write=write, verbose=output.verbose),
        count=count,
    )
    from musictag.scan import pipeline  # noqa: PLC0415

    session.tell(
        pipeline.scan(
            paths,
            model,
            settings,
            cache=session.cache(),
            journal=session.journal(write=write),
            write=sys.argv[1:] if write else None,
            stopped=session.stopped,
            progress=report.decoded,
            workers=session.enter(_workers(ray, model, settings)),
        )
    )


@contextlib.contextmanager
def _workers(
    address: str | None, model: Checkpoint, settings: config.Settings
) -> Iterator[Workers | None]:
    """The workers of a cluster, if one was asked for."""
    if address is None:
        yield None
        return
    from musictag.cluster import connection, ray_library  # noqa: PLC0415

    with (
        ray_library.for_a_program(),
        connection.connected(address, model, settings) as workers,
    ):
        yield workers
