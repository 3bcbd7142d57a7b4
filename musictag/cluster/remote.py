"""A scan's view of a cluster: decoders whose files are decoded, and heard, on other machines.

Nothing here knows Ray. A `Transport` carries requests and answers, and may lose them.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from musictag.audio.decoder import Closed
from musictag.cluster.messages import Answer, Lost, Request, What
from musictag.errors import AudioError, MusictagError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

TRIES = 3
"""How often a file is given out before it is reported as lost."""
_PAUSES_S = (0.0, 1.0, 5.0)
"""Seconds to wait before each try: a cluster needs a moment to notice that a machine is gone."""
_POLL_S = 0.5
"""How soon a waiting thread notices that the scan has ended, in seconds."""


class Transport(Protocol):
    """Carries requests to workers and brings their answers back."""

    def call(self, request: Request, near: str) -> Any:
        """Give a request out, to the machine called `near` if there is one."""

    def answer(self, call: Any, timeout_s: float) -> Answer | None:
        """The answer, or None if it is not there yet.

        Raises Lost when the request's worker is gone, MusictagError when the
        whole cluster is.
        """


class Workers:
    """The workers of a cluster."""

    def __init__(self, transport: Transport, n: int) -> None:
        self.transport = transport
        self.n = n
        """How many files can be worked on at once."""
        self._n_lost = Counter[str]()

    def decoder(self) -> RemoteDecoder:
        return RemoteDecoder(self)

    def answered(self, what: What) -> None:
        self._n_lost[what] = 0

    def lost(self, what: What, reason: str) -> None:
        """Count a loss; MusictagError once every request of this kind is lost.

        Then the files are not at fault. Kinds are counted separately, because files
        can still be digested when no ear is alive.
        """
        self._n_lost[what] += 1
        if self._n_lost[what] > TRIES * (self.n + 1):
            raise MusictagError(
                f"the Ray cluster lost all of the last {self._n_lost[what]} tasks ({reason})"
            )


class RemoteDecoder:
    """A stand-in for audio's Decoder, for one thread, whose files are handled by a cluster."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._closed = threading.Event()
        self._digested: tuple[Path, str] | None = None
        """The file that was digested last, and the machine that did it."""

    def payload_digest(self, path: Path) -> bytes:
        """As Decoder.payload_digest. An AudioError may also have the code `lost`."""
        answer = self.ask(path, "digest")
        self._digested = path, answer.node
        return answer.digest

    def track(self, path: Path, *, n_segments: int | None = None) -> RemoteTrack:
        return RemoteTrack(self, path, n_segments)

    def kill(self) -> None:
        """Give up, from any thread; the thread that waits gets Closed."""
        self._closed.set()

    def __enter__(self) -> RemoteDecoder:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def ask(
        self,
        path: Path,
        what: What,
        *,
        n_segments: int | None = None,
        most: int | None = None,
        about: RemoteTrack | None = None,
    ) -> Answer:
        """The answer. `about` gets what is known even of a file that turned out bad."""
        request = Request(what, os.fsencode(os.path.abspath(path)), n_segments, most)  # noqa: PTH100
        near = ""
        if self._digested is not None and self._digested[0] == path:
            near = self._digested[1]  # that machine still has the file in memory
        reason = ""
        for attempt in range(TRIES):
            if self._closed.wait(_PAUSES_S[attempt]):
                raise Closed
            try:
                answer = self._wait(self._workers.transport.call(request, near))
            except Lost as lost:
                reason, near = lost.reason, ""
                log.warning("%s: %s (try %d of %d)", path, reason, attempt + 1, TRIES)
                self._workers.lost(what, reason)
                continue
            self._workers.answered(what)
            if about is not None:
                about.duration_s, about.decoder = answer.duration_s, answer.decoder
            if answer.code:
                raise _error(path, answer)
            return answer
        raise AudioError(
            path, "lost", f"lost {TRIES} times in a row: {reason}", cure="scan it again"
        )

    def _wait(self, call: Any) -> Answer:
        while not self._closed.is_set():
            answer = self._workers.transport.answer(call, _POLL_S)
            if answer is not None:
                return answer
        raise Closed


class RemoteTrack:
    """A track that is heard on the machine that decodes it."""

    def __init__(self, decoder: RemoteDecoder, path: Path, n_segments: int | None) -> None:
        self._decoder = decoder
        self._path = path
        self._n_segments = n_segments
        self.duration_s: float | None = None
        self.decoder = ""
        self.taggram: Sequence[list[float]] = ()
        self.summaries: Sequence[NDArray[np.float32]] = ()

    def segments(self, *, most: int | None = None) -> Iterator[NDArray[np.float32]]:
        """No segments: afterwards `taggram` holds what was heard. Raises as audio.Track does."""
        answer = self._decoder.ask(
            self._path, "sound", n_segments=self._n_segments, most=most, about=self
        )
        self.taggram, self.summaries = answer.taggram, answer.summaries
        return iter(())


def _error(path: Path, answer: Answer) -> AudioError:
    """The error that this machine would have raised; the host is named if the host is at fault."""
    if answer.code == "not_found" and path.exists():
        cure = "is its folder shared with that machine, under the same name?"
        return AudioError(path, "not_shared", f"not found on {answer.host}", cure=cure)
    reason = answer.reason
    if answer.code in ("permission", "io"):
        reason = f"{reason} on {answer.host}"
    return AudioError(path, answer.code, reason, cure=answer.cure)
