"""`musictag cache`: what is remembered, and forgetting it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from musictag import config
from musictag.cli import help, options, streams
from musictag.cli.endings import complain, endings, nothing_to_do
from musictag.errors import UsageError

if TYPE_CHECKING:
    from musictag.stores.upkeep import Upkeep

app = typer.Typer(
    cls=help.Group,
    help="Show what is remembered, or forget some of it.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object.", rich_help_panel=options.TO_PRINT)
]


@app.command("info", cls=help.Command, short_help="Show what is remembered, and its size.")
def info(*, as_json: Json = False) -> None:
    """Show where the cache is, how large, and how much each model has heard."""
    with endings(), _opened() as upkeep:
        from musictag.report.model import described  # noqa: PLC0415
        from musictag.report.text import counted  # noqa: PLC0415
        from musictag.stores import cache  # noqa: PLC0415
        from musictag.stores import upkeep as keeping  # noqa: PLC0415

        path, found, names = cache.default_path(), upkeep.contents(), _names()
        aside = keeping.aside(path)
        n_aside = aside.stat().st_size if aside.exists() else 0
        streams.prepare_stdout("table")
        if as_json:
            models = [
                {
                    "digest": digest,
                    "name": names.get(digest),
                    "sounds": heard.n_sounds,
                    "summaries": heard.n_summaries,
                }
                for digest, heard in found.by_model.items()
            ]
            record = {
                "path": os.fspath(path),
                "bytes": found.n_bytes,
                "files": found.n_files,
                "models": models,
                "set_aside_bytes": n_aside,
            }
            typer.echo(json.dumps(record))
            return
        parts = {
            "cache": [os.fspath(path)],
            "size": [f"{found.n_bytes / 1e6:,.1f} MB"],
            "files": [f"{found.n_files:,}"],
            "heard": [
                f"{counted(heard.n_sounds, 'sound')} by {names.get(digest) or _unknown(digest)}, "
                f"{heard.n_summaries:,} with summary"
                for digest, heard in found.by_model.items()
            ],
        }
        if n_aside:
            parts["set aside"] = [f"{aside.name}, {n_aside / 1e6:,.1f} MB: cache clear removes it"]
        for line in described(parts, sys.stdout):
            typer.echo(line)


@app.command("prune", cls=help.Command, short_help="Forget files that are gone.")
def prune(
    *,
    other_models: Annotated[
        bool,
        typer.Option(
            "--other-models", help="Forget also what other models than that of the settings heard."
        ),
    ] = False,
    model: options.Model = None,
    as_json: Json = False,
) -> None:
    """Forget files that are gone, and sounds that no file has any more.

    Scan a folder that was moved first, or it is heard again. Files on a disk that seems not to be
    mounted are kept.
    """
    with endings(), _opened() as upkeep:
        from musictag.hearing import checkpoint  # noqa: PLC0415
        from musictag.report.text import counted  # noqa: PLC0415

        settings = config.override(config.load(), {"model": model})
        keep = checkpoint.find(settings.model).heard_by.digest if other_models else None
        before = upkeep.contents().n_bytes
        done = upkeep.prune(keep=keep)
        freed = max(0, before - upkeep.contents().n_bytes)
        if done.n_away:
            complain(
                f"{counted(done.n_away, 'file')} kept: their folder is empty or missing, as that "
                "of a disk that is not mounted"
            )
        streams.prepare_stdout("table")
        if as_json:
            record = {
                "files": done.n_files,
                "sounds": done.n_sounds,
                "kept_away": done.n_away,
                "freed_bytes": freed,
            }
            typer.echo(json.dumps(record))
        else:
            files, sounds = counted(done.n_files, "file"), counted(done.n_sounds, "sound")
            typer.echo(f"forgot {files} and {sounds}, {freed / 1e6:,.1f} MB")


@app.command("clear", cls=help.Command, short_help="Forget everything.")
def clear(
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Forget all that was heard: the next scan hears everything again.

    What was written into files, and can be undone, stays on record.
    """
    with endings(), _opened() as upkeep:
        from musictag.report.text import counted  # noqa: PLC0415

        found = upkeep.contents()
        files = counted(found.n_files, "file")
        if not yes:
            if sys.stdin is None or not sys.stdin.isatty():
                raise UsageError(f"this forgets what was heard in {files}: it needs --yes")
            if not typer.confirm(f"Forget what was heard in {files}?", err=True):
                nothing_to_do("nothing was forgotten")
        upkeep.clear()
        streams.prepare_stdout("table")
        typer.echo(json.dumps({"files": found.n_files}) if as_json else f"forgot {files}")


@contextmanager
def _opened() -> Iterator[Upkeep]:
    from musictag.stores import cache  # noqa: PLC0415
    from musictag.stores.upkeep import Upkeep  # noqa: PLC0415

    path = cache.default_path()
    if not path.exists():
        nothing_to_do(f"nothing is remembered yet: there is no {path}")
    with Upkeep(path) as upkeep:
        yield upkeep


def _names() -> dict[str, str]:
    """Digest → name of the models that come with musictag, and of that of the settings."""
    from musictag.errors import CheckpointError  # noqa: PLC0415
    from musictag.hearing import checkpoint  # noqa: PLC0415

    found = {}
    for name in (*checkpoint.packaged(), config.load().model):
        try:
            model = checkpoint.find(name).heard_by
        except CheckpointError:  # it may have been removed, and what it heard not
            continue
        found[model.digest] = model.name
    return found


def _unknown(digest: str) -> str:
    return f"another model ({digest[:12]}…)" if digest else "an earlier version"
