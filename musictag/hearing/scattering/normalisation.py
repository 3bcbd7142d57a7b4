"""The normalisations of scattering coefficients, stated once for NumPy and torch."""

from __future__ import annotations

from typing import Any

FLOOR = 1e-5
"""Amplitude added to coefficients before a logarithm or a division: -100 dB of full scale."""
FLOOR_OF_RATIO = 1e-3
"""Number added to a coefficient that was divided by another one."""


def normalise(coefficients: Any, parents: Any, how: str, level: Any = None, *, xp: Any) -> None:
    """Normalise (..., C, T) coefficients in place, in one of the ways of plan.NORMALISATIONS.

    `parents` holds, for each scattering path, the index of its first wavelet; `level` is the
    average of |x|, (..., 1, T), which the paper's ways need. `xp` is the module of the arrays,
    numpy or torch. The floors keep silence finite.
    """
    if how == "none":
        return
    n_first = coefficients.shape[-2] - len(parents)
    zeroth, first = coefficients[..., :1, :], coefficients[..., 1:n_first, :]
    second = coefficients[..., n_first:, :]
    if how == "log":
        second += FLOOR
    else:
        second /= first[..., parents, :] + FLOOR
        second += FLOOR_OF_RATIO
    if level is None:
        first += FLOOR
    else:
        first /= level + FLOOR
        first += FLOOR_OF_RATIO
    if how == "paper":
        return
    xp.abs(coefficients, out=coefficients)
    zeroth += FLOOR
    xp.log(coefficients, out=coefficients)
