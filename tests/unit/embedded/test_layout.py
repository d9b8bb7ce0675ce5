"""Where things lie, also below a very long path."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from clustercore.embedded.domain.layout import LONGEST_SOCKET_PATH, Layout


def test_sockets_lie_in_the_data_directory() -> None:
    assert Layout(Path("/var/lib/clustercore")).control_socket == Path("/var/lib/clustercore/run/supervisor.sock")


@given(st.integers(1, 300))
def test_no_socket_path_is_too_long(length: int) -> None:
    layout = Layout(Path("/" + "x" * length))
    assert len(bytes(layout.postgres_socket)) + len(".lock") <= LONGEST_SOCKET_PATH
    assert len(bytes(layout.control_socket)) <= LONGEST_SOCKET_PATH


def test_bytes_count_and_not_characters() -> None:
    assert Layout(Path("/" + "ü" * 60)).sockets.parent == Path("/tmp")


def test_long_directories_do_not_share_their_sockets() -> None:
    assert Layout(Path("/" + "x" * 200)).sockets != Layout(Path("/" + "y" * 200)).sockets
