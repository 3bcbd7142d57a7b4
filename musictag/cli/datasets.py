"""What `train` and `evaluate` say of a data set: how its download goes and what is in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from musictag.report.progress import Progress
    from musictag.training.archive import Beginning, Fetched, Unpacked
    from musictag.training.dataset import DataSet


def fetch(name: str, progress: Progress) -> Path:
    """The folder of a data set, which is downloaded first if its name asks for that."""
    from musictag.training import archive, magnatagatune  # noqa: PLC0415

    directory = magnatagatune.directory_of(name)
    if directory is None:
        return Path(name)
    archive.fetch(directory, source=archive.SOURCE, tell=_fetching(progress))
    return directory


def say_contents(found: DataSet, progress: Progress) -> None:
    """Say how many examples each split has, and which are left out and why."""
    from musictag.report.text import counted  # noqa: PLC0415
    from musictag.training.dataset import SPLITS  # noqa: PLC0415

    for split in SPLITS:
        line = f"{split}: {counted(len(found.rows(split)), 'example')}"
        if n_dropped := found.untagged.get(split):
            line += f" ({n_dropped:,} more carry none of the tags)"
        progress.say(line)
    for reason in found.broken.values():
        progress.say(f"musictag: left out: {reason}")


def _fetching(progress: Progress) -> Callable[[Beginning | Fetched | Unpacked], None]:
    """What reports a download: its size and licence first, then how far it is."""
    from musictag.training import archive  # noqa: PLC0415

    def tell(news: Beginning | Fetched | Unpacked) -> None:
        if isinstance(news, archive.Fetched):
            total = None if news.total is None else news.total // 10**6
            progress.step(news.name, news.done // 10**6, total, "MB")
        elif isinstance(news, archive.Unpacked):
            progress.step("unpacked", news.done, news.total, "clips")
            if news.done == news.total:
                parts = ", ".join(archive.PARTS)
                progress.say(f"The archive is no longer needed; you may delete {parts}.")
        else:
            progress.say(
                f"MagnaTagATune goes to {news.directory}: {news.download_size / 1e9:.1f} GB to "
                f"download from {news.source}, {news.disk_size / 1e9:.1f} GB on the disk."
            )
            progress.say(f"Its licence is {news.licence}.")
            progress.say("You can interrupt this; the same command continues it.")

    return tell
