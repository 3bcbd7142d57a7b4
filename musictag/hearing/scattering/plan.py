"""Which filters a scattering transform has, and which scattering paths.

A `Plan` lists them and does not say how they are computed: `scattering.torch` and
`scattering.core` execute it. Its filters are those of the paper's features (`paper_plan`) or
kymatio's (`scattering.kymatio`).

Sources: Andén and Mallat, "Deep scattering spectrum" (IEEE TSP 2014), and the ScatNet toolbox for
the filter banks; Song et al. 2018 for their settings.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from musictag.hearing.bounds import check_whole
from musictag.hearing.kernels.rates import is_smooth
from musictag.hearing.scattering.filters import S0, Band, morlet_bank
from musictag.hearing.scattering.lowpass import n_taps


@dataclass(frozen=True)
class Exactness:
    """How closely the fast transform follows the definitions.

    `reach`: a filter ends where its gain has fallen to exp(-reach²/2) of its largest; for a
    Gaussian that is so many widths from its centre. `slack`: the least ratio of an inverse
    transform's length to the number of bins in the band.
    """

    reach: float
    slack: float


EXACTNESS = {"fast": Exactness(reach=4.5, slack=1.0), "high": Exactness(reach=5.5, slack=2.0)}

NORMALISATIONS = ("none", "log", "log-renormalised", "paper", "log-paper")
"""Names of the normalisations, which `normalisation.normalise` computes:

- none: the coefficients as defined
- log: their logarithm
- log-renormalised: the logarithm of order 2 over its order-1 parent, and of orders 0 and 1
- paper: order 2 over its parent, order 1 over the average of |x| (Song et al., section 3; Andén
  and Mallat, eq. 16 and 17), so that gain and equaliser matter less
- log-paper: the logarithm of that
"""


@dataclass(frozen=True)
class FrontEnd:
    """Settings of the scattering transform that a model was trained on; the defaults are the
    paper's."""

    n_samples: int = 464_000  # 29 s at 16 kHz
    T: int = 8192  # averaging scale, samples
    hop: int = 4096  # samples
    Q: int = 8  # wavelets per octave at order 1; order 2 has one
    exactness: str = "fast"
    normalisation: str = "log-renormalised"

    def __post_init__(self) -> None:
        for name, least, most in (("n_samples", 1, 2**22), ("T", 64, 2**20), ("Q", 1, 64)):
            check_whole(name, getattr(self, name), least, most)
        check_whole("hop", self.hop, max(1, self.n_samples >> 14), self.T)
        if self.exactness not in EXACTNESS:
            raise ValueError(f"exactness {self.exactness!r} is none of {', '.join(EXACTNESS)}")
        if self.normalisation not in NORMALISATIONS:
            raise ValueError(
                f"normalisation {self.normalisation!r} is none of {', '.join(NORMALISATIONS)}"
            )

    @property
    def label(self) -> str:
        """A word for people, to tell folders of features apart."""
        return self.normalisation

    @property
    def is_logarithmic(self) -> bool:
        """Whether a gain is an addition to all coefficients."""
        return self.normalisation.startswith("log")


@dataclass(frozen=True)
class Plan:
    """What a scattering transform is made of.

    The segment is padded by reflection to `n_hops` hops and then treated as periodic; the frames
    kept are `n_frames` from `first_frame` on. Low-passes are Gaussians in time with unit gain at
    frequency 0, given by their standard deviation in samples.
    """

    n_samples: int
    pad_left: int
    hop: int
    n_hops: int
    first_frame: int
    n_frames: int
    first: tuple[Band, ...]
    second: tuple[Band, ...]
    paths: tuple[tuple[int, int], ...]  # (first, second), in the order of the output
    lowpass0: float  # of order 0
    lowpass: float  # of orders 1 and 2
    slack: float

    @property
    def n_padded(self) -> int:
        return self.n_hops * self.hop

    @property
    def pad_right(self) -> int:
        return self.n_padded - self.n_samples - self.pad_left

    @property
    def n_coefficients(self) -> int:
        return 1 + len(self.first) + len(self.paths)

    @functools.cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """For each first-order filter, the second-order filters applied to its envelope."""
        children: list[list[int]] = [[] for _ in self.first]
        for parent, child in self.paths:
            children[parent].append(child)
        return tuple(map(tuple, children))

    def parents(self, child: int, among: Sequence[int]) -> range:
        """The first-order filters, of some neighbouring ones, whose envelopes a second-order filter
        is applied to.

        They must be neighbours too; ValueError if they are not.
        """
        parents = [parent for parent in among if child in self.children[parent]]
        if parents != list(range(parents[0], parents[-1] + 1)):
            raise ValueError("the parents of a second-order filter must be neighbours")
        return range(parents[0], parents[-1] + 1)


def paper_plan(front_end: FrontEnd) -> Plan:
    """The plan of Song et al.'s features: 1 + 76 + 356 coefficients × 114 frames.

    The rules are those of the ScatNet toolbox, which the deep-scattering papers use. A scattering
    path exists where the second wavelet's centre lies within the first one's bandwidth, because an
    envelope holds next to nothing beyond it.

    Raises ValueError if the segment is too short to be reflected.
    """
    T, hop, Q = front_end.T, front_end.hop, front_end.Q
    n_frames = 1 + (front_end.n_samples - 1) // hop
    bank1 = morlet_bank(Q, n_constant_q=1 + round(Q * math.log2(T / 32)), linear=True)
    bank2 = morlet_bank(1, n_constant_q=1 + round(math.log2(T / 2)), linear=False)
    margin = n_taps(max(bank1.lowpass, bank2.lowpass), hop) // 2
    n_hops = _smooth_at_least(n_frames + 2 * margin)
    if max(margin * hop, n_hops * hop - margin * hop - front_end.n_samples) >= front_end.n_samples:
        raise ValueError(
            f"{front_end.n_samples} samples are too few for T = {T} and a hop of {hop}"
        )
    exactness = EXACTNESS[front_end.exactness]
    return Plan(
        n_samples=front_end.n_samples,
        pad_left=margin * hop,
        hop=hop,
        n_hops=n_hops,
        first_frame=margin,
        n_frames=n_frames,
        first=bank1.bands(n_hops * hop, exactness.reach),
        second=bank2.bands(n_hops * hop, exactness.reach),
        paths=tuple(
            (i, j)
            for i, width in enumerate(bank1.widths)
            for j, centre in enumerate(bank2.centres)
            if math.pi / 2 * S0 / width > centre
        ),
        lowpass0=bank1.lowpass,
        lowpass=bank2.lowpass,
        slack=exactness.slack,
    )


def _smooth_at_least(n: int) -> int:
    """The smallest number from n on that has no prime factor above 5."""
    while not is_smooth(n):
        n += 1
    return n
