"""The decoders that are installed, and the kinds of file that they open."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from musictag.formats.table import FORMATS


def decoders() -> Iterator[tuple[str, str]]:
    """Name and version of each decoder; ImportError or OSError for one that does not work."""
    import av  # noqa: PLC0415
    import soundfile  # noqa: PLC0415

    libavcodec = ".".join(map(str, av.library_versions["libavcodec"]))
    yield "PyAV", f"{av.__version__} with ffmpeg's libavcodec {libavcodec}"
    yield "libsndfile", str(soundfile.__libsndfile_version__)
    from musictag.audio import platforms  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # audioread imports modules that Python retires
        names = [decoder.__name__ for decoder in platforms.decoders()]
    yield "audioread", ", ".join(names)


def covered() -> tuple[list[str], list[str]]:
    """The extensions of music files that can be opened here, and those that cannot."""
    import av  # noqa: PLC0415

    here = {part for name in av.formats_available for part in name.split(",")}
    opened = {
        suffix
        for row in FORMATS
        if row.libsndfile_first or here & set(row.demuxers)
        for suffix in row.suffixes
    }
    all_of_them = {suffix for row in FORMATS for suffix in row.suffixes}
    return sorted(opened), sorted(all_of_them - opened)
