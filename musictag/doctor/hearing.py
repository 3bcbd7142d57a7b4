"""The self-test: made music goes through the decoder and the bundled model."""

from __future__ import annotations

import tempfile
import time
import wave
from pathlib import Path

import numpy as np

from musictag.audio.decoder import Decoder
from musictag.doctor import sound
from musictag.doctor.finding import REINSTALL, Finding
from musictag.hearing import checkpoint
from musictag.hearing.kernels import choice


def heard() -> list[Finding]:
    """Decodes a file as a scan does, hears it on one core, and compares."""
    model = checkpoint.find()
    kernels = choice.choose()
    transforms, products = (
        "oneMKL" if type(part).__module__.endswith("mkl") else other
        for part, other in ((kernels.transforms, "SciPy"), (kernels.products, "NumPy"))
    )
    ear = model.load("cpu", n_cores=1, batch_size=1, kernels=kernels)
    with tempfile.TemporaryDirectory(prefix="musictag-doctor-") as folder:
        path = Path(folder, "made.wav")
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, sound.RATE_HZ, 0, "NONE", ""))
            file.writeframes(sound.made().astype("<i2").tobytes())
        with Decoder() as decoder:
            segments = np.stack(list(decoder.track(path).segments()))
    took_s = []
    for _ in range(3):  # other programs may hold the core for a moment
        began_s = time.perf_counter()
        probabilities = ear.hear(segments).probabilities[0]
        took_s.append(time.perf_counter() - began_s)
    found = dict(zip(model.tags, map(float, probabilities), strict=True))
    return [
        _speed(transforms, products, kernels.products.bfloat16, min(took_s)),
        compared(model, found),
    ]


def _speed(transforms: str, products: str, bfloat16: bool, took_s: float) -> Finding:
    rate = sound.SECONDS / took_s
    text = f"transforms by {transforms}, products by {products}"
    text += " in bfloat16" if bfloat16 else ""
    text += f"; one core hears {rate:,.0f} times real time"
    details = {"transforms": transforms, "products": products, "bfloat16": bfloat16}
    details |= {"segment_ms": round(1000 * took_s, 1), "times_real_time": round(rate)}
    return Finding("kernels", text, details=details)


def compared(model: checkpoint.Checkpoint, found: dict[str, float]) -> Finding:
    """The probabilities of the made sound beside the stored ones."""
    stored = sound.expected()
    if stored["digest"] != model.digest:
        text = f"{model.name} is not the model that this musictag was released with"
        return Finding("self-test", text, "bad", REINSTALL)
    off = {tag: abs(found[tag] - stored["probabilities"][tag]) for tag in found}
    worst = max(off, key=lambda tag: off[tag] if off[tag] == off[tag] else 2.0)  # NaN: the worst
    details = {"largest_difference": off[worst], "tag": worst, "tolerance": sound.TOLERANCE}
    if not off[worst] <= sound.TOLERANCE:
        want, got = stored["probabilities"][worst], found[worst]
        text = f"wrong probabilities: {worst} {got:.3f} instead of {want:.3f}"
        return Finding("self-test", text, "bad", REINSTALL, details)
    strongest = max(found, key=lambda tag: found[tag])
    text = f"made music is heard as it should be ({strongest} {found[strongest]:.2f}; "
    text += f"largest difference {off[worst]:.4f})"
    return Finding("self-test", text, details=details)
