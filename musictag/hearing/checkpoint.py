"""A directory ↔ everything a model needs: front end, weights, vocabulary, thresholds.

    models/<name>/
      config.json            what is below, as plain JSON
      weights.safetensors    the network's tensors (huggingface.co/docs/safetensors)
      README.md              the model card, for people

Nothing in it can run: no pickle, no code. A checkpoint is described by its
small config.json alone; `Checkpoint.load` brings the model into memory.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from musictag.disk import replacing
from musictag.errors import CheckpointError, system_trouble
from musictag.hearing import places
from musictag.vocabulary import MOST_TAGS, Calibration, Vocabulary, magnatagatune, parse

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from musictag.hearing.ear import Ear
    from musictag.hearing.frontend import Settings
    from musictag.hearing.kernels.choice import Kernels
    from musictag.hearing.network.architecture import AnyArchitecture
    from musictag.hearing.network.base import Network
    from musictag.hearing.own import OwnWords

FORMAT = 2
CONFIG = places.CONFIG
WEIGHTS = "weights.safetensors"
DEFAULT = "listener-5l-512h-gru"
"""The model that comes with the program."""

_READABLE = (1, FORMAT)
"""Formats that can be read. Models of format 1 have no vocabulary of their own."""
_LARGEST_CONFIG = 16 * 2**20
_LARGEST_WEIGHTS = 2**32
_STEEPEST = 100.0
"""Largest slope and offset of a calibration."""
_Typed = TypeVar("_Typed")


@dataclass(frozen=True)
class Checkpoint:
    """A model on disk, described by its config.json; the weights are not loaded yet."""

    name: str
    directory: Path
    front_end: Mapping[str, Any]  # settings of a kind in frontend.KINDS
    architecture: Mapping[str, Any]  # sizes of a kind in architecture.KINDS
    tags: tuple[str, ...]
    vocabulary: Vocabulary  # what the tags mean, with thresholds and calibration
    weights_sha256: str
    training: Mapping[str, Any]  # the run that made it, for people
    base: Checkpoint | None = None  # the model that hears, of one of one's own words (see `own`)
    own_tags: tuple[str, ...] = ()  # of such a model the tags that its base has not heard

    @cached_property
    def digest(self) -> str:
        """Identity of all that decides a tag's probability; the vocabulary does not."""
        decisive: list[Any] = [self.front_end, self.architecture, self.tags, self.weights_sha256]
        if self.base is not None:
            decisive.append(self.base.digest)
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()

    @property
    def thresholds(self) -> dict[str, float]:
        """Shown value → probability from which it is chosen."""
        return self.vocabulary.thresholds

    @property
    def heard_by(self) -> Checkpoint:
        """The model whose network hears: its base, or the model itself."""
        return self if self.base is None else self.base

    def own_words(self) -> OwnWords | None:
        """What turns the base's hearing into one's own words; None without a base. Errors as in
        `load`."""
        if self.base is None:
            return None
        from musictag.hearing import own  # noqa: PLC0415

        return own.own_words(self, self.base)

    def load(
        self,
        device: torch.device | str = "cpu",
        *,
        batch_size: int | None = None,
        n_cores: int | None = None,
        kernels: Kernels | None = None,
    ) -> Ear:
        """The model in memory, ready to hear.

        `batch_size`: segments at once; by default as many as suit the device. `n_cores`: of a CPU,
        by default all; torch's own threads stay as they are. `kernels`: what a CPU computes with,
        by default what suits it.

        Raises CheckpointError when the weights are not those that config.json names, or do not fit
        its architecture, DeviceError when the device has no room for them.
        """
        from musictag.hearing import loading  # noqa: PLC0415

        ear = loading.load(
            self.heard_by, device, batch_size=batch_size, n_cores=n_cores, kernels=kernels
        )
        words = self.own_words()
        if words is None:
            return ear
        from musictag.hearing.own import OwnEar  # noqa: PLC0415

        return OwnEar(ear, words)

    def sizes(self) -> AnyArchitecture:
        """The network's architecture, checked; CheckpointError if it makes no sense."""
        from musictag.hearing.network import architecture  # noqa: PLC0415

        try:
            sizes = architecture.architecture(self.architecture)
        except ValueError as error:
            raise CheckpointError(f"{self.directory / CONFIG}: {error}") from error
        if len(self.tags) != sizes.n_tags:
            raise CheckpointError(
                f"{self.directory / CONFIG}: {len(self.tags)} tags, the network has {sizes.n_tags}"
            )
        return sizes

    def network(self) -> Network:
        """The network alone, in torch, for callers that have coefficients; errors as in `load`."""
        import torch  # noqa: PLC0415

        from musictag.hearing.network.torch import make  # noqa: PLC0415

        with torch.device("meta"):  # nothing is allocated for what is replaced at once
            model = make(self.sizes())
        tensors = {name: torch.from_numpy(array) for name, array in self.arrays().items()}
        model.load_state_dict(tensors, assign=True)
        return model.eval()

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The network's weights by their names in torch; errors as in `load`."""
        return self.tensors(self._shapes())

    def tensors(self, wanted: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[np.float32]]:
        """What is in the weights file: tensors of these names and shapes; errors as in `load`."""
        import numpy as np  # noqa: PLC0415
        from safetensors import SafetensorError  # noqa: PLC0415
        from safetensors.numpy import load  # noqa: PLC0415

        content = self._verified_weights(2**20 + 8 * sum(map(math.prod, wanted.values())))
        try:
            arrays = load(content)
        except (SafetensorError, KeyError, TypeError) as error:  # a kind of number NumPy lacks
            raise CheckpointError(f"{self.directory / WEIGHTS}: {error}") from error
        path = self.directory / WEIGHTS
        _check_shapes(path, arrays, wanted)
        weights = {name: array.astype(np.float32) for name, array in arrays.items()}
        for name, array in weights.items():
            if not np.isfinite(array).all():
                raise CheckpointError(f"{path}: {name} contains NaN or infinity")
        return weights

    def _shapes(self) -> Mapping[str, tuple[int, ...]]:
        """What `arrays` must give. torch is imported only for kinds that are heard with it."""
        sizes = self.sizes()
        if sizes.shapes is not None:
            return sizes.shapes
        from musictag.hearing.network.torch import shapes  # noqa: PLC0415

        return shapes(sizes)

    def weights(self) -> bytes:
        """The bytes of the weights file, to send to another machine; errors as in `load`."""
        return self._verified_weights(_LARGEST_WEIGHTS)

    def _verified_weights(self, most: int) -> bytes:
        path = self.directory / WEIGHTS
        content = _read(path, most, "far too large for its network")
        if hashlib.sha256(content).hexdigest() != self.weights_sha256:
            raise CheckpointError(
                f"{path}: not the weights that {CONFIG} names (damaged, or from another model)"
            )
        return content


def find(name_or_directory: str | os.PathLike[str] | None = None) -> Checkpoint:
    """A bundled model by name, one of the user's own by name, or any checkpoint directory, in this
    order; the default model for None.

    Raises CheckpointError, naming the models that there are, when there is no such model.
    """
    return read(directory_of(os.fspath(name_or_directory or DEFAULT)))


def directory_of(wanted: str) -> Path:
    """The directory that a name or the path of a directory means; errors as in `find`."""
    directory = places.of_name(wanted)
    if directory is not None:
        return directory
    if Path(wanted, CONFIG).is_file():
        return Path(wanted)
    raise CheckpointError(
        f"{wanted}: neither a directory with a {CONFIG} nor the name of a model "
        f"({', '.join(names()) or 'none is installed'})"
    )


def packaged() -> list[str]:
    """Names of the models that come with musictag, in alphabetical order."""
    return sorted({name for parent in places.bundled() for name in places.names_in(parent)})


def names() -> list[str]:
    """The same, and behind them the names of the user's own models."""
    bundled = packaged()
    return bundled + [name for name in places.names_in(places.own()) if name not in bundled]


def read(directory: Path, *, may_have_base: bool = True) -> Checkpoint:
    """Describe the checkpoint in a directory, from its config.json alone.

    If it names a base, that one must be here, and have none itself. Raises CheckpointError when the
    file is missing, damaged or not a checkpoint's.
    """
    path = directory / CONFIG
    content = _read(path, _LARGEST_CONFIG, "far too large to be a model's settings")
    try:
        config = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not JSON ({error})") from error
    if not isinstance(config, dict) or config.get("format") not in _READABLE:
        formats = " or ".join(map(str, _READABLE))
        raise CheckpointError(f"{path}: not a musictag checkpoint of format {formats}")
    try:
        tags = _distinct(_typed(tag, str) for tag in _typed(config["tags"], list))
        if "base" in config and may_have_base:
            return _read_own(directory, config, tags)
        found = Checkpoint(
            name=_typed(config["name"], str),
            directory=directory,
            front_end=_typed(config["front_end"], dict),
            architecture=_typed(config["architecture"], dict),
            tags=tags,
            vocabulary=_vocabulary(config, tags),
            weights_sha256=_typed(config["weights_sha256"], str),
            training=_typed(config.get("training", {}), dict),
        )
        _ = found.digest  # while nesting that is too deep can still be said to be the file's
    except KeyError as error:
        raise CheckpointError(f"{path}: {error.args[0]} is missing") from error
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise CheckpointError(f"{path}: {error}") from error
    return found


def _read_own(directory: Path, config: Mapping[str, Any], tags: tuple[str, ...]) -> Checkpoint:
    """A model of one's own words."""
    from musictag.hearing import own  # noqa: PLC0415

    described = _typed(config["base"], dict)
    base = own.find_base(directory, described)
    vocabulary = _vocabulary(config, tags)
    if _typed(described.get("values", True), bool):
        vocabulary = own.beside(vocabulary, base.vocabulary)
    return Checkpoint(
        name=_typed(config["name"], str),
        directory=directory,
        front_end=base.front_end,
        architecture=base.architecture,
        tags=(*tags, *(tag for tag in base.tags if tag in vocabulary.tags and tag not in tags)),
        vocabulary=vocabulary,
        weights_sha256=_typed(config["weights_sha256"], str),
        training=_typed(config.get("training", {}), dict),
        base=base,
        own_tags=tags,
    )


def _read(path: Path, most: int, too_large: str) -> bytes:
    """The content of a regular file of at most `most` bytes; a link to /dev/zero has no end."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise CheckpointError(f"{path}: not a regular file")
        if about.st_size > most:
            raise CheckpointError(f"{path}: {too_large}")
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: {system_trouble(error).reason}") from error


def save(
    directory: Path,
    model: Network,
    *,
    front_end: Settings,
    tags: Sequence[str],
    vocabulary: Vocabulary,
    name: str,
    training: Mapping[str, Any],
    half: bool = False,
) -> Checkpoint:
    """Write a checkpoint; with `half`, its weights as float16 at half the size.

    Each file is written beside its place and renamed. config.json comes last
    and names the weights by digest, so a save that was cut short is noticed
    when the checkpoint is loaded. The architecture's tags must be `tags`, and
    the vocabulary must cover them; its other tags are left out.
    """
    import torch  # noqa: PLC0415
    from safetensors.torch import save as serialise  # noqa: PLC0415

    if len(tags) != model.architecture.n_tags:
        raise ValueError(f"{len(tags)} tags for a network with {model.architecture.n_tags}")
    vocabulary = vocabulary.of(tags)
    vocabulary.check_covers(tags)
    dtype = torch.float16 if half else torch.float32
    content = serialise(
        {
            tensor_name: tensor.detach().to("cpu", dtype).contiguous()
            for tensor_name, tensor in model.state_dict().items()
        }
    )
    config = {
        "format": FORMAT,
        "name": name,
        "front_end": asdict(front_end),
        "architecture": asdict(model.architecture),
        "tags": list(tags),
        **described(vocabulary),
        "weights_sha256": hashlib.sha256(content).hexdigest(),
        "training": training,
    }
    directory.mkdir(parents=True, exist_ok=True)
    with replacing(directory / WEIGHTS) as temporary:
        temporary.write_bytes(content)
    with replacing(directory / CONFIG) as temporary:
        temporary.write_text(json.dumps(config, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return read(directory)


def described(vocabulary: Vocabulary) -> dict[str, Any]:
    """A vocabulary as config.json holds it."""
    return {
        "vocabulary": vocabulary.to_json(),
        "thresholds": vocabulary.thresholds,
        "calibration": {
            value: [found.slope, found.offset] for value, found in vocabulary.calibration.items()
        },
    }


def _check_shapes(
    path: Path, found: Mapping[str, NDArray[Any]], wanted: Mapping[str, tuple[int, ...]]
) -> None:
    for name in sorted(found.keys() | wanted.keys()):
        if name not in found:
            raise CheckpointError(f"{path}: {name} is missing")
        if name not in wanted:
            raise CheckpointError(f"{path}: {name} does not belong to this network")
        if found[name].shape != wanted[name]:
            raise CheckpointError(
                f"{path}: {name} has shape {found[name].shape}, the network's is {wanted[name]}"
            )
        if found[name].dtype.kind != "f":
            raise CheckpointError(f"{path}: {name} is of {found[name].dtype}")


def _typed(value: Any, kind: type[_Typed]) -> _Typed:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r:.60} should be a {kind.__name__}")
    return value


def _vocabulary(config: Mapping[str, Any], tags: tuple[str, ...]) -> Vocabulary:
    """What the tags mean, by the model's own account or, in format 1, MagnaTagATune's."""
    thresholds = {
        value: _probability(threshold)
        for value, threshold in _typed(config["thresholds"], dict).items()
    }
    if config["format"] == 1:
        found = magnatagatune().of(tags)
        found.check_covers(tags)
        return found.with_thresholds(thresholds)
    found = parse(config["vocabulary"])
    found.check_covers(tags)
    calibration = {
        value: _calibration(numbers)
        for value, numbers in _typed(config.get("calibration", {}), dict).items()
    }
    names = {value.name for value in (*found.values, *found.not_music)}
    for what, given in (("threshold", thresholds), ("calibration", calibration)):
        if strange := sorted(given.keys() - names):
            raise ValueError(f"a {what} for {strange[0]!r:.60}, which is no value of the model")
    return found.with_thresholds(thresholds).with_calibration(calibration)


def _calibration(value: Any) -> Calibration:
    slope, offset = map(float, _typed(value, list))
    if not (0 < slope <= _STEEPEST and abs(offset) <= _STEEPEST):  # NaN too
        raise ValueError(f"a calibration of {slope} and {offset}")
    return Calibration(slope, offset)


def _probability(value: Any) -> float:
    number = float(value)
    if not 0 <= number <= 1:  # NaN too
        raise ValueError(f"a threshold of {number}")
    return number


def _distinct(tags: Iterable[str]) -> tuple[str, ...]:
    tags = tuple(tags)
    if len(tags) > MOST_TAGS:
        raise ValueError(f"{len(tags)} tags are more than {MOST_TAGS}")
    if len(set(tags)) < len(tags):
        raise ValueError("a tag stands in it twice")
    return tags
