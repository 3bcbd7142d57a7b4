"""What goes wrong while bytes are parsed that anybody may have written."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import mutagen

from musictag.metadata.replacement import Refusal

DAMAGE = (
    mutagen.MutagenError,
    ArithmeticError,
    AssertionError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
"""What mutagen and our own parsers raise on damaged files; an AttributeError is a bug of ours."""


@contextmanager
def parsing() -> Iterator[None]:
    """Turn damage into a Refusal, and find the operating system's errors again.

    mutagen wraps those in its own. Only EINVAL is none of them: it comes of a jump to before the
    file's beginning, where a wrong length has led.
    """
    try:
        yield
    except (*DAMAGE, OSError) as error:
        link: BaseException | None = error
        while link is not None:
            if isinstance(link, OSError) and link.errno not in (None, errno.EINVAL):
                raise link from error
            link = link.__cause__ or link.__context__
        if isinstance(error, MemoryError):
            reason = "there is not enough memory to read its tags"
            raise Refusal("memory", reason, "close other programs, or use fewer --jobs") from error
        reason = str(error) or "they are damaged or cut short"
        raise Refusal("bad_header", f"its tags cannot be parsed: {reason}") from error
