"""The man page is made when a wheel is built, from the commands as they are then."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManPage(BuildHookInterface):  # type: ignore[type-arg]
    """Puts musictag.1 into the wheel, under share/man/man1."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or version == "editable":
            return
        sys.path.insert(0, self.root)
        try:
            from musictag.cli import manpage  # noqa: PLC0415
        finally:
            sys.path.remove(self.root)
        path = Path(self.directory, "musictag.1")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(manpage.page(), encoding="utf-8")
        build_data["shared_data"][str(path)] = "share/man/man1/musictag.1"
