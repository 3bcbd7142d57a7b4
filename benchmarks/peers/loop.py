"""The paper's system, written the plain way: librosa, kymatio and the network, segment by segment.

The weights are random: they do not change the time.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

began = time.perf_counter()
import librosa  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from kymatio.scattering1d.frontend.torch_frontend import ScatteringTorch1D  # noqa: E402

from musictag.hearing.network.architecture import Architecture  # noqa: E402
from musictag.hearing.network.recurrent import Tagger  # noqa: E402

RATE_HZ = 16_000
N = 29 * RATE_HZ
warnings.simplefilter("ignore")

scattering = ScatteringTorch1D(J=13, shape=(N,), Q=(8, 1), T=8192)
n_coefficients = scattering(torch.zeros(N)).shape[0]
model = Tagger(Architecture(n_coefficients=n_coefficients)).eval()
load_s = time.perf_counter() - began

began = time.perf_counter()
for path in sys.argv[1:]:
    samples, _ = librosa.load(path, sr=RATE_HZ)
    taggram = []
    for start in range(0, len(samples), N):
        segment = samples[start : start + N]
        segment = np.pad(segment, (0, N - len(segment)))
        with torch.no_grad():
            coefficients = torch.log(scattering(torch.from_numpy(segment)) + 1e-6)  # (C, T)
            taggram.append(model(coefficients[None]).sigmoid())  # (1, K)
    torch.cat(taggram).mean(dim=0)
print("\n" + json.dumps({"load_s": load_s, "work_s": time.perf_counter() - began}))
