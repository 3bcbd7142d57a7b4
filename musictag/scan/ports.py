"""What a scan needs from the rooms around it, as protocols.

`audio.decoder.Decoder` and the module `metadata` fit them; so do a cluster's workers and the fakes
of the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from musictag.metadata import Values, Written

    Samples = NDArray[np.float32]


class AnyTrack(Protocol):
    """A track that is decoded here, or decoded and heard elsewhere."""

    duration_s: float | None
    decoder: str
    """Name of the library that decoded it; empty until one did."""
    taggram: Sequence[list[float]]
    """Probabilities of its segments if it was heard elsewhere; then it yields no segments."""
    summaries: Sequence[Samples]
    """Summaries of the same segments in batches, (b, S) each."""

    def segments(self, *, most: int | None = None) -> Iterator[Samples]: ...


class AnyDecoder(Protocol):
    """Opens one file at a time, for one thread."""

    def payload_digest(self, path: Path) -> bytes: ...
    def track(self, path: Path, *, n_segments: int | None = None) -> AnyTrack: ...
    def kill(self) -> None: ...
    def __enter__(self) -> AnyDecoder: ...
    def __exit__(self, *_: object) -> None: ...


class Workers(Protocol):
    """Decoders of a cluster."""

    @property
    def n(self) -> int:
        """Number of files they can work on at once."""

    def decoder(self) -> AnyDecoder: ...


class AnyMetadata(Protocol):
    """Reads and writes the fields of files; the module `metadata` by default."""

    def clear_leftovers(self, path: Path) -> None: ...
    def read(self, path: Path, *, also: Collection[str] = ()) -> Mapping[str, tuple[str, ...]]: ...
    def write(
        self,
        path: Path,
        values: Values,
        *,
        preserve_mtime: bool = False,
        join: str | None = None,
        payload_digest: Callable[[Path], bytes] | None = None,
        expected: Values | None = None,
        hardlinks: str = "refuse",
        about_to: Callable[[Written], None] | None = None,
    ) -> Written | None: ...
