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
from musictag.cli import help, options, settings
from musictag.cli.endings import endings
from musictag.cli.listing import Listing
from musictag.cli.options import TO_HEAR, TO_PRINT, TO_SCAN, TO_WRITE
from musictag.cli.session import Output, Session

if TYPE_CHECKING:
    from musictag.hearing.checkpoint import Checkpoint
    from musictag.scan.ports import Workers


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
    exclude: settings.Exclude = None,
    newer_than: settings.NewerThan = None,
    only_missing: settings.OnlyMissing = None,
    where: settings.Where = None,
    write: Annotated[
        bool,
        typer.Option(
            "--write",
            help="Write the tags. Without it no file is touched.",
            rich_help_panel=TO_WRITE,
        ),
    ] = False,
    fields: settings.Fields = None,
    existing: settings.Existing = None,
    max_genres: settings.MaxGenres = None,
    max_moods: settings.MaxMoods = None,
    max_instruments: settings.MaxInstruments = None,
    max_vocals: settings.MaxVocals = None,
    join: settings.Join = None,
    style: settings.Style = None,
    comment: settings.Comment = None,
    grouping: settings.Grouping = None,
    provenance: settings.Provenance = None,
    preserve_mtime: options.PreserveMtime = None,
    hardlinks: options.Hardlinks = None,
    sure: settings.Sure = None,
    whitelist: settings.Whitelist = None,
    drop: settings.Drop = None,
    rename: settings.Rename = None,
    parents: settings.Parents = None,
    thresholds: settings.Thresholds = None,
    by_album: settings.ByAlbum = None,
    model: options.Model = None,
    device: options.Device = None,
    segments: settings.Segments = None,
    jobs: settings.Jobs = None,
    cpu: settings.Cpu = None,
    pause_on_battery: settings.PauseOnBattery = None,
    batch_size: settings.BatchSize = None,
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
    cache: settings.Cache = None,
    form: options.Form = "table",
    quiet: options.Quiet = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Also show unchanged tracks, and what was heard and is not written.",
            rich_help_panel=TO_PRINT,
        ),
    ] = False,
    log_file: options.LogFile = None,
) -> None:
    """Hear music and show what would be written; with --write, write it.

    The table shows what changes. jsonl, csv and tsv have one record for every file.
    Lasting settings belong in config.toml in musictag's configuration folder.
    """
    arguments = locals()
    with endings():
        chosen = config.override(config.load(), settings.given(arguments))
        output = Output(form, quiet=quiet, verbose=verbose, log_file=log_file)
        listing = Listing(tuple(paths or ()), files_from, null=null, exclude=chosen.exclude)
        with Session(output, chosen) as session:
            _scan(session, output, chosen, listing, ray=ray, write=write)
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
        settings.shown_fields,
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
            explain=output.verbose and output.form in ("table", "jsonl"),
            stopped=session.stopped,
            progress=session.politely(report.decoded),
            left_out=report.left_out,
            workers=session.enter(_workers(ray, model.heard_by, settings)),
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
