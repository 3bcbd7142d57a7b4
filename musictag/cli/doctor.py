"""`musictag doctor`: what is installed here, and whether it works."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Annotated

import typer

from musictag import __version__
from musictag.cli import options, streams
from musictag.cli.endings import endings


def doctor(
    *,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object.", rich_help_panel=options.TO_PRINT),
    ] = False,
) -> None:
    """Look at all that musictag needs: a line for each thing, ok or with its cure.

    Python, the machine, decoders, model, settings, cache, journal, file names and, with made music,
    hearing itself. Nothing is changed. Exit code 1 if something does not work.
    """
    with endings():
        from musictag.doctor import parts  # noqa: PLC0415
        from musictag.report.terminal import fitted  # noqa: PLC0415
        from musictag.report.text import visible  # noqa: PLC0415

        streams.prepare_stdout("table")
        found = []
        for name in parts.PARTS:
            for finding in parts.look(name):
                found.append(finding)
                if as_json:
                    continue
                lines = [f"{finding.state:<5} {finding.name:<11} {visible(finding.text)}"]
                if finding.cure:
                    lines.append(f"{'':17} cure: {visible(finding.cure)}")
                typer.echo("\n".join(fitted(line, sys.stdout) for line in lines))
        works = all(finding.state != "bad" for finding in found)
        if as_json:
            checks = [dataclasses.asdict(finding) for finding in found]
            typer.echo(json.dumps({"musictag": __version__, "works": works, "checks": checks}))
        raise typer.Exit(0 if works else 1)
