"""A directory ↔ everything a model needs: front end, weights, vocabulary, thresholds.

    models/<name>/
      config.json            what is below, as plain JSON
      weights.safetensors    the network's tensors (huggingface.co/docs/safetensors)
      README.md              the model card, for people

Nothing in it can run: no pickle, no code. A checkpoint is described by its
small config.json alone, so that a scan in which nothing has to be heard never
touches torch; `Checkpoint.load` brings the network into memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from musictag.errors import CheckpointError

if TYPE_CHECKING:
    import torch

    from musictag.ear import Ear
    from musictag.model import Tagger
    from musictag.scattering import FrontEnd

FORMAT = 1
CONFIG = "config.json"
WEIGHTS = "weights.safetensors"
DEFAULT = "scat-5l-512h-gru"
"""The model that comes with the program."""

_LARGEST_CONFIG = 16 * 2**20
_LARGEST_WEIGHTS = 2**32
_Settings = TypeVar("_Settings")


@dataclass(frozen=True)
class Checkpoint:
    """What is on disk, described; nothing is in memory yet."""

    name: str
    directory: Path
    front_end: Mapping[str, Any]  # the arguments of scattering.FrontEnd
    architecture: Mapping[str, Any]  # the arguments of model.Architecture
    tags: tuple[str, ...]
    thresholds: Mapping[str, float]  # shown value → probability from which it is chosen
    weights_sha256: str
    training: Mapping[str, Any]  # the run that made it, for people

    @cached_property
    def digest(self) -> str:
        """Identity of all that decides a probability; thresholds do not."""
        decisive = [self.front_end, self.architecture, self.tags, self.weights_sha256]
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()

    def load(self, device: torch.device | str = "cpu", *, batch_size: int | None = None) -> Ear:
        """The model in memory, ready to hear; so many segments at once, or as many as suit.

        Raises CheckpointError when the weights are not those that config.json
        names, or do not fit its architecture, DeviceError when the device has
        no room for them.
        """
        from musictag.ear import Ear  # noqa: PLC0415
        from musictag.model import on_one_core  # noqa: PLC0415
        from musictag.scattering import FrontEnd, Scattering  # noqa: PLC0415

        model = self.network()
        try:
            transform = Scattering(self._settings(FrontEnd, self.front_end))
        except ValueError as error:
            raise CheckpointError(f"{self.directory / CONFIG}: {error}") from error
        n_coefficients = model.architecture.n_coefficients
        if transform.n_coefficients != n_coefficients:
            raise CheckpointError(
                f"{self.directory / CONFIG}: the front end gives {transform.n_coefficients} "
                f"coefficients, the network takes {n_coefficients}"
            )
        on_cpu = str(device) == "cpu"
        return Ear(transform, on_one_core(model) if on_cpu else model, device, batch_size)

    def network(self) -> Tagger:
        """The network alone, for who has the coefficients already; errors as in `load`."""
        from safetensors import SafetensorError  # noqa: PLC0415
        from safetensors.torch import load  # noqa: PLC0415

        from musictag.model import Architecture, Tagger  # noqa: PLC0415

        architecture = self._settings(Architecture, self.architecture)
        if len(self.tags) != architecture.n_tags:
            raise CheckpointError(
                f"{self.directory / CONFIG}: {len(self.tags)} tags, "
                f"the network has {architecture.n_tags}"
            )
        model = _empty(Tagger, architecture)
        wanted = model.state_dict()
        content = self._verified_weights(2**20 + 8 * sum(t.numel() for t in wanted.values()))
        try:
            tensors = load(content)
        except (SafetensorError, KeyError) as error:  # KeyError: a kind of number torch lacks
            raise CheckpointError(f"{self.directory / WEIGHTS}: {error}") from error
        _check_tensors(self.directory / WEIGHTS, tensors, wanted)
        model.load_state_dict({name: t.float() for name, t in tensors.items()}, assign=True)
        return model.eval()

    def weights(self) -> bytes:
        """The weights' file, for a machine that has none; CheckpointError as in `load`."""
        return self._verified_weights(_LARGEST_WEIGHTS)

    def _verified_weights(self, most: int) -> bytes:
        path = self.directory / WEIGHTS
        content = _read(path, most, "far too large for its network")
        if hashlib.sha256(content).hexdigest() != self.weights_sha256:
            raise CheckpointError(
                f"{path}: not the weights that {CONFIG} names (damaged, or from another model)"
            )
        return content

    def _settings(self, kind: type[_Settings], arguments: Mapping[str, Any]) -> _Settings:
        known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
        strange = sorted(set(arguments) - known)
        if strange:
            raise CheckpointError(
                f"{self.directory / CONFIG}: unknown setting {', '.join(strange)} "
                "(made by a newer musictag?)"
            )
        try:
            return kind(**arguments)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{self.directory / CONFIG}: {error}") from error


def find(name_or_directory: str | os.PathLike[str] | None = None) -> Checkpoint:
    """A packaged model by name, or any checkpoint directory; the default model for None.

    Raises CheckpointError that names the packaged models when there is none such.
    """
    wanted = os.fspath(name_or_directory or DEFAULT)
    for parent in _model_directories():
        if wanted in _names(parent):
            return read(parent / wanted)
    if Path(wanted, CONFIG).is_file():
        return read(Path(wanted))
    names = sorted({name for parent in _model_directories() for name in _names(parent)})
    raise CheckpointError(
        f"{wanted}: neither a directory with a {CONFIG} nor a model that comes with musictag "
        f"({', '.join(names) or 'none is installed'})"
    )


def read(directory: Path) -> Checkpoint:
    """Describe the checkpoint in a directory, from its config.json alone.

    Raises CheckpointError when that is missing, or not what we write.
    """
    path = directory / CONFIG
    content = _read(path, _LARGEST_CONFIG, "far too large to be a model's settings")
    try:
        config = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not JSON ({error})") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a musictag checkpoint of format {FORMAT}")
    try:
        found = Checkpoint(
            name=_typed(config["name"], str),
            directory=directory,
            front_end=_typed(config["front_end"], dict),
            architecture=_typed(config["architecture"], dict),
            tags=_distinct(_typed(tag, str) for tag in _typed(config["tags"], list)),
            thresholds={
                value: _probability(threshold)
                for value, threshold in _typed(config["thresholds"], dict).items()
            },
            weights_sha256=_typed(config["weights_sha256"], str),
            training=_typed(config.get("training", {}), dict),
        )
        _ = found.digest  # while nesting that is too deep can still be said to be the file's
    except KeyError as error:
        raise CheckpointError(f"{path}: {error.args[0]} is missing") from error
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise CheckpointError(f"{path}: {error}") from error
    return found


def _read(path: Path, most: int, too_large: str) -> bytes:
    """A regular file of at most so many bytes: a link in a stranger's folder may have no end."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise CheckpointError(f"{path}: not a regular file")
        if about.st_size > most:
            raise CheckpointError(f"{path}: {too_large}")
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from error


def save(
    directory: Path,
    model: Tagger,
    *,
    front_end: FrontEnd,
    tags: Sequence[str],
    thresholds: Mapping[str, float],
    name: str,
    training: Mapping[str, Any],
    half: bool = False,
) -> Checkpoint:
    """Write a checkpoint; with `half`, its weights as float16 at half the size.

    Each file is written beside its place and renamed. config.json comes last
    and names the weights by digest, so a save that was cut short is noticed
    when the checkpoint is loaded. The architecture's tags must be `tags`.
    """
    import torch  # noqa: PLC0415
    from safetensors.torch import save as serialise  # noqa: PLC0415

    if len(tags) != model.architecture.n_tags:
        raise ValueError(f"{len(tags)} tags for a network with {model.architecture.n_tags}")
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
        "thresholds": dict(thresholds),
        "weights_sha256": hashlib.sha256(content).hexdigest(),
        "training": training,
    }
    directory.mkdir(parents=True, exist_ok=True)
    with replacing(directory / WEIGHTS) as temporary:
        temporary.write_bytes(content)
    with replacing(directory / CONFIG) as temporary:
        temporary.write_text(json.dumps(config, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return read(directory)


def _empty(kind: type[Tagger], architecture: Any) -> Tagger:
    """The network without numbers: nothing is allocated, however large a config claims it is."""
    import torch  # noqa: PLC0415

    with torch.device("meta"):
        return kind(architecture)


def _check_tensors(
    path: Path, found: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]
) -> None:
    for name in sorted(found.keys() | wanted.keys()):
        if name not in found:
            raise CheckpointError(f"{path}: {name} is missing")
        if name not in wanted:
            raise CheckpointError(f"{path}: {name} does not belong to this network")
        if found[name].shape != wanted[name].shape:
            raise CheckpointError(
                f"{path}: {name} has shape {tuple(found[name].shape)}, "
                f"the network's is {tuple(wanted[name].shape)}"
            )
        if not found[name].is_floating_point():
            raise CheckpointError(f"{path}: {name} is of {found[name].dtype}")
        if not found[name].float().isfinite().all():
            raise CheckpointError(f"{path}: {name} holds what is no number")


def _typed(value: Any, kind: type[_Settings]) -> _Settings:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r:.60} should be a {kind.__name__}")
    return value


def _probability(value: Any) -> float:
    number = float(value)
    if not 0 <= number <= 1:  # NaN too
        raise ValueError(f"a threshold of {number}")
    return number


def _distinct(tags: Iterable[str]) -> tuple[str, ...]:
    tags = tuple(tags)
    if len(set(tags)) < len(tags):
        raise ValueError("a tag stands in it twice")
    return tags


def _model_directories() -> list[Path]:
    """Where packaged models lie: inside the package once installed, beside it in a checkout."""
    package = Path(__file__).parent
    return [package / "models", package.parent / "models"]


def _names(parent: Path) -> list[str]:
    try:
        return [entry.name for entry in parent.iterdir() if (entry / CONFIG).is_file()]
    except OSError:
        return []


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; what is written there takes its place at the end.

    Killed at any moment, `path` is what it was or what it should be; what a
    kill leaves behind is overwritten the next time.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
