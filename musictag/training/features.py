"""Front-end features, computed once and kept on disk: examples -> (C, T) float16.

    DIRECTORY/<front end>/index.json         what is where, and from which audio
    DIRECTORY/<front end>/v000-00000-….npy  (≤ 128, C, T) float16: one shard
    DIRECTORY/<front end>/noise.npy         (N_NOISES, C, T) float16: of `augment.noises`

Variant 0 of an example is its plain sound; only training examples have further
`variants`. A shard is written whole and renamed into place, so a run that is
killed loses one shard's work. A shard is reused while front end, examples and
audio are the same. Where there is no audio at all (features copied to a machine
that only trains) the index is trusted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from musictag.disk import replacing
from musictag.errors import DataSetError, FileError
from musictag.hearing import frontend
from musictag.hearing.frontend import Settings
from musictag.training import variants
from musictag.training.augment import N_BANDS, band_gains, noises
from musictag.training.dataset import DataSet, Example
from musictag.training.reading import read_ahead
from musictag.training.variants import ONE, Variants

SHARD_SIZE = 128
NOISE, N_NOISES = "noise.npy", 64
FORMAT = 2  # of the files here; also to be raised when front-end arithmetic or `variants` change
Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Shard:
    """Features of some examples in one file. `audio` holds digests, None without audio."""

    file: str
    variant: int
    ids: tuple[str, ...]
    audio: tuple[str | None, ...]
    broken: Mapping[str, str]  # id → why its row is empty
    partners: tuple[str, ...] = ()  # ids that these are mixed with, in a mixed variant

    def holds(self, wanted: Shard) -> bool:
        """Whether these are the features that are wanted; absent audio counts as unchanged."""
        same = ("variant", "ids", "partners")
        return all(getattr(self, name) == getattr(wanted, name) for name in same) and all(
            now is None or then == now for then, now in zip(self.audio, wanted.audio, strict=True)
        )

    @property
    def needed(self) -> list[str]:
        """The examples whose samples it takes, in the order in which it takes them."""
        if not self.partners:
            return list(self.ids)
        return [id_ for pair in zip(self.ids, self.partners, strict=True) for id_ in pair]


class Features:
    """The features of a data set, memory-mapped."""

    def __init__(self, directory: Path, shards: Iterable[Shard], responses: Tensor) -> None:
        self.directory = directory
        self.responses = responses  # (1 + N_BANDS, C), see `augment.turn_knobs`
        self.broken: dict[str, str] = {}
        self.partners: dict[tuple[int, str], str] = {}  # (variant, id) → id it is mixed with
        self._places: dict[tuple[int, str], tuple[str, int]] = {}
        for shard in shards:
            self.broken.update(shard.broken)
            for row, example in enumerate(shard.ids):
                self._places[shard.variant, example] = (shard.file, row)
                if shard.partners:
                    self.partners[shard.variant, example] = shard.partners[row]
        self.variants = tuple(dict.fromkeys(variant for variant, _ in self._places))
        any_file, _ = next(iter(self._places.values()))
        _, self.n_coefficients, self.n_frames = self._open(any_file).shape

    def read(self, ids: Sequence[str], variants: Sequence[int] | None = None) -> Tensor:
        """(n, C, T) float16, each example in its variant; by default the plain one."""
        features = np.empty((len(ids), self.n_coefficients, self.n_frames), dtype=np.float16)
        rows: dict[str, list[tuple[int, int]]] = {}  # file → (row there, row here)
        for i, example in enumerate(ids):
            file, row = self._places[variants[i] if variants else 0, example]
            rows.setdefault(file, []).append((row, i))
        for file, pairs in rows.items():  # open no longer than needed: there may be thousands
            array = self._open(file)
            for there, here in pairs:
                features[here] = array[there]
        return torch.from_numpy(features)

    def noise(self) -> Tensor | None:
        """(N_NOISES, C, T) float16, or None if it was not computed."""
        if not (self.directory / NOISE).exists():
            return None
        return torch.from_numpy(np.array(self._open(NOISE)))

    def _open(self, file: str) -> NDArray[np.float16]:
        array: NDArray[np.float16] = np.load(self.directory / file, mmap_mode="r")
        return array


def prepare(
    dataset: DataSet,
    front_end: Settings,
    directory: Path,
    *,
    kinds: Variants = ONE,
    device: torch.device | str = "cpu",
    workers: int | None = None,
    tell: Tell | None = None,
) -> Features:
    """Compute the features that are missing and open them all.

    Undecodable examples are in `Features.broken`, with the reason, and nowhere
    else. `tell` is called with the number of rows done and their total.
    """
    directory = place(directory, front_end)
    directory.mkdir(parents=True, exist_ok=True)
    index = _Index.open(directory, front_end)
    wanted = _shards(dataset, kinds, workers)
    todo = [shard for shard in wanted if index.find(shard) is None]
    audible = any(audio is not None for shard in wanted for audio in shard.audio)
    lacks_noise = audible and not (directory / NOISE).exists()
    if todo or lacks_noise:
        executor = frontend.in_torch(front_end).to(device)
        if lacks_noise:
            _compute_noise(front_end, executor, directory, device)
        if not index.responses.numel():
            index.responses = responses(front_end, executor, device)
        examples = {example.id: example for example in dataset.examples}
        needed = [examples[id_] for shard in todo for id_ in shard.needed]
        reader = read_ahead(needed, workers, front_end.n_samples)
        total = sum(len(shard.ids) for shard in wanted)
        left = sum(len(shard.ids) for shard in todo)
        for shard in todo:
            index.add(_compute(shard, reader, executor, directory, torch.device(device)))
            left -= len(shard.ids)
            if tell:
                tell(total - left, total)
    features = Features(
        directory, [found for shard in wanted if (found := index.find(shard))], index.responses
    )
    if len(features.broken) == len(dataset.examples):
        raise DataSetError(f"no audio could be read, first: {next(iter(features.broken.values()))}")
    return features


@torch.inference_mode()
def _compute(
    shard: Shard,
    reader: Iterator[NDArray[np.float32] | FileError],
    executor: Any,
    directory: Path,
    device: torch.device,
) -> Shard:
    """Take the samples of the shard's examples from the reader and write its file."""
    rows = np.zeros((len(shard.ids), executor.n_coefficients, executor.n_frames), dtype=np.float16)
    broken: dict[str, str] = {}
    batch_size = 8 if device.type == "cpu" else 32
    for first in range(0, len(shard.ids), batch_size):
        batch: dict[int, Tensor] = {}
        for row in range(first, min(first + batch_size, len(shard.ids))):
            samples = next(reader)
            other = next(reader) if shard.partners else None
            if isinstance(samples, FileError):
                broken[shard.ids[row]] = f"{samples.path.name}: {samples.message}"
                continue
            with_ = torch.from_numpy(other).to(device) if isinstance(other, np.ndarray) else None
            plain = torch.from_numpy(samples).to(device)
            batch[row] = variants.sound(shard.variant, shard.ids[row], plain, with_)
        if batch:
            features = executor(torch.stack(list(batch.values())))
            rows[list(batch)] = features.half().cpu().numpy()
    if not np.isfinite(rows).all():
        raise ValueError(f"{shard.file}: features that float16 cannot hold")
    with replacing(directory / shard.file) as temporary, temporary.open("wb") as file:
        np.save(file, rows)
    return replace(shard, broken=broken)


@torch.inference_mode()
def _compute_noise(
    front_end: Settings, executor: Any, directory: Path, device: torch.device | str
) -> None:
    parts = torch.split(noises(N_NOISES, front_end.n_samples), 8)
    rows = torch.cat([executor(samples.to(device)).half().cpu() for samples in parts])
    with replacing(directory / NOISE) as temporary, temporary.open("wb") as file:
        np.save(file, rows.numpy())


@torch.no_grad()
def responses(front_end: Settings, executor: Any, device: torch.device | str = "cpu") -> Tensor:
    """(1 + N_BANDS, C): how each coefficient changes for 1 dB of gain, overall and per octave band.

    Measured on noise rather than derived, so that it holds for every
    normalisation with a logarithm. Without a logarithm a gain is no addition,
    and all of it is 0.
    """
    if not front_end.is_logarithmic:
        return torch.zeros(1 + N_BANDS, executor.n_coefficients)
    n = front_end.n_samples
    noise = torch.randn(n, generator=torch.Generator().manual_seed(0)) * 0.1
    louder = torch.fft.irfft(torch.fft.rfft(noise) * band_gains(n), n=n)  # (1 + N_BANDS, N)
    features: Tensor = executor(torch.cat([noise[None], louder]).to(device)).cpu()
    return torch.mean(features[1:] - features[:1], dim=2)


class _Index:
    """The list of shards, index.json. A change is on disk when `add` returns."""

    def __init__(self, path: Path, front_end: Settings) -> None:
        self.path = path
        self.front_end = front_end
        self.shards: list[Shard] = []
        self.responses = torch.empty(0)

    @classmethod
    def open(cls, directory: Path, front_end: Settings) -> _Index:
        index = cls(directory / "index.json", front_end)
        if index.path.exists():
            content = json.loads(index.path.read_text(encoding="utf-8"))
            index.shards = [
                replace(
                    Shard(**shard),
                    ids=tuple(shard["ids"]),
                    audio=tuple(shard["audio"]),
                    partners=tuple(shard.get("partners", ())),
                )
                for shard in content["shards"]
            ]
            index.responses = torch.tensor(content["responses"])
        return index

    def find(self, wanted: Shard) -> Shard | None:
        for shard in self.shards:
            if shard.holds(wanted) and (self.path.parent / shard.file).exists():
                return shard
        return None

    def add(self, shard: Shard) -> None:
        self.shards = [other for other in self.shards if other.file != shard.file] + [shard]
        content = {
            "format": FORMAT,
            "front_end": asdict(self.front_end),
            "responses": self.responses.tolist(),
            "shards": [asdict(shard) for shard in self.shards],
        }
        with replacing(self.path) as temporary:
            temporary.write_text(json.dumps(content), encoding="utf-8")


def place(directory: Path, front_end: Settings) -> Path:
    """The folder in `directory` for the features of this front end."""
    settings = json.dumps([FORMAT, asdict(front_end)], sort_keys=True)
    digest = hashlib.sha256(settings.encode()).hexdigest()[:8]
    return directory / f"{front_end.label}-{digest}"


def _shards(dataset: DataSet, kinds: Variants, workers: int | None) -> list[Shard]:
    """The shards that are wanted, with digests of their audio."""
    with ThreadPoolExecutor(workers) as pool:
        audio = dict(
            zip(
                (example.id for example in dataset.examples),
                pool.map(_audio_digest, dataset.examples),
                strict=True,
            )
        )
    shards = []
    training = [example.id for example in dataset.examples if example.split == "train"]
    for variant in kinds.numbers:
        ids = training if variant else list(audio)
        partner = variants.partners(ids, variant) if variants.is_mixed(variant) else {}
        for number, first in enumerate(range(0, len(ids), SHARD_SIZE)):
            some = tuple(ids[first : first + SHARD_SIZE])
            which = hashlib.sha256(json.dumps(some).encode()).hexdigest()[:8]
            file = f"v{variant:03d}-{number:05d}-{which}.npy"
            others = tuple(partner[id_] for id_ in some) if partner else ()
            digests = tuple(_joined(audio, id_, partner.get(id_)) for id_ in some)
            shards.append(Shard(file, variant, some, digests, {}, others))
    return shards


def _joined(audio: Mapping[str, str | None], id_: str, other: str | None) -> str | None:
    """Identity of an example's audio, or of both where it is mixed with another."""
    own = audio[id_]
    if other is None or own is None:
        return own
    return f"{own}+{audio[other]}" if audio[other] is not None else None


def _audio_digest(example: Example) -> str | None:
    """Digest of the stretch of audio; None if the file cannot be read."""
    try:
        content = example.path.read_bytes()
    except OSError:
        return None
    stretch = f"{example.start_s}:{example.duration_s}:".encode()
    return hashlib.sha256(stretch + content).hexdigest()[:16]
