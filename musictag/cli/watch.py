"""`musictag watch`: hear what comes into some folders, for as long as the program runs."""

from __future__ import annotations

import functools
import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from musictag import config, process
from musictag.cli import logs, options, settings, streams
from musictag.cli.endings import endings
from musictag.cli.options import TO_SCAN, TO_WRITE
from musictag.cli.scan import scan
from musictag.cli.session import Output, Session

if TYPE_CHECKING:
    from musictag.hearing.checkpoint import Checkpoint
    from musictag.watching.source import Source
    from musictag.watching.watch import Batch


CLOCKS: dict[str, Callable[[], float]] = {"clock": time.monotonic, "time": time.time}
"""What tells a watch the time."""


@settings.like(scan)
def watch(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FOLDER",
            help="Folders of music.",
            show_default=False,
            parser=options.path,
            rich_help_panel=TO_SCAN,
        ),
    ] = None,
    *,
    write: Annotated[
        bool,
        typer.Option(
            "--write",
            help="Write the tags. Without it no file is touched.",
            rich_help_panel=TO_WRITE,
        ),
    ] = False,
    settle: settings.Settle = None,
    poll: settings.Poll = None,
    quiet: options.Quiet = False,
    log_file: options.LogFile = None,
    **given: Any,
) -> None:
    """Scan folders, then everything that comes into them, until Ctrl-C.

    A line for each file that is written (without --write: that would be); otherwise quiet. A file
    is heard when it has been still for some seconds. What `musictag undo` took back stays so.
    """
    arguments = {**given, "settle": settle, "poll": poll}
    with endings():
        chosen = config.override(config.load(), settings.given(arguments))
        _watch(list(paths or ()), chosen, Output("line", quiet=quiet, log_file=log_file), write)


def _watch(paths: list[Path], chosen: config.Settings, output: Output, write: bool) -> None:
    """Check everything that was asked for, then watch until Ctrl-C or SIGTERM, which is how a
    watch ends well."""
    from musictag.hearing import checkpoint  # noqa: PLC0415
    from musictag.stores import journal  # noqa: PLC0415
    from musictag.watching import roots  # noqa: PLC0415
    from musictag.watching.watch import Watch  # noqa: PLC0415

    folders = roots.check(paths)
    model = checkpoint.find(chosen.model)
    source = _source(chosen)
    streams.prepare_stdout("line")
    locks = roots.Locks(journal.default_path().parent / "watching")
    locks.take(folders)
    hear = functools.partial(_hear, model, chosen, output, write)
    say = functools.partial(_say, output)
    try:
        Watch(
            folders,
            source,
            hear,
            exclude=chosen.exclude,
            settle_s=chosen.settle,
            say=say,
            **CLOCKS,
        ).run()
    except KeyboardInterrupt:
        return
    finally:
        locks.release()


def _source(chosen: config.Settings) -> Source:
    if chosen.poll is not None:
        from musictag.watching.source import Poll  # noqa: PLC0415

        return Poll(chosen.poll)
    from musictag.watching.system import Events  # noqa: PLC0415

    return Events()


def _hear(
    model: Checkpoint, chosen: config.Settings, output: Output, write: bool, batch: Batch
) -> None:
    """Scan a batch. It is a run of its own: what is opened for it is closed again."""
    from musictag.report.tally import Tally  # noqa: PLC0415
    from musictag.scan import pipeline  # noqa: PLC0415

    summary: Callable[..., list[str]] = (
        functools.partial(Tally.summary, write=write) if batch.is_first else lambda *_, **__: []
    )
    with Session(output, chosen) as session:
        report = session.report(chosen.fields, summary=summary, count=None)
        outcomes = pipeline.scan(
            batch.paths(),
            model,
            chosen,
            cache=session.cache(),
            journal=session.journal(write=write),
            write=sys.argv[1:] if write else None,
            keep_undone=True,
            stopped=lambda: session.stopped() or batch.is_over(),
            progress=session.politely(report.decoded),
        )
        session.tell(batch.passed(outcomes))
    gc.collect()
    process.give_back_freed()


def _say(output: Output, sentence: str) -> None:
    """Tell people, and the log file, something that is no file's outcome."""
    from musictag.report.text import visible  # noqa: PLC0415

    say = functools.partial(typer.echo, err=True)
    with logs.logging_to(say, quiet=output.quiet, verbose=False, log_file=output.log_file):
        logs.log.warning("%s", visible(sentence))
