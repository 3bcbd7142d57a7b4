"""Front ends by kind: their settings, and the executors that turn segments into coefficients.

Training and tagging both get their front end here. A new kind is one more row of KINDS, made of a
frozen dataclass of settings (which checks them and raises ValueError), a torch module (B, N) ->
(B, C, T) and, if CPUs are to hear without torch, an executor (N,) -> (C, T) on kernels.

Settings are stored as `dataclasses.asdict` gives them. All but the scattering's have a field `kind`
for that, with the name of their row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from musictag.hearing.arrays import Real
from musictag.hearing.scattering.plan import FrontEnd
from musictag.hearing.spectra.cqt import Cqt
from musictag.hearing.spectra.mel import Mel

if TYPE_CHECKING:
    from torch import nn

    from musictag.hearing.kernels.choice import Kernels


Settings: TypeAlias = FrontEnd | Mel | Cqt
"""Settings of any kind. All have `n_samples`, `label` (a word for people) and `is_logarithmic`
(whether a gain is an addition to all coefficients)."""


class CoreFrontEnd(Protocol):
    """A front end for one CPU core. Threads may share it."""

    @property
    def n_coefficients(self) -> int: ...

    def __call__(self, samples: Real) -> Real:
        """(N,) -> (C, T)"""


@dataclass(frozen=True)
class Kind:
    """One kind of front end."""

    settings: type[Settings]
    torch: Callable[[Any], nn.Module]
    """Settings -> executor in torch, which has `n_coefficients` and `n_frames`."""
    core: Callable[[Any, Kernels | None], CoreFrontEnd] | None
    """Settings and kernels -> executor for a CPU core, if there is one."""


def _scattering_in_torch(settings: FrontEnd) -> nn.Module:
    from musictag.hearing.scattering.torch import Scattering  # noqa: PLC0415

    return Scattering(settings)


def _scattering_on_core(settings: FrontEnd, kernels: Kernels | None) -> CoreFrontEnd:
    from musictag.hearing.scattering.core import CoreScattering  # noqa: PLC0415

    return CoreScattering(settings, kernels=kernels)


def _mel_in_torch(settings: Mel) -> nn.Module:
    from musictag.hearing.spectra.torch import MelSpectrogram  # noqa: PLC0415

    return MelSpectrogram(settings)


def _cqt_in_torch(settings: Cqt) -> nn.Module:
    from musictag.hearing.spectra.torch import ConstantQ  # noqa: PLC0415

    return ConstantQ(settings)


DEFAULT_KIND = "scattering"
"""Kind of the front ends that do not name theirs."""

KINDS: Mapping[str, Kind] = {
    "scattering": Kind(FrontEnd, _scattering_in_torch, _scattering_on_core),
    "mel": Kind(Mel, _mel_in_torch, None),
    "cqt": Kind(Cqt, _cqt_in_torch, None),
}
"""Kinds of front ends by the `kind` in their settings."""


def settings(arguments: Mapping[str, Any]) -> Settings:
    """The settings of a front end from a checkpoint's front_end, checked.

    ValueError if they do not make sense, or contain something unknown.
    """
    name = arguments.get("kind", DEFAULT_KIND)
    if not isinstance(name, str) or name not in KINDS:
        raise ValueError(f"no front end {name!r} (there are {', '.join(KINDS)})")
    kind = KINDS[name].settings
    known = {field.name for field in fields(kind)}
    values = {key: value for key, value in arguments.items() if key != "kind"}
    if strange := sorted(set(values) - known):
        raise ValueError(f"unknown setting {', '.join(strange)} (made by a newer musictag?)")
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(str(error)) from error


def in_torch(settings: Settings) -> Any:
    """The executor in torch, for any device and for training: (B, N) -> (B, C, T).

    It is a torch module with `n_coefficients` and `n_frames`. ValueError for settings that leave
    nothing to compute.
    """
    return _kind_of(settings).torch(settings)


def on_core(settings: Settings, kernels: Kernels | None = None) -> CoreFrontEnd | None:
    """The executor for one CPU core, or None if this kind has none. ValueError as in `in_torch`."""
    make = _kind_of(settings).core
    return make(settings, kernels) if make else None


def _kind_of(settings: Settings) -> Kind:
    return next(kind for kind in KINDS.values() if isinstance(settings, kind.settings))
