"""What tests of decoders that files make ill share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from musictag.audio.decoder import Decoder
from musictag.errors import AudioError

posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")
CRASH = "os.kill(os.getpid(), signal.SIGSEGV)"
ILL_FILE = "'ill' in path.name"


def code_of(one: Decoder, path: Path) -> str:
    with pytest.raises(AudioError) as caught:
        list(one.track(path).segments())
    assert caught.value.path == path
    return caught.value.code


def n_segments(one: Decoder, path: Path) -> int:
    return len(list(one.track(path).segments()))
