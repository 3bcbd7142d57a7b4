"""The data set in a directory, whatever its layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from musictag.errors import DataSetError, UsageError, system_trouble
from musictag.training import folder, magnatagatune
from musictag.training.dataset import DataSet


def tags_of(name: str) -> tuple[str, ...]:
    """The tags that `mtat50`, or a file with a tag on each line, names; () for `all`.

    In a file, empty lines and lines that begin with # are skipped.
    """
    if name == "all":
        return ()
    if name == "mtat50":
        return magnatagatune.TAGS
    try:
        lines = Path(name).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataSetError(f"{name}: {system_trouble(error).reason}") from error
    except UnicodeDecodeError as error:
        raise DataSetError(f"{name}: not a text file in UTF-8") from error
    tags = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not tags:
        raise DataSetError(f"{name}: no tags")
    return tags


def most_frequent(directory: Path, n: int) -> tuple[str, ...]:
    """The n tags of a data set that are most common, the commonest first."""
    if magnatagatune.is_in(directory):
        return magnatagatune.most_frequent(directory, n)
    dataset = open_dataset(directory)
    if n > len(dataset.tags):
        raise DataSetError(f"{directory}: has {len(dataset.tags)} tags, not {n}")
    return tuple(sorted(dataset.tags, key=lambda tag: -dataset.shares[tag])[:n])


def open_dataset(
    directory: Path, *, tags: Sequence[str] = (), split: Path | None = None
) -> DataSet:
    """Read the data set in `directory`, laid out as in `folder` or as MagnaTagATune.

    `tags` and `split` are for MagnaTagATune: which of its tags are asked for besides the 50, and
    published lists of the clips in each split.
    """
    if magnatagatune.is_in(directory):
        return magnatagatune.read(directory, tags=tags, split=split)
    if split:
        raise UsageError(f"{directory}: clips.csv says the split; lists are for MagnaTagATune")
    if not directory.is_dir():
        raise DataSetError(f"{directory}: there is no such folder")
    if not (directory / folder.CLIPS).exists():
        raise DataSetError(
            f"{directory}: not a data set: neither {folder.CLIPS} nor "
            f"{magnatagatune.ANNOTATIONS} is in it"
        )
    return folder.read_folder(directory)
