"""Makes musictag/doctor/expected.json: python tests/doctor/make_expected.py

Run it when the bundled model changes. It hears with the portable kernels, in float32.
"""

from __future__ import annotations

import json

import numpy as np

from musictag.doctor import sound
from musictag.hearing import checkpoint
from musictag.hearing.kernels import choice


def main() -> None:
    model = checkpoint.find()
    kernels = choice.choose(transforms="portable", products="portable")
    ear = model.load("cpu", n_cores=1, kernels=kernels)
    heard = ear.hear(sound.made()[None].astype(np.float32) / np.float32(2**15)).probabilities[0]
    found = {tag: round(float(p), 5) for tag, p in zip(model.tags, heard, strict=True)}
    text = json.dumps({"digest": model.digest, "probabilities": found}, indent=1)
    sound.EXPECTED.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
