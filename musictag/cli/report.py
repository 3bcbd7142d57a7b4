"""`musictag report`: a collection as one page for a browser."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from musictag import __version__, config
from musictag.cli import options, remembered
from musictag.cli.endings import complain, endings
from musictag.errors import UsageError

if TYPE_CHECKING:
    from musictag.cli.remembered import Remembered


def report(
    below: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="DIR",
            help="Folders and files. [default: all that is remembered]",
            show_default=False,
            parser=options.path,
        ),
    ] = None,
    *,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE", help="The page.", parser=options.path),
    ] = Path("report.html"),
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace FILE even if it is no report of musictag."),
    ] = False,
    model: options.Model = None,
) -> None:
    """Make a page for a browser that shows a collection as it was heard.

    It has a map of all tracks, what is heard how often, what a scan would change, and where the
    genre in a file and what is heard disagree. It is one file and needs no network. Nothing is
    decoded: musictag scan hears what is new.
    """
    with endings():
        from musictag import files  # noqa: PLC0415
        from musictag.report.page import building  # noqa: PLC0415

        settings = config.override(config.load(), {"model": model})
        if os.fspath(output) == "-" or output.suffix.lower() in files.EXTENSIONS:
            raise UsageError(f"{output}: a report needs a name of its own, such as report.html")
        place = building.check_place(output, force=force)
        with remembered.opened(settings) as memory:
            _write(memory, list(below or []), output, place)


def _write(memory: Remembered, roots: list[Path], output: Path, place: Path) -> None:
    """Make the page of what is below these folders."""
    from musictag.library.collection import Missing  # noqa: PLC0415
    from musictag.library.overview import Row  # noqa: PLC0415
    from musictag.report.page import building  # noqa: PLC0415
    from musictag.report.page.packing import Packing  # noqa: PLC0415
    from musictag.report.progress import Progress  # noqa: PLC0415
    from musictag.report.text import counted, size_text  # noqa: PLC0415

    missing = Missing()
    packing = Packing(memory.vocabulary)
    with Progress(sys.stderr) as progress:
        for found in memory.rows(roots, missing=missing):
            if isinstance(found, Row):
                packing.add(found)
                if len(packing) % 500 == 0:
                    progress.step("reading what is remembered", len(packing), None, "tracks")
            else:
                packing.add_trouble(found)
    if not len(packing) and not missing.without_music:
        raise UsageError("nothing is remembered here: musictag scan hears it first")
    facts = {
        "made": round(time.time()),
        "version": __version__,
        "model": memory.model.name,
        "roots": [os.path.abspath(root) for root in roots],  # noqa: PTH100  # links stay
        "gone": missing.n_gone,
    }
    size = building.write(place, packing.pieces(facts))
    unheard = len(missing.unheard) + len(missing.unsummed)
    left_out = f"; {counted(unheard, 'file')} not heard yet: musictag scan" if unheard else ""
    complain(f"{output}: {counted(len(packing), 'track')}, {size_text(size)}{left_out}")
