"""The data set in a directory, whatever its layout."""

from __future__ import annotations

from pathlib import Path

from musictag.errors import DataSetError
from musictag.training import folder, magnatagatune
from musictag.training.dataset import DataSet


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
