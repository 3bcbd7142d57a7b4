"""A scan on several machines: files decoded and heard on a Ray cluster, everything else here.

    with cluster.connected("10.0.0.1:6379", checkpoint, settings) as hands:
        pipeline.scan(..., hands=hands)

    here     names, cache, metadata, decision, writing, journal, report
    tasks    one for a file's digest, one for its sound: decoded in a process
             of its own there too, a few segments at a time to an ear
    ears     actors with the model, one per GPU or a few per machine, which
             hear what several tasks send in one batch

Only names go out and only digests and taggrams come back, so the files must lie
under the same names on every machine. Whoever had a file in hand may die: the
file is given out again, and reported as `lost` when that happens TRIES times.
Nothing that a cluster does is remembered as a file's fault.

This is the one door to Ray. `Hands` and `Hand` know nothing of it but that
calls may be lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import itertools
import logging
import os
import random
import re
import signal
import socket
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np

from musictag.audio.decoder import Closed, Decoder
from musictag.config import MOST_JOBS
from musictag.errors import AudioError, FileError, MusictagError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from musictag.config import Settings
    from musictag.hearing.checkpoint import Checkpoint
    from musictag.hearing.ear_core import CpuEar
    from musictag.hearing.ear_torch import Ear

log = logging.getLogger(__name__)

TRIES = 3
"""So often a file is given out before it is reported as lost."""
_PAUSES_S = (0.0, 1.0, 5.0)
"""Before each of them: a cluster needs a moment to see that a machine is gone."""
_POLL_S = 0.5
"""How soon a waiting thread sees that the scan has ended."""

_TOGETHER = 4
_UNDER_WAY = 2
"""A task sends so many segments at once, and so often before it waits for what is heard: of a
track, however long, 15 MB are on their way."""
_EAR_CORES = 4
"""Cores for one ear, where there is no GPU; twice as many are not twice as fast."""
_EAR_STARTS_S = 300
"""An ear that takes longer to begin (torch from a slow disk, a GPU that somebody else has) is not
waited for."""
_EAR_ANSWERS_S = 120
"""Longer than an ear needs to be started anew. One that is silent is left alone until it speaks."""

_REACHED_S = 10
"""An address that takes longer to answer is none."""
_PULSE_S = 5
_GONE_S = 30
"""The head is looked for so often, and given up after this long: sooner than by Ray, which then
ends the program on the spot."""


class Request(NamedTuple):
    """What is to be known of a file."""

    what: Literal["digest", "sound"]
    path: bytes
    """Absolute, as the file system has it: not every name is UTF-8."""
    n_segments: int | None = None
    most: int | None = None


class Answer(NamedTuple):
    """What was found, or what went into a FileError."""

    node: str
    """Where: Ray's name for the machine, and people's."""
    host: str
    digest: bytes = b""
    duration_s: float | None = None
    decoder: str = ""
    taggram: Sequence[list[float]] = ()
    code: str = ""
    reason: str = ""
    cure: str | None = None


class Lost(Exception):  # noqa: N818  # no error: the file is given out again
    """What had a file in hand is gone, and nothing is known of the file."""

    def __init__(self, reason: str, ear: int | None = None, died: bool = False) -> None:
        super().__init__(reason, ear, died)
        self.reason = reason
        self.ear = ear
        """Which one was lost, or only did not answer, if one was."""
        self.died = died


# ---------------------------------------------------------------- here


class Caller(Protocol):
    """What carries requests to workers and answers back."""

    def call(self, request: Request, near: str) -> Any:
        """Give it out, to the machine `near` if there is one of that name."""

    def answer(self, call: Any, timeout_s: float) -> Answer | None:
        """None when it is not there yet; Lost; MusictagError when all of the cluster is."""


class Hands:
    """The workers of a cluster, as a scan sees them."""

    def __init__(self, caller: Caller, n: int) -> None:
        self.caller = caller
        self.n = n
        """How many files can be in hand at once."""
        self._n_lost = Counter[str]()

    def hand(self) -> Hand:
        return Hand(self)

    def answered(self, what: str) -> None:
        self._n_lost[what] = 0

    def lost(self, what: str, reason: str) -> None:
        """MusictagError when nothing else becomes of such requests any more: not the files are at
        fault then. Where no ear lives, files are still digested."""
        self._n_lost[what] += 1
        if self._n_lost[what] > TRIES * (self.n + 1):
            raise MusictagError(
                f"the Ray cluster lost all of the last {self._n_lost[what]} tasks ({reason})"
            )


class Hand:
    """A decoder.Decoder for one thread whose files are decoded, and heard, somewhere else."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        self._closed = threading.Event()
        self._digested: tuple[Path, str] | None = None

    def payload_digest(self, path: Path) -> bytes:
        """See audio.payload_digest; AudioError as from a Decoder, and `lost`."""
        answer = self.ask(path, "digest")
        self._digested = path, answer.node
        return answer.digest

    def track(self, path: Path, *, n_segments: int | None = None) -> Track:
        return Track(self, path, n_segments)

    def kill(self) -> None:
        """Give up from any thread; the thread that waits is told by Closed."""
        self._closed.set()

    def __enter__(self) -> Hand:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def ask(
        self,
        path: Path,
        what: Literal["digest", "sound"],
        *,
        n_segments: int | None = None,
        most: int | None = None,
        about: Track | None = None,
    ) -> Answer:
        """The answer, with `about` told what is known even of a bad file."""
        request = Request(what, os.fsencode(os.path.abspath(path)), n_segments, most)  # noqa: PTH100
        near = ""
        if self._digested is not None and self._digested[0] == path:
            near = self._digested[1]  # whose memory still holds the file
        reason = ""
        for attempt in range(TRIES):
            if self._closed.wait(_PAUSES_S[attempt]):
                raise Closed
            try:
                answer = self._wait(self._hands.caller.call(request, near))
            except Lost as lost:
                reason, near = lost.reason, ""
                log.warning("%s: %s (try %d of %d)", path, reason, attempt + 1, TRIES)
                self._hands.lost(what, reason)
                continue
            self._hands.answered(what)
            if about is not None:
                about.duration_s, about.decoder = answer.duration_s, answer.decoder
            if answer.code:
                raise _error(path, answer)
            return answer
        raise AudioError(path, "lost", f"{TRIES} times in a row: {reason}", cure="scan it again")

    def _wait(self, call: Any) -> Answer:
        while not self._closed.is_set():
            answer = self._hands.caller.answer(call, _POLL_S)
            if answer is not None:
                return answer
        raise Closed


class Track:
    """A decoder.Track that is heard where it is decoded."""

    def __init__(self, hand: Hand, path: Path, n_segments: int | None) -> None:
        self._hand = hand
        self._path = path
        self._n_segments = n_segments
        self.duration_s: float | None = None
        self.decoder = ""
        self.taggram: Sequence[list[float]] = ()

    def segments(self, *, most: int | None = None) -> Iterator[NDArray[np.float32]]:
        """None of them: afterwards `taggram` is what was heard. Errors as in audio.Track."""
        answer = self._hand.ask(
            self._path, "sound", n_segments=self._n_segments, most=most, about=self
        )
        self.taggram = answer.taggram
        return iter(())


def _error(path: Path, answer: Answer) -> AudioError:
    """As it would have been raised here. What is here and not there is the machine's fault."""
    if answer.code == "not_found" and path.exists():
        cure = "is its folder shared with that machine, under the same name?"
        return AudioError(path, "not_shared", f"it is not there on {answer.host}", cure=cure)
    reason = answer.reason
    if answer.code in ("permission", "io"):
        reason = f"{reason} on {answer.host}"
    return AudioError(path, answer.code, reason, cure=answer.cure)


# ---------------------------------------------------------------- there


def work(
    request: Request, installed: Sequence[str], ears: Sequence[Any], silent: frozenset[int]
) -> Answer:
    """The task: what is to be known of a file, from the machine it is run on.

    UsageError unless the same is `installed` there: machines may join at any
    time. `ears` is what leads to the actors, without those that are known to be
    `silent`.
    """
    _check_same(socket.gethostname(), installed, _installed()(_LIBRARIES))
    import ray  # noqa: PLC0415

    path = Path(os.fsdecode(request.path))
    answer = Answer(ray.get_runtime_context().get_node_id(), socket.gethostname())
    decoder = _decoder()
    music = decoder.track(path, n_segments=request.n_segments)
    try:
        if request.what == "digest":
            return answer._replace(digest=decoder.payload_digest(path))
        number, ear = _nearest(_known(*ears), answer.node, silent)
        try:
            taggram = _heard(music.segments(most=request.most), ear)
        except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError) as error:
            died = isinstance(error, ray.exceptions.ActorDiedError)
            raise Lost(f"its ear was lost: {_reason(error)}", number, died) from None
        answer = answer._replace(taggram=taggram)
    except FileError as error:
        answer = answer._replace(code=error.code, reason=error.reason, cure=error.cure)
    return answer._replace(duration_s=music.duration_s, decoder=music.decoder)


_LIBRARIES = ("musictag", "av", "soundfile", "audioread")
"""Which decide what is heard in a file, or remembered of one that is broken."""


def _installed() -> Callable[[Sequence[str]], Sequence[str]]:
    """What finds the libraries' versions. Ray sends it as it is, not by its name, because musictag
    may not be there to be imported: it imports all it needs."""

    def versions(libraries: Sequence[str]) -> Sequence[str]:
        import importlib.metadata  # noqa: PLC0415

        def version(library: str) -> str:
            try:
                return importlib.metadata.version(library)
            except importlib.metadata.PackageNotFoundError:
                return "not installed"

        return tuple(map(version, libraries))

    return versions


def _check_same(host: str, here: Sequence[str], there: Sequence[str]) -> None:
    for library, mine, its in zip(_LIBRARIES, here, there, strict=True):
        if mine != its:
            raise UsageError(
                f"--ray: on {host} {library} is {its}, where the scan began {mine}: "
                "every machine of the cluster needs the same"
            )


@functools.cache
def _decoder() -> Decoder:
    """Of this worker: its process stays for the next task and ends with it."""
    return Decoder()


@functools.lru_cache(1)
def _known(ears: Any) -> Mapping[int, tuple[str, Any]]:
    import ray  # noqa: PLC0415

    found: Mapping[int, tuple[str, Any]] = ray.get(ears)
    return found


def _nearest(
    ears: Mapping[int, tuple[str, Any]], here: str, silent: frozenset[int]
) -> tuple[int, Any]:
    """One on this machine, else any; each as likely as the next."""
    numbers = list(ears.keys() - silent or ears.keys())
    number = random.choice([n for n in numbers if ears[n][0] == here] or numbers)
    return number, ears[number][1]


def _heard(segments: Iterator[NDArray[np.float32]], ear: Any) -> list[list[float]]:
    """The segments' probabilities. A file that turns out bad raises as the segments do."""
    import ray  # noqa: PLC0415

    taggram: list[list[float]] = []
    under_way: deque[Any] = deque()
    while together := list(itertools.islice(segments, _TOGETHER)):
        if len(under_way) == _UNDER_WAY:
            taggram += ray.get(under_way.popleft(), timeout=_EAR_ANSWERS_S)
        under_way.append(ear.hear.remote(np.stack(together)))  # (b, N)
        del together
    for rows in under_way:
        taggram += ray.get(rows, timeout=_EAR_ANSWERS_S)
    return taggram


class Listening:
    """The actor: a model in memory, and what several tasks send it heard in one batch.

    What comes while a batch is heard makes up the next one, so batches are
    full when there is much to do and nobody waits when there is not.
    """

    def __init__(
        self, model: tuple[Any], device: str, batch_size: int | None, n_threads: int
    ) -> None:
        # One thread, because torch's setting of threads holds for the thread that makes it.
        self._thread = ThreadPoolExecutor(1)
        self._load = functools.partial(_load, *model, device, batch_size, n_threads)
        self._ear: Ear | CpuEar | None = None
        self._waiting: deque[tuple[NDArray[np.float32], asyncio.Future[list[list[float]]]]]
        self._waiting = deque()
        self._at_work: asyncio.Task[None] | None = None

    async def ready(self) -> str:
        """The name of the machine it is on, when the model is in memory; errors as in `load`."""
        import ray  # noqa: PLC0415

        await asyncio.get_running_loop().run_in_executor(self._thread, self._loaded)
        node: str = ray.get_runtime_context().get_node_id()
        return node

    async def hear(self, segments: NDArray[np.float32]) -> list[list[float]]:
        """(b, N) samples -> (b, K) probabilities."""
        heard: asyncio.Future[list[list[float]]] = asyncio.get_running_loop().create_future()
        self._waiting.append((segments, heard))
        if self._at_work is None:
            self._at_work = asyncio.create_task(self._hear_all())
        return await heard

    async def _hear_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            together = [self._waiting.popleft()]
            try:
                ear = await loop.run_in_executor(self._thread, self._loaded)
                n = len(together[0][0])
                while self._waiting and (n := n + len(self._waiting[0][0])) <= ear.batch_size:
                    together.append(self._waiting.popleft())
                parts = [part for part, _ in together]
                rows = await loop.run_in_executor(self._thread, self._rows, parts)
            except Exception as error:  # the tasks' to know
                for _, heard in together:
                    if not heard.done():
                        heard.set_exception(error)
            else:
                for part, heard in together:
                    if not heard.done():  # nobody waits for it any more
                        heard.set_result(rows[: len(part)])
                    del rows[: len(part)]
        self._at_work = None

    def _loaded(self) -> Ear | CpuEar:
        if self._ear is None:
            self._ear = self._load()
        return self._ear

    def _rows(self, parts: Sequence[NDArray[np.float32]]) -> list[list[float]]:
        rows: list[list[float]] = self._loaded().hear(np.concatenate(parts)).tolist()
        return rows


def _load(model: Any, device: str, batch_size: int | None, n_threads: int) -> Ear | CpuEar:
    """The model, which need not be on this machine's disk."""
    import ray  # noqa: PLC0415

    from musictag.hearing import ear_torch as ear  # noqa: PLC0415
    from musictag.hearing.checkpoint import WEIGHTS  # noqa: PLC0415

    ear.find_device(device)
    checkpoint, weights = ray.get(model)
    with tempfile.TemporaryDirectory(prefix="musictag-") as directory:
        Path(directory, WEIGHTS).write_bytes(weights)
        here: Checkpoint = replace(checkpoint, directory=Path(directory))
        return here.load(device, batch_size=batch_size, n_cores=n_threads)


# ---------------------------------------------------------------- Ray


@contextlib.contextmanager
def connected(address: str, checkpoint: Checkpoint, settings: Settings) -> Iterator[Hands]:
    """The workers of the cluster at an address (HOST:PORT, auto, local), until the block is left.

    Without an address it is the one that RAY_ADDRESS names or that this machine
    is part of, and else one of this machine alone, which ends with the block.
    UsageError when there is none, or its machines are not fit for this.
    """
    ray = _imported()
    address = _whereabouts(address)
    if settings.device not in ("auto", "cpu", "cuda"):
        raise UsageError(
            f"--device {settings.device}: on a cluster it is auto, cpu or cuda (each GPU is used)"
        )
    with _quiet():
        try:
            _join(ray, address, settings.jobs)
            nodes = _fit(
                ray,
                [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")],
            )
            n_gpus = int(ray.cluster_resources().get("GPU", 0)) if settings.device != "cpu" else 0
            if settings.device == "cuda" and not n_gpus:
                raise UsageError("--device cuda: the cluster has no GPU")
            n_cpus = sum(int(node["Resources"]["CPU"]) for node in nodes)
            n = settings.jobs or min(MOST_JOBS, n_cpus + max(1, n_cpus // 4))
            log.info("a Ray cluster: %d machines, %d CPUs, %d GPUs", len(nodes), n_cpus, n_gpus)
            yield Hands(_Calls(ray, _Ears(ray, checkpoint, settings, nodes, n_gpus)), n)
        except _Gone:
            raise  # Ray would end the program on the spot if it were told to shut down now
        except BaseException:
            ray.shutdown()
            raise
        ray.shutdown()


def _imported() -> Any:
    # Nothing calls home because of us, and what Ray remarks is not for our standard error.
    for name, value in {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_ENABLE_AUTO_CONNECT": "0",  # or a thread that comes late would begin a new cluster
    }.items():
        os.environ.setdefault(name, value)
    try:
        import ray  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(f"--ray needs Ray: pip install 'musictag[ray]' ({error})") from error
    return ray


def _whereabouts(address: str) -> str:
    """HOST:PORT, auto or local; nothing where Ray may look for itself, and begin one if it must.

    UsageError unless a Ray head may be there: Ray itself would wait for minutes.
    """
    named = os.environ.get("RAY_ADDRESS", "auto") if address in ("", "auto") else address
    if named == "auto":
        latest = _latest()
        if not latest:
            return address
        try:
            return _checked(latest)
        except UsageError:
            if address:
                raise
            return "local"  # it has ended without saying so
    return named if named == "local" else _checked(named)


def _latest() -> str:
    """The cluster of which this machine became part last, where Ray notes that."""
    folder = Path(os.environ.get("RAY_TMPDIR", "/tmp"))
    try:
        return (folder / "ray" / "ray_current_cluster").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _checked(address: str) -> str:
    if address.startswith("ray://"):
        raise UsageError(
            f"--ray {address}: run musictag on one of the cluster's machines, with --ray auto"
        )
    try:
        with _knock(address, _REACHED_S) as connection:
            if os.environ.get("RAY_USE_TLS", "0") == "0" and not _speaks_grpc(connection):
                raise UsageError(f"--ray {address}: it is not Ray that answers there")
    except ValueError:
        raise UsageError(f"--ray {address}: expected HOST:PORT, auto or local") from None
    except OSError as error:
        raise UsageError(f"--ray {address}: nobody answers ({error.strerror or error})") from None
    return address


def _knock(address: str, timeout_s: float) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout_s)


def _speaks_grpc(connection: socket.socket) -> bool:
    """Whether HTTP/2 is answered by HTTP/2, with a frame of settings first (RFC 9113, 3.4)."""
    settings = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings)
    return connection.recv(9)[3:4] == settings[3:4]


def _join(ray: Any, address: str, jobs: int | None) -> None:
    """Become part of the cluster; Ctrl-C and a kill stay ours to handle."""
    handler = signal.getsignal(signal.SIGTERM)
    # Ray notes down the command line, and fails where a name in it is not UTF-8.
    with contextlib.suppress(AttributeError):
        ray._private.utils.get_entrypoint_name = lambda: "musictag"
    options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    try:
        if not address:
            with contextlib.suppress(ConnectionError):
                ray.init(address="auto", **options)
                return
        if address in ("", "local"):
            options |= {"address": "local", "num_cpus": jobs, "include_dashboard": False}
        else:
            options["address"] = address
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        where = f"--ray {address}" if address else "--ray"
        raise UsageError(f"{where}: no Ray cluster can be used: {_reason(error)}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Ray's remarks are not ours: standard output is for results, and it prints there too. What
    matters comes as an exception, the rest is in its own log files."""
    logger = logging.getLogger("ray")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(_Prints()):
            yield
    finally:
        logger.setLevel(level)


class _Prints(io.TextIOBase):
    def write(self, text: str) -> int:
        if text.strip():
            log.debug("ray: %s", text.rstrip())
        return len(text)


def _fit(ray: Any, nodes: Sequence[Any]) -> list[Any]:
    """The machines that work; UsageError unless each of them decodes as this one does."""
    here = _installed()(_LIBRARIES)
    affine = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    asked = [
        ray.remote(_installed())
        .options(num_cpus=0, scheduling_strategy=affine(node["NodeID"], soft=False))
        .remote(_LIBRARIES)
        for node in nodes
    ]
    fit = []
    for node, answer in zip(nodes, asked, strict=True):
        host = node["NodeManagerHostname"]
        try:
            there = ray.get(answer, timeout=_EAR_STARTS_S)
        except ray.exceptions.RayError as error:  # it has just died, or is about to
            log.warning("%s is left out: %s", host, _reason(error))
            continue
        _check_same(host, here, there)
        fit.append(node)
    if not fit:
        raise UsageError("--ray: none of the cluster's machines runs anything")
    return fit


class _Ears:
    """The actors, started when there is something to hear; who dies is replaced."""

    def __init__(
        self,
        ray: Any,
        checkpoint: Checkpoint,
        settings: Settings,
        nodes: Sequence[Any],
        n_gpus: int,
    ) -> None:
        self._ray = ray
        self._checkpoint = checkpoint
        self._settings = settings
        self._nodes = nodes
        self._n_gpus = n_gpus
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._model: Any = None
        self._actors: dict[int, _Actor] = {}
        self._silent: dict[int, Any] = {}
        self._all: Any = None

    def all(self) -> Any:
        """What leads to them, in the cluster's memory: number → machine, actor."""
        with self._lock:
            if self._all is None:
                if not self._actors:
                    self._start()
                self._all = self._ray.put({n: (a.node, a.actor) for n, a in self._actors.items()})
            return self._all

    def silent(self) -> frozenset[int]:
        """Those that did not answer, and have not been heard of since."""
        with self._lock:
            for number, call in list(self._silent.items()):
                if self._ray.wait([call], timeout=0)[0]:
                    del self._silent[number]
            return frozenset(self._silent)

    def lost(self, number: int, *, died: bool) -> None:
        """The first to say so has it replaced, or asked for a sign of life."""
        with self._lock:
            if number not in self._actors:
                return
            if died:
                old = self._actors.pop(number)
                self._silent.pop(number, None)
                self._actors[next(self._numbers)] = _Actor(old.begin(), old.begin, old.node)
                self._all = None
            elif number not in self._silent:
                self._silent[number] = self._actors[number].actor.ready.remote()

    def _start(self) -> None:
        """As many as there are GPUs, or on each machine one for so many cores."""
        ray = self._ray
        affine = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        self._model = ray.put((self._checkpoint, self._checkpoint.weights()))
        device = "cuda" if self._n_gpus else "cpu"
        kind = ray.remote(num_cpus=0)(Listening)
        # In a tuple it stays what leads to the model; Ray would send the model itself.
        about = (self._model,), device, self._settings.batch_size

        def begin(options: dict[str, Any], n_threads: int) -> Any:
            return kind.options(**options).remote(*about, n_threads)

        begins = [functools.partial(begin, {"num_gpus": 1}, 1) for _ in range(self._n_gpus)]
        for node in self._nodes if not begins else ():
            options = {"scheduling_strategy": affine(node["NodeID"], soft=True)}
            n_cpus = int(node["Resources"]["CPU"])
            sizes = [min(_EAR_CORES, n_cpus - n) for n in range(0, n_cpus, _EAR_CORES)]
            begins += [functools.partial(begin, options, size) for size in sizes]
        actors = [_Actor(begin(), begin) for begin in begins]
        calls = [actor.actor.ready.remote() for actor in actors]
        ready = self._ready(calls)
        for actor, call in zip(actors, calls, strict=True):
            if call in ready:
                self._actors[next(self._numbers)] = replace(actor, node=ready[call])
        n = len(self._actors)
        log.info("hearing with the model %s on %s (%d ears)", self._checkpoint.name, device, n)

    def _ready(self, calls: Sequence[Any]) -> dict[Any, str]:
        """Call → machine, of all or, when one takes much longer than the first, those there are."""
        ray = self._ray
        begun_s = time.monotonic()
        if not ray.wait(calls, num_returns=1, timeout=_EAR_STARTS_S)[0]:
            raise MusictagError(
                f"no model could be started on the cluster within {_EAR_STARTS_S} s (are its "
                "GPUs taken?)"
            )
        more_s = 10 + 2 * (time.monotonic() - begun_s)
        ready, late = ray.wait(calls, num_returns=len(calls), timeout=more_s)
        if late:
            log.warning("%d of %d models are not waited for", len(late), len(calls))
        answers = {call: self._begun(call) for call in ready}
        found = {call: node for call, node in answers.items() if isinstance(node, str)}
        for why in (error for error in answers.values() if isinstance(error, MusictagError)):
            if not found:
                raise why
            log.warning("one of %d models is left out: %s", len(calls), why)
        return found

    def _begun(self, call: Any) -> str | MusictagError:
        """The machine that an ear is on, or why it did not begin."""
        errors = self._ray.exceptions
        try:
            node: str = self._ray.get(call)
        except errors.RayTaskError as error:
            if not isinstance(error.cause, MusictagError):
                raise
            return error.cause
        except errors.RayError as error:
            return MusictagError(f"no model could be started: {_reason(error)}")
        return node


@dataclass(frozen=True)
class _Actor:
    actor: Any
    begin: Callable[[], Any]
    """What makes another one like it."""
    node: str = ""


class _Gone(MusictagError):  # noqa: N818
    """There is no cluster any more."""


class _Calls:
    """A Caller by Ray."""

    def __init__(self, ray: Any, ears: _Ears) -> None:
        self._ray = ray
        self._ears = ears
        # What Ray would try again by itself, nobody would count.
        self._work = ray.remote(num_cpus=1, max_retries=0)(work)
        self._installed = _installed()(_LIBRARIES)
        self._head = ray.get_runtime_context().gcs_address
        self._knocking = threading.Lock()
        self._knocked_s = self._seen_s = time.monotonic()

    def call(self, request: Request, near: str) -> Any:
        affine = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        task = self._work
        if near:
            task = task.options(scheduling_strategy=affine(near, soft=True))
        here = self._installed
        if request.what == "digest":
            return task.remote(request, here, (), frozenset())
        # In a tuple it stays what leads to the ears; Ray would send the ears themselves.
        return task.remote(request, here, (self._ears.all(),), self._ears.silent())

    def answer(self, call: Any, timeout_s: float) -> Answer | None:
        errors = self._ray.exceptions
        self._check_head()
        if not self._ray.wait([call], timeout=timeout_s)[0]:
            return None
        try:
            answer: Answer = self._ray.get(call)
        except errors.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, Lost) and cause.ear is not None:
                self._ears.lost(cause.ear, died=cause.died)
            if isinstance(cause, (Lost, MusictagError)):
                raise cause from None
            if isinstance(cause, errors.RayError) and not isinstance(cause, errors.RayTaskError):
                # what the task had somewhere else went away
                raise Lost(f"its worker was lost: {_reason(cause)}") from None
            raise
        except errors.LocalRayletDiedError as error:
            raise _Gone(f"the Ray cluster is gone: {_reason(error)}") from None
        except errors.RayError as error:
            raise Lost(f"its worker was lost: {_reason(error)}") from None
        return answer

    def _check_head(self) -> None:
        """MusictagError when the cluster has had no head for a while."""
        if not self._knocking.acquire(blocking=False):
            return
        try:
            now_s = time.monotonic()
            if now_s - self._knocked_s < _PULSE_S:
                return
            self._knocked_s = now_s
            try:
                _knock(self._head, _PULSE_S).close()
                self._seen_s = now_s
            except OSError as error:
                if now_s - self._seen_s > _GONE_S:
                    raise _Gone(
                        f"the Ray cluster is gone: nobody answers at {self._head} "
                        f"({error.strerror or error})"
                    ) from None
        finally:
            self._knocking.release()


def _reason(error: BaseException) -> str:
    """The first sentence: Ray explains at length."""
    text = str(error).strip() or type(error).__name__
    return re.split(r"\n|(?<=\.)\s", text, maxsplit=1)[0].rstrip(".")
