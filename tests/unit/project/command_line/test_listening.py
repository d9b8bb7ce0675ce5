"""The address that `up --listen` takes."""

from __future__ import annotations

import socket

import pytest

from clustercore.project.command_line.hub import choose_port
from clustercore.project.command_line.listening import DEFAULT_PORT, ListenAddress, parse_listen, reachable_host
from clustercore.terminal.domain.endings import CommandError


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("192.168.1.10", "192.168.1.10", DEFAULT_PORT),
        ("0.0.0.0:9000", "0.0.0.0", 9000),
        ("hub.local:0", "hub.local", 0),
        ("[::1]:9000", "::1", 9000),
        ("[::1]", "::1", DEFAULT_PORT),
        ("fe80::1", "fe80::1", DEFAULT_PORT),
    ],
)
def test_an_address_is_read_with_or_without_its_port(text: str, host: str, port: int) -> None:
    assert parse_listen(text) == ListenAddress(host, port)


@pytest.mark.parametrize("text", ["", ":9000", "host:http", "1.2.3.4:99999", "[::1]x"])
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(CommandError, match=r"192\.168\.1\.10"):
        parse_listen(text)


def test_other_machines_are_told_an_address_that_they_can_reach() -> None:
    assert reachable_host("192.168.1.10") == "192.168.1.10"
    assert reachable_host("hub.local") == "hub.local"
    assert reachable_host("0.0.0.0") not in ("0.0.0.0", "127.0.0.1", "")


def test_a_port_that_another_program_has_is_refused_before_anything_is_started() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(CommandError, match="--port"):
        choose_port(other.getsockname()[1], lambda _: None)
