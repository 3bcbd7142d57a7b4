"""`--ray`: what counts as its address, and what is said where Ray is not installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from program import Run

from musictag.cli.scan import with_address


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("--ray music", "--ray= music"),
        ("music --ray", "music --ray="),
        ("--ray --write music", "--ray= --write music"),
        ("--ray auto music", "--ray=auto music"),
        ("--ray local", "--ray=local"),
        ("--ray head:6379 music", "--ray=head:6379 music"),
        ("--ray 10.0.0.1:6379 music", "--ray=10.0.0.1:6379 music"),
        ("--ray [::1]:6379 music", "--ray=[::1]:6379 music"),
        ("--ray=head:6379 music", "--ray=head:6379 music"),
        ("--ray ./head:6379", "--ray= ./head:6379"),
        ("--ray ./auto", "--ray= ./auto"),
        ("--ray -- auto", "--ray= -- auto"),
        ("music -- --ray", "music -- --ray"),
    ],
)
def test_what_follows_ray_is_an_address_only_if_it_looks_like_one(given: str, meant: str) -> None:
    assert with_address(given.split()) == meant.split()


def test_without_ray_the_option_says_how_to_get_it(
    musictag: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    result = musictag("scan", "--ray", tmp_path)
    assert result.code == 2
    assert "pip install 'musictag[ray]'" in result.stderr
