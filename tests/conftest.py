"""What all tests share: isolation from the machine they run on, and the program itself."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from isolation import no_network, nobodys_home, seeded  # noqa: F401  # for every test
from program import ALWAYS, TAGS, Result, Run

from musictag.cli import program as cli

if TYPE_CHECKING:
    from musictag.stores.journal import Journal

# As the program does before it loads torch: threads that wait by spinning slow the tests down
# wherever another process needs the core.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Under nohup or in the background of a shell these signals may be ignored. The programs that tests
# start would inherit that, and an interrupt would never end them.
for number, handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGTERM, signal.SIG_DFL),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)

SLOW_S = 3600
"""Seconds after which a test marked `slow` fails as hung; for others see pyproject.toml."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(SLOW_S))


@pytest.fixture
def few_noises(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training makes 2 noises instead of 64, which takes most of the time of a small data set."""
    monkeypatch.setattr("musictag.training.features.N_NOISES", 2)


# ---------------------------------------------------------------- the program


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch  # noqa: PLC0415  # not for tests that need no model

    from musictag.hearing import checkpoint  # noqa: PLC0415
    from musictag.hearing.network.architecture import Architecture  # noqa: PLC0415
    from musictag.hearing.network.recurrent import Tagger  # noqa: PLC0415
    from musictag.hearing.scattering.plan import FrontEnd  # noqa: PLC0415
    from musictag.vocabulary import magnatagatune  # noqa: PLC0415

    torch.manual_seed(0)
    directory = tmp_path_factory.mktemp("models") / "tiny"
    checkpoint.save(
        directory,
        Tagger(Architecture(n_units=4, n_layers=1)),
        front_end=FrontEnd(),
        tags=TAGS,
        vocabulary=magnatagatune().with_thresholds(ALWAYS),
        name="tiny",
        training={},
    )
    return directory


@pytest.fixture
def use_tiny(tiny: Path, nobodys_home: Path) -> None:  # noqa: F811  # the fixture
    """The tiny model stands in the settings file."""
    path = nobodys_home / "config" / "musictag" / "config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"model = {json.dumps(os.fspath(tiny))}\njobs = 2\n", encoding="utf-8")


@pytest.fixture
def musictag(monkeypatch: pytest.MonkeyPatch, use_tiny: None) -> Run:
    def run(*arguments: str | Path) -> Result:
        streams = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
        with monkeypatch.context() as patch, pytest.raises(SystemExit) as ended:
            patch.setattr(sys, "stdout", streams[0])
            patch.setattr(sys, "stderr", streams[1])
            patch.setattr(sys, "argv", ["musictag", *map(os.fspath, arguments)])
            cli.app()
        code = ended.value.code
        assert isinstance(code, int)
        return Result(code, *(written(stream) for stream in streams))

    def written(stream: io.TextIOWrapper) -> str:
        stream.seek(0)
        return os.fsdecode(stream.buffer.read())

    return run


@pytest.fixture
def book() -> Iterator[Journal]:
    from musictag.stores import journal  # noqa: PLC0415  # not for tests that need none

    with journal.Journal(journal.default_path()) as opened:
        yield opened
