"""What a library takes on the disk and in memory: cache and journal, and a scan of it.

    python benchmarks/footprint.py [--tracks N] [--json]

The library is that of library.py: everything is remembered, with the summaries of the default
model and who made it, and every file was written once. Sizes are those of the files when a scan
has ended; memory is that of all processes of a scan at once (Linux). What a scan of new music
takes does not depend on their number: scan.py measures it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

from commands import machine, run
from library import make_remembered, scan


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tracks", type=int, default=10_000)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        make_remembered(home, arguments.tracks)
        memory_gb = run(scan(home / "music", home), watched=True).memory_gb
        found = {name: size_of(home / "musictag", name) / 1e6 for name in ("heard", "journal")}
    if arguments.json:
        print(json.dumps({"tracks": arguments.tracks, "memory_gb": memory_gb, "disk_mb": found}))
        return
    print(machine())
    print(f"{arguments.tracks:,} remembered tracks, each written once")
    print(f"cache      {found['heard']:6.1f} MB")
    print(f"journal    {found['journal']:6.1f} MB")
    print(f"memory     {memory_gb * 1e3:6.0f} MB, of a scan in which all is remembered")


def size_of(folder: Path, name: str) -> int:
    """Bytes of a database, its log included."""
    return sum(
        entry.stat().st_size for entry in os.scandir(folder) if entry.name.startswith(f"{name}.")
    )


if __name__ == "__main__":
    main()
