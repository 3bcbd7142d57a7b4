"""The data set in a directory, whatever its layout."""

from __future__ import annotations

from pathlib import Path

from musictag.errors import DataSetError, system_trouble
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


def open_dataset(directory: Path) -> DataSet:
    """Read the data set in `directory`, laid out as in `folder` or as MagnaTagATune."""
    if magnatagatune.is_in(directory):
        return magnatagatune.read(directory)
    if not directory.is_dir():
        raise DataSetError(f"{directory}: there is no such folder")
    if not (directory / folder.CLIPS).exists():
        raise DataSetError(
            f"{directory}: not a data set: neither {folder.CLIPS} nor "
            f"{magnatagatune.ANNOTATIONS} is in it"
        )
    return folder.read_folder(directory)
