"""Decoders that the platform brings along, by audioread: the last resort."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from musictag.audio.blocks import Block, GaveUp, check_sanity, mean


def blocks(path: Path, start_s: float) -> Iterator[Block]:
    """Samples from `start_s` on by a decoder of the platform (Core Audio, MAD).

    Not by the ffmpeg program or GStreamer: they follow a playlist in disguise, and PyAV reads
    whatever they read.
    """
    import audioread  # noqa: PLC0415

    refusal = ""
    with warnings.catch_warnings():
        # audioread imports modules that Python retires, and leaves files open.
        warnings.simplefilter("ignore")
        try:
            source = audioread.audio_open(os.fspath(path.absolute()), decoders())
        except audioread.NoBackendError:
            refusal = "no decoder of this platform knows it"
        except ImportError as error:  # before 3.1 it needs modules that Python 3.13 has no more
            refusal = f"does not run here: {error}"
        except MemoryError:
            raise
        except Exception as error:  # on a damaged file Python's wave and aifc raise anything
            refusal = str(error) or "unknown format"
    if refusal:
        raise GaveUp(refusal)
    with source:
        check_sanity(source.samplerate, source.channels)
        n_skip = round(start_s * source.samplerate)
        name = f"audioread:{type(source).__name__}"
        try:
            for buffer in source:
                numbers = np.frombuffer(buffer, "<i2").reshape(-1, source.channels)
                channels = numbers[n_skip:].T.astype(np.float32)
                n_skip = max(0, n_skip - len(numbers))
                if channels.size:
                    yield Block(mean(channels) * np.float32(2.0**-15), source.samplerate, name)
        except MemoryError:
            raise
        except Exception as error:
            raise GaveUp(str(error) or "damaged", damaged=True) from error


def decoders() -> list[Any]:
    """The decoders that audioread would find; its own search starts a compiler."""
    from audioread import rawread  # noqa: PLC0415

    found = [rawread.RawAudioFile]
    if sys.platform == "darwin":
        from audioread import macca  # noqa: PLC0415

        found.append(macca.ExtAudioFile)
    with contextlib.suppress(ImportError):
        from audioread import maddec  # noqa: PLC0415

        found.append(maddec.MadAudioFile)
    return found
