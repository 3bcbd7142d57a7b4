"""The user's settings: option > environment > file > default.

A setting has one name: `--max-genres`, `MUSICTAG_MAX_GENRES` and in the file, which is TOML,
`max_genres`. A name or value that is not understood is an error that names its place and the
nearest name that there is.

`settings` holds the defaults, `declared` what each value may be, `sources` where values come from,
`written` the forms in which settings are shown.
"""

from __future__ import annotations

from musictag.config.settings import HARDLINKS, MOST_AT_ONCE, MOST_JOBS, Settings
from musictag.config.sources import default_path, effective, load, override

__all__ = [
    "HARDLINKS",
    "MOST_AT_ONCE",
    "MOST_JOBS",
    "Settings",
    "default_path",
    "effective",
    "load",
    "override",
]
