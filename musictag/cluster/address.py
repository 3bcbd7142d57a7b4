"""Whether a Ray head answers at an address. Ray itself would wait for minutes to say no."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from musictag.errors import UsageError, system_trouble

_REACHED_S = 10
"""Seconds after which an address that does not answer is given up."""


def find_address(given: str) -> str:
    """The cluster to join: HOST:PORT, `auto`, `local`, or nothing.

    With nothing Ray may look for a cluster itself, and start one if there is none.
    UsageError unless a Ray head answers at the address that was given or found.
    """
    named = os.environ.get("RAY_ADDRESS", "auto") if given in ("", "auto") else given
    if named == "auto":
        latest = _latest()
        if not latest:
            return given
        try:
            return _checked(latest)
        except UsageError:
            if given:
                raise
            return "local"  # that cluster ended without removing its note
    return named if named == "local" else _checked(named)


def knock(address: str, timeout_s: float) -> socket.socket:
    """A connection to HOST:PORT; OSError if nobody answers, ValueError for no such address."""
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout_s)


def _latest() -> str:
    """The cluster that this machine joined last, from Ray's own note."""
    folder = Path(os.environ.get("RAY_TMPDIR", "/tmp"))
    try:
        return (folder / "ray" / "ray_current_cluster").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _checked(address: str) -> str:
    if address.startswith("ray://"):
        raise UsageError(
            f"--ray {address}: run musictag on one of the cluster's machines, with --ray auto"
        )
    try:
        with knock(address, _REACHED_S) as connection:
            if os.environ.get("RAY_USE_TLS", "0") == "0" and not _speaks_grpc(connection):
                raise UsageError(f"--ray {address}: something other than Ray answers there")
    except ValueError:
        raise UsageError(f"--ray {address}: expected HOST:PORT, auto or local") from None
    except OSError as error:
        reason = system_trouble(error).reason
        raise UsageError(f"--ray {address}: no answer ({reason})") from None
    return address


def _speaks_grpc(connection: socket.socket) -> bool:
    """Whether the other side speaks HTTP/2: its first frame must be SETTINGS (RFC 9113, 3.4)."""
    settings = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings)
    return connection.recv(9)[3:4] == settings[3:4]
