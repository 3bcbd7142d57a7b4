"""Bounds of settings. They also keep a stranger's checkpoint from claiming all memory."""

from __future__ import annotations


def check_whole(name: str, value: object, least: int, most: int) -> None:
    """ValueError unless the value is a whole number from `least` to `most`."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} is {value!r}, must be a whole number from {least} to {most}")
