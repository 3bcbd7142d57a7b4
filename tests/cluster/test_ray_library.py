"""What is changed in this process for Ray's sake, and by whom."""

from __future__ import annotations

import logging
import os
import sys
import types
from typing import Any

import pytest

from musictag.cluster import ray_library


@pytest.fixture
def fake_ray(monkeypatch: pytest.MonkeyPatch) -> Any:
    utils = types.SimpleNamespace(get_entrypoint_name=lambda: "as Ray has it")
    ray = types.SimpleNamespace(_private=types.SimpleNamespace(utils=utils))
    monkeypatch.setitem(sys.modules, "ray", ray)
    for name in ray_library._ENVIRONMENT:
        monkeypatch.setenv(name, "")  # so that what is set here is undone
        monkeypatch.delenv(name)
    return ray


def test_importing_ray_changes_neither_the_environment_nor_ray(fake_ray: Any) -> None:
    before = dict(os.environ)
    assert ray_library.imported() is fake_ray
    assert dict(os.environ) == before
    assert fake_ray._private.utils.get_entrypoint_name() == "as Ray has it"


def test_a_program_keeps_ray_quiet_and_its_command_line_to_itself(
    fake_ray: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")  # the user's own choice stays
    stdout, level = sys.stdout, logging.getLogger("ray").level
    with caplog.at_level(logging.DEBUG, "musictag.cluster"), ray_library.for_a_program():
        assert fake_ray._private.utils.get_entrypoint_name() == "musictag"
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1"
        assert os.environ["RAY_ENABLE_AUTO_CONNECT"] == "0"
        print("a remark of Ray's")
        logging.getLogger("ray").error("another one")
    assert sys.stdout is stdout
    assert logging.getLogger("ray").level == level
    assert [r.getMessage() for r in caplog.records] == ["ray: a remark of Ray's"]
