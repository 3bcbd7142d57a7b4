"""Which device is taken, and that torch is not asked in vain."""

from __future__ import annotations

import sys

import pytest
import torch

from musictag.hearing import devices


@pytest.mark.parametrize(
    ("there", "asked"), [("/dev/nvidiactl", True), ("/dev/kfd", True), ("/dev/null", False)]
)
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch is asked")
def test_torch_is_asked_for_devices_only_where_it_could_find_one(
    monkeypatch: pytest.MonkeyPatch, there: str, asked: bool
) -> None:
    n_asked: list[int] = []
    monkeypatch.setattr(devices.os.path, "exists", lambda path: path == there)
    monkeypatch.setattr(devices, "_torch", lambda: (n_asked.append(1), torch)[1])
    assert devices.find_device("auto") == ("cuda" if torch.cuda.is_available() and asked else "cpu")
    assert bool(n_asked) is asked
