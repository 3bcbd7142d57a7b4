"""Whether Ray answers at an address, and which cluster is meant where none is named."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from musictag.cluster.address import find_address
from musictag.errors import UsageError


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start a server that answers one caller; returns its address."""
    monkeypatch.undo()  # this may connect, to itself
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with contextlib.ExitStack() as stack:

        def listen(answer: bytes) -> str:
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def speak() -> None:
                connection, _ = server.accept()
                with connection:
                    connection.recv(100)
                    connection.sendall(answer)

            thread = threading.Thread(target=speak)
            thread.start()
            stack.callback(thread.join)
            return f"127.0.0.1:{server.getsockname()[1]}"

        yield listen


GRPC = bytes((0, 0, 6, 4, 0, 0, 0, 0, 0)) + bytes(6)
"""A SETTINGS frame, as an HTTP/2 server sends it first."""


def test_an_unusable_address_is_wrong_usage(listener: Callable[..., str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = f"127.0.0.1:{server.getsockname()[1]}"
    for address, reason in {
        listener(b"HTTP/1.0 400 Bad Request\r\n\r\n"): "something other than Ray answers",
        nobody: "no answer",
        "head:port": "expected HOST:PORT",
        "ray://head:10001": "on one of the cluster's machines",
    }.items():
        with pytest.raises(UsageError, match=reason):
            find_address(address)
    assert find_address(head := listener(GRPC)) == head


def test_without_an_address_it_is_a_cluster_there_is_or_one_of_our_own(
    listener: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [find_address(a) for a in ("", "auto", "local")] == ["", "auto", "local"]
    note = tmp_path / "ray" / "ray_current_cluster"
    note.parent.mkdir()
    note.write_text(head := listener(GRPC))
    assert find_address("auto") == head
    note.write_text("127.0.0.1:1")  # left behind by one that was killed
    assert find_address("") == "local"
    with pytest.raises(UsageError, match="no answer"):
        find_address("auto")
    monkeypatch.setenv("RAY_ADDRESS", head := listener(GRPC))
    assert find_address("") == head
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UsageError, match="no answer"):
        find_address("")
